"""Who plays in the vectors? Alice with two devices, Bob with one, Mallory, and what they wrote."""

from formats import (
    Key,
    account_head,
    account_id,
    digest,
    direct_log,
    labelled,
    payload,
    sign1,
    text_body,
)

NEW_YEAR_MS = 1_767_225_600_000  # 2026-01-01T00:00:00Z

NAMES = [
    "alice.recovery",
    "alice.phone",
    "alice.phone authority",
    "alice.laptop",
    "alice.laptop authority",
    "alice.tablet",
    "alice.tablet authority",
    "bob.recovery",
    "bob.phone",
    "bob.phone authority",
    "mallory.recovery",
    "mallory.phone",
    "mallory.phone authority",
]
KEYS = {name: Key(name) for name in NAMES}


def nonce(name):
    return digest(b"kith vector nonce: " + name.encode())


def salt(name):
    return nonce(name)[:16]


def transport(name):
    """A libp2p peer id: an Ed25519 public key in an identity multihash."""
    return bytes.fromhex("002408011220") + Key(name + " transport").public


class Signed:
    """A named envelope with everything that led to it."""

    def __init__(self, name, format_name, signer, fields):
        self.name, self.format, self.signer, self.fields = name, format_name, signer, fields
        self.payload = payload(format_name, fields)
        self.envelope = sign1(format_name, KEYS[signer], self.payload)
        self.id = digest(self.envelope)

    def case(self):
        return {
            "name": self.name,
            "signer": self.signer,
            "kind": self.format,
            "fields": self.fields,
            "payload": self.payload,
            "envelope": self.envelope,
            "id": self.id,
        }


def ack(device, inviter, account=None):
    fields = {
        "inviter": KEYS[inviter].public,
        "authority": KEYS[f"{device} authority"].public,
        "nonce": nonce(device),
    }
    if account is not None:
        fields["account"] = account
    return Signed(f"{device} acknowledges {inviter}", "device-ack", device, fields)


def genesis(person):
    first = ack(f"{person}.phone", f"{person}.recovery")
    fields = {"first_device": first.envelope}
    return first, Signed(f"{person} begins", "genesis", f"{person}.recovery", fields)


def add(account, by, device, previous):
    """The acknowledgement and the addition of a device."""
    new = ack(device, by, account)
    fields = {"account": account, "previous": sorted(previous), "device": new.envelope}
    return new, Signed(f"{by} adds {device}", "device-add", by, fields)


ALICE_ACK, ALICE_GENESIS = genesis("alice")
BOB_ACK, BOB_GENESIS = genesis("bob")
MALLORY_ACK, MALLORY_GENESIS = genesis("mallory")
ALICE, BOB, MALLORY = (
    account_id(begun.envelope) for begun in [ALICE_GENESIS, BOB_GENESIS, MALLORY_GENESIS]
)
LAPTOP_ACK, LAPTOP_ADD = add(ALICE, "alice.phone authority", "alice.laptop", [ALICE_GENESIS.id])
TABLET_ACK, TABLET_ADD = add(ALICE, "alice.recovery", "alice.tablet", [LAPTOP_ADD.id])
ALICE_PROOF = [ALICE_GENESIS.envelope, LAPTOP_ADD.envelope]
LOG = direct_log(ALICE, BOB)


class Message(Signed):
    """A signed entry with its body, its depth and its place in the order."""

    def __init__(self, name, device, text, *, millis, prev=None, parents=(), counter=0, **more):
        self.device, self.parents, self.prev = device, parents, prev
        self.seq = 1 if prev is None else prev.seq + 1
        person = device.split(".")[0]
        self.body = text_body(salt(name), text)
        before = [*parents, *([] if prev is None else [prev])]
        self.depth = 1 + max((entry.depth for entry in before), default=0)
        hlc = {"millis": millis, "counter": counter}
        self.eff = max([millis << 16 | counter, *(entry.eff + 1 for entry in before)])
        fields = {
            "log": LOG,
            "account": {"alice": ALICE, "bob": BOB}[person],
            "seq": self.seq,
            "parents": sorted((entry.mark() for entry in parents), key=lambda m: m["device"]),
            "depth": self.depth,
            "hlc": hlc,
            "account_head": account_head(
                {"alice": ALICE_PROOF, "bob": [BOB_GENESIS.envelope]}[person]
            ),
            "kind": 1,
            "body_hash": labelled(b"kith/body/1", self.body),
            "body_bytes": len(self.body),
        } | more
        if prev is not None:
            fields["prev"] = prev.id
        super().__init__(name, "entry", device, fields)

    def mark(self):
        return {"device": KEYS[self.device].public, "seq": self.seq, "id": self.id}


A1 = Message("alice.phone 1", "alice.phone", "Hello Bob", millis=NEW_YEAR_MS)
# Bob's clock is five seconds slow: his answer still sorts behind what it answers.
B1 = Message("bob.phone 1", "bob.phone", "Hello Alice", millis=NEW_YEAR_MS - 5000, parents=[A1])
L1 = Message("alice.laptop 1", "alice.laptop", "Are you there?", millis=NEW_YEAR_MS + 1000)
A2 = Message(
    "alice.phone 2",
    "alice.phone",
    "Grüße ☃",
    millis=NEW_YEAR_MS + 2000,
    counter=7,
    prev=A1,
    parents=[B1, L1],
)
# The same clock as A2, with neither having seen the other: the ids decide.
B2 = Message("bob.phone 2", "bob.phone", "See you", millis=NEW_YEAR_MS + 2000, counter=7, prev=B1)
L2 = Message(
    "alice.laptop 2", "alice.laptop", "later", millis=NEW_YEAR_MS + 3000, prev=L1, kind=200
)
MESSAGES = [A1, B1, L1, A2, B2, L2]
FORK = Message("alice.laptop 1 again", "alice.laptop", "I never said that", millis=NEW_YEAR_MS)
