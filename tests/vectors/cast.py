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
    "alice.phone one-time",
    "queue owner",
    "queue writer",
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


def ack(device, inviter, account, authority=None):
    fields = {
        "inviter": KEYS[inviter].public,
        "authority": KEYS[authority or f"{device} authority"].public,
        "nonce": nonce(device),
        "account": account,
    }
    return Signed(f"{device} acknowledges {inviter}", "device-ack", device, fields)


def seat(person, account, epoch, acks, dropped=(), absorbed=()):
    """The recovery key names the devices of these acknowledgements."""
    fields = {
        "account": account,
        "epoch": epoch,
        "devices": [one.envelope for one in sorted(acks, key=lambda one: KEYS[one.signer].public)],
        "dropped": sorted(KEYS[device].public for device in dropped),
    } | ({"absorbed": sorted(absorbed)} if absorbed else {})
    return Signed(f"{person} sits, {epoch}", "seat", f"{person}.recovery", fields)


def begun(person):
    """Account id, genesis, acknowledgement of the phone, first seat."""
    genesis = Signed(f"{person} begins", "genesis", f"{person}.recovery", {})
    account = account_id(genesis.envelope)
    first = ack(f"{person}.phone", f"{person}.recovery", account)
    return account, genesis, first, seat(person, account, 0, [first])


def add(account, by, device, base, authority=None):
    """The acknowledgement and the addition of a device."""
    new = ack(device, by, account, authority)
    fields = {"account": account, "base": base, "device": new.envelope}
    return new, Signed(f"{by} adds {device}", "device-add", by, fields)


def untrust(account, by, device, base, reason=1):
    fields = {"account": account, "base": base, "device": KEYS[device].public, "reason": reason}
    return Signed(f"{by} votes against {device}", "device-untrust", by, fields)


def retire(account, device, base):
    fields = {"account": account, "base": base, "device": KEYS[device].public}
    return Signed(f"{device} retires", "device-retire", f"{device} authority", fields)


def listed(*devices):
    """Devices with their authority keys, in the order of a checkpoint."""
    keys = ((KEYS[device].public, KEYS[f"{device} authority"].public) for device in devices)
    return [{"device": device, "authority": authority} for device, authority in sorted(keys)]


def checkpoint(account, by, base, devices):
    fields = {"account": account, "base": base, "devices": devices}
    return Signed(f"{by} signs a list", "checkpoint", by, fields)


def moved_to(account, by, base, to):
    fields = {"account": account, "base": base, "to": to}
    return Signed(f"{by} moves an account", "moved-to", by, fields)


def absorbs(account, by, base, other, devices=()):
    devices = sorted(KEYS[device].public for device in devices)
    fields = {"account": account, "base": base, "from": other, "devices": devices}
    return Signed(f"{by} absorbs an account", "absorbs", by, fields)


ALICE, ALICE_GENESIS, ALICE_ACK, ALICE_SEAT = begun("alice")
BOB, BOB_GENESIS, BOB_ACK, BOB_SEAT = begun("bob")
MALLORY, MALLORY_GENESIS, MALLORY_ACK, MALLORY_SEAT = begun("mallory")
LAPTOP_ACK, LAPTOP_ADD = add(ALICE, "alice.phone authority", "alice.laptop", ALICE_SEAT.id)
TABLET_ACK, TABLET_ADD = add(ALICE, "alice.phone authority", "alice.tablet", ALICE_SEAT.id)
ALICE_PROOF = [ALICE_GENESIS.envelope, ALICE_SEAT.envelope, LAPTOP_ADD.envelope]
BOB_PROOF = [BOB_GENESIS.envelope, BOB_SEAT.envelope]
MALLORY_PROOF = [MALLORY_GENESIS.envelope, MALLORY_SEAT.envelope]
LOG = direct_log(ALICE, BOB)


class Message(Signed):
    """A signed entry with its body, its depth and its place in the order.

    The text may be a whole body.
    """

    def __init__(self, name, device, text, *, millis, prev=None, parents=(), counter=0, **more):
        self.device, self.parents, self.prev = device, parents, prev
        self.seq = 1 if prev is None else prev.seq + 1
        person = device.split(".")[0]
        self.body = text if isinstance(text, bytes) else text_body(salt(name), text)
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
            "account_head": account_head({"alice": ALICE_PROOF, "bob": BOB_PROOF}[person]),
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
