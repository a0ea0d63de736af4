"""How does Kith write things down? The formats of docs/spec in Python, on stock libraries only.

Nothing here was translated from the Rust code: envelopes are made by pycose, payloads by cbor2.
"""

import base64
import hashlib
from dataclasses import dataclass

import cbor2
from nacl import bindings as sodium
from nacl.signing import SigningKey
from pycose.algorithms import EdDSA
from pycose.headers import KID, Algorithm
from pycose.keys import OKPKey
from pycose.keys.curves import Ed25519
from pycose.messages import Sign1Message

KIND_HEADER = -65537
VERSION_HEADER = -65538


@dataclass(frozen=True)
class Format:
    """Kind number, domain label and largest envelope of a payload format."""

    kind: int
    domain: bytes
    bytes_max: int


FORMATS = {
    "genesis": Format(1, b"kith/genesis/1", 512),
    "device-ack": Format(2, b"kith/device-ack/1", 512),
    "device-add": Format(3, b"kith/device-add/1", 1024),
    "transport-cert": Format(4, b"kith/transport-cert/1", 512),
    "entry": Format(5, b"kith/entry/1", 2048),
    "frontier": Format(6, b"kith/frontier/1", 24 * 1024),
    "contact-request": Format(7, b"kith/contact-request/1", 72 * 1024),
    "device-untrust": Format(8, b"kith/device-untrust/1", 512),
    "device-retire": Format(9, b"kith/device-retire/1", 512),
    "checkpoint": Format(10, b"kith/checkpoint/1", 1536),
    "seat": Format(11, b"kith/seat/1", 12 * 1024),
    "cut": Format(12, b"kith/cut/1", 1024),
    "clear": Format(13, b"kith/clear/1", 12 * 1024),
    "join-request": Format(14, b"kith/join-request/1", 1024),
    "link-offer": Format(15, b"kith/link-offer/1", 68 * 1024),
    "link-accept": Format(16, b"kith/link-accept/1", 68 * 1024),
    "moved-to": Format(17, b"kith/moved-to/1", 512),
    "absorbs": Format(18, b"kith/absorbs/1", 1024),
    "mailbox-open": Format(19, b"kith/mailbox-open/1", 17 * 1024),
    "mailbox-put": Format(20, b"kith/mailbox-put/1", 1024),
    "mailbox-fetch": Format(21, b"kith/mailbox-fetch/1", 512 * 9 + 1024),
    "mailbox-status": Format(22, b"kith/mailbox-status/1", 1024),
    "mailbox-close": Format(23, b"kith/mailbox-close/1", 1024),
    "record": Format(24, b"kith/record/1", 1024),
}


def digest(data, key=b""):
    """BLAKE2b-256, keyed or not."""
    return hashlib.blake2b(data, digest_size=32, key=key).digest()


def labelled(label, *parts):
    """H(label, parts): BLAKE2b-256 over the label with its length in front, then the parts."""
    return digest(bytes([len(label)]) + label + b"".join(parts))


class Key:
    """An Ed25519 key pair from a seed, which is hashed from its name where none is given."""

    def __init__(self, name, seed=None):
        self.name = name
        self.seed = digest(b"kith vector key: " + name.encode()) if seed is None else seed
        self.pair = SigningKey(self.seed)
        self.public = bytes(self.pair.verify_key)

    def sign(self, message):
        return self.pair.sign(message).signature

    def exchange_secret(self):
        return sodium.crypto_sign_ed25519_sk_to_curve25519(self.seed + self.public)


def exchange_public(device):
    """The X25519 form of an Ed25519 public key."""
    return sodium.crypto_sign_ed25519_pk_to_curve25519(device)


def sign1(format_name, key, payload):
    """An envelope made by the COSE library."""
    format_ = FORMATS[format_name]
    message = Sign1Message(
        phdr={
            Algorithm: EdDSA,
            KID: key.public,
            KIND_HEADER: format_.kind,
            VERSION_HEADER: 1,
        },
        payload=payload,
        external_aad=format_.domain,
    )
    message.key = OKPKey(crv=Ed25519, x=key.public, d=key.seed)
    return message.encode()


def opened(format_name, envelope):
    """Signer and payload of an envelope; fails unless the COSE library verifies it."""
    format_ = FORMATS[format_name]
    message = Sign1Message.decode(envelope)
    signer = message.phdr[KID]
    message.key = OKPKey(crv=Ed25519, x=signer)
    message.external_aad = format_.domain
    if not message.verify_signature():
        raise ValueError("the signature does not hold")
    if (message.phdr[KIND_HEADER], message.phdr[VERSION_HEADER]) != (format_.kind, 1):
        raise ValueError("another kind or version")
    if len(envelope) > format_.bytes_max:
        raise ValueError("larger than its format allows")
    return signer, message.payload


def marks(list_):
    return [[mark["device"], mark["seq"], mark["id"]] for mark in list_]


def stamp(f):
    """The first fields of every request to a service."""
    return {0: f["audience"], 1: f["time"], 2: f["nonce"]}


def payload(format_name, f):
    """The payload of a format from its named fields."""
    return cbor2.dumps(PAYLOADS[format_name](f))


PAYLOADS = {
    "genesis": lambda f: {},
    "device-ack": lambda f: {
        0: f["inviter"],
        1: f["authority"],
        2: f["nonce"],
        3: f["account"],
    },
    "device-add": lambda f: {0: f["account"], 1: f["base"], 2: f["device"]},
    "device-untrust": lambda f: {0: f["account"], 1: f["base"], 2: f["device"], 3: f["reason"]},
    "device-retire": lambda f: {0: f["account"], 1: f["base"], 2: f["device"]},
    "checkpoint": lambda f: {
        0: f["account"],
        1: f["base"],
        2: [[one["device"], one["authority"]] for one in f["devices"]],
    },
    "seat": lambda f: (
        {0: f["account"], 1: f["epoch"], 2: f["devices"], 3: f["dropped"]}
        | ({4: f["absorbed"]} if "absorbed" in f else {})
    ),
    "moved-to": lambda f: {0: f["account"], 1: f["base"], 2: f["to"]},
    "absorbs": lambda f: {0: f["account"], 1: f["base"], 2: f["from"], 3: f["devices"]},
    "cut": lambda f: {
        0: f["account"],
        1: f["log"],
        2: f["device"],
        3: f["lasts"],
        4: f["since"],
    },
    "clear": lambda f: {
        0: f["account"],
        1: f["log"],
        2: marks(f["through"]),
    },
    "join-request": lambda f: (
        {0: f["token"], 1: f["commitment"], 2: f["name"]} | ({3: f["reply"]} if "reply" in f else {})
    ),
    "link-offer": lambda f: {
        0: f["account"],
        1: f["inviter"],
        2: f["nonce"],
        3: f["proof"],
        4: f["request"],
    },
    "link-accept": lambda f: (
        {0: f["opening"], 1: f["acknowledgement"]} | ({2: f["brings"]} if "brings" in f else {})
    ),
    "transport-cert": lambda f: {0: f["transport"], 1: f["audience"], 2: f["not_after"]},
    "entry": lambda f: (
        {0: f["log"], 1: f["account"], 2: f["seq"]}
        | ({3: f["prev"]} if "prev" in f else {})
        | {
            4: marks(f["parents"]),
            5: f["depth"],
            6: f["hlc"]["millis"] << 16 | f["hlc"]["counter"],
            7: f["account_head"],
            8: f["kind"],
            9: f["body_hash"],
            10: f["body_bytes"],
        }
    ),
    "frontier": lambda f: {0: f["log"], 1: marks(f["received"]), 2: marks(f["read"])},
    "contact-request": lambda f: (
        {
            0: f["to_account"],
            1: f["to_device"],
            2: f["transport"],
            3: f["audience"],
            4: f["proof"],
            5: f["name"],
            6: f["greeting"],
            7: f["addresses"],
        }
        | ({8: f["absorbed"]} if "absorbed" in f else {})
    ),
    "mailbox-open": lambda f: (
        stamp(f)
        | {3: f["writer"], 4: f["days"], 5: f["blobs_max"], 6: f["bytes_max"]}
        | ({7: f["card"]} if "card" in f else {})
        | ({8: f["access"]} if "access" in f else {})
    ),
    "mailbox-put": lambda f: stamp(f) | {3: f["hash"]},
    "mailbox-fetch": lambda f: stamp(f) | {3: f["delete"], 4: f["wait_ms"]},
    "mailbox-status": stamp,
    "mailbox-close": stamp,
    "record": lambda f: {0: f["sequence"], 1: f["not_after"], 2: f["sealed"]},
}


# What a mailbox-server answers, by the rule of the page.
REPLIES = {
    "opened": lambda f: {0: f["incarnation"], 1: f["blobs_max"], 2: f["bytes_max"]},
    "stored": lambda f: {0: f["incarnation"]},
    "fetched": lambda f: {
        0: f["incarnation"],
        1: [[one["number"]] + ([one["blob"]] if "blob" in one else []) for one in f["items"]],
        2: f["more"],
    },
    "standing": lambda f: (
        {0: f["incarnation"], 1: f["days"]} | ({2: f["card"]} if "card" in f else {})
    ),
    "done": lambda f: {},
    "failure": lambda f: (
        {0: f["code"], 1: f["sentence"]} | ({2: f["value"]} if "value" in f else {})
    ),
}


def reply(type_, f):
    """An answer of a service from its named fields."""
    return cbor2.dumps(REPLIES[type_](f))


def put_body(envelope, blob):
    return cbor2.dumps([envelope, blob])


def frame(type_, f):
    """A frame from its named fields."""
    number, fields = {
        "hello": lambda: (1, {0: 1, 1: b"".join(f["tags"])}),
        "certificate": lambda: (2, {0: f["cert"], 1: f["proof"], 2: f["addresses"]}),
        "request": lambda: (3, {0: f["sealed"]}),
        "frontiers": lambda: (4, {0: f["ask"], 1: f["frontiers"]}),
        "entries": lambda: (5, {0: f["log"], 1: [carried(entry) for entry in f["entries"]]}),
        "accounts": lambda: (6, {0: f["proofs"]}),
        "account-heads": lambda: (7, {0: [[one["account"], one["head"]] for one in f["heads"]]}),
        "want": lambda: (8, {0: f["log"], 1: marks(f["entries"])}),
        "join": lambda: (9, {0: f["sealed"]}),
        "offer": lambda: (10, {0: f["sealed"]}),
        "accept": lambda: (11, {0: f["sealed"]}),
        "packages": lambda: (13, {0: f["packages"]}),
        "hints": lambda: (12, {0: [[one["device"], one["addresses"]] for one in f["devices"]]}),
        "seek": lambda: (14, {0: f["tokens"]}),
        "records": lambda: (15, {0: f["records"]}),
        "who": lambda: (16, {0: f["proof"]}),
        "card": lambda: (17, {0: f["sealed"]}),
    }[type_]()
    return cbor2.dumps([number, fields])


def carried(entry):
    return {0: entry["envelope"]} | ({1: entry["body"]} if "body" in entry else {})


def text_body(salt, text, reply_to=None):
    return salt + cbor2.dumps({0: text} | ({} if reply_to is None else {1: reply_to}))


# Bodies of the self log: the kind of their entry, the rule of the page, the fields by number.
OWN = {
    "contact": (64, "contact-body", ["account", "proof", "name", "status", "greeting", "validity", "replaces"]),
    "read": (65, "read-body", ["log", "marks"]),
    "delete": (66, "delete-body", ["log", "marks", "clear"]),
    "name": (67, "setting-body", ["which", "value"]),
    "read-receipts": (67, "setting-body", ["which", "value"]),
    "mailboxes": (67, "setting-body", ["which", "value"]),
    "findable": (67, "setting-body", ["which", "value"]),
    "relay-only": (67, "setting-body", ["which", "value"]),
    "bootstraps": (67, "setting-body", ["which", "value"]),
    "draft": (68, "draft-body", ["log", "text"]),
    "device": (69, "device-body", ["device", "name"]),
}


SETTINGS = {
    "name": 1,
    "read-receipts": 2,
    "mailboxes": 3,
    "findable": 4,
    "relay-only": 5,
    "bootstraps": 6,
}


def own_body(salt, type_, f):
    """A body of the self log from its named fields; what is not named is absent."""
    f = {"which": SETTINGS.get(type_)} | f
    if "marks" in f:
        f["marks"] = marks(f["marks"])
    names = OWN[type_][2]
    return salt + cbor2.dumps({n: f[name] for n, name in enumerate(names) if f.get(name) is not None})


def self_log(account):
    return labelled(b"kith/self/1", account)


def device_code(key, token, addresses, version=1, **more):
    """The line that an old device shows."""
    content = cbor2.dumps({0: version, 1: key, 2: token, 3: addresses} | more.get("extra", {}))
    return "kith-device:" + base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def commitment(opening, device, authority):
    return labelled(b"kith/link-commitment/1", opening, device, authority)


def check_number(request, offer, opening):
    """Six digits from the envelopes of request and offer, and the opening."""
    hash_ = labelled(b"kith/link-check/1", digest(request), digest(offer), opening)
    return f"{int.from_bytes(hash_[:8], 'big') % 1_000_000:06}"


def direct_log(one, other):
    return labelled(b"kith/direct/1", *sorted([one, other]))


def account_id(genesis):
    return labelled(b"kith/account/1", genesis)


def account_head(proof):
    """A digest over the ids of all that counts."""
    return labelled(b"kith/account-head/1", *sorted(digest(envelope) for envelope in proof))


def next_base(account, base, devices):
    """What a list of devices, each with its authority key, makes of a base."""
    keys = [part for one in devices for part in (one["device"], one["authority"])]
    return labelled(b"kith/checkpoint/1", account, base, *keys)


def shared_string(recovery, account, version=1, prefix="kith", constant=0x2BC830A3):
    return bech32(prefix, bytes([version]) + recovery + account[:16], constant)


def card(proof, name, addresses, version=1, knocks=()):
    """What a link holds; each knock is a device with a queue."""
    fields = {0: version, 1: proof, 2: name, 3: addresses}
    return cbor2.dumps(fields | ({4: [list(one) for one in knocks]} if knocks else {}))


def link(shared, *card_, **more):
    content = base64.urlsafe_b64encode(card(*card_, **more)).rstrip(b"=").decode()
    return f"kith:{shared}#{content}"


CHARACTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(prefix, data, constant):
    """BIP-350; with the constant 1 it is the older BIP-173."""
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    head = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    checksum = polymod(head + values + [0] * 6) ^ constant
    values += [checksum >> 5 * (5 - at) & 31 for at in range(6)]
    return prefix + "1" + "".join(CHARACTERS[value] for value in values)


def polymod(values):
    check = 1
    for value in values:
        top, check = check >> 25, (check & 0x1FFFFFF) << 5 ^ value
        for at, generator in enumerate(
            [0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]
        ):
            if top >> at & 1:
                check ^= generator
    return check


def exchange_keys(own, other):
    """libsodium crypto_kx between two devices: (key for sending, key for receiving) of `own`."""
    client = own.public < other
    exchange = (
        sodium.crypto_kx_client_session_keys if client else sodium.crypto_kx_server_session_keys
    )
    own_public = exchange_public(own.public)
    receive, send = exchange(own_public, own.exchange_secret(), exchange_public(other))
    return send, receive


def hello_tag(send_key, sender_transport, receiver_transport):
    parts = [b"kith/hello/1", sender_transport, receiver_transport]
    return digest(b"".join(bytes([len(part)]) + part for part in parts), key=send_key)[:16]


def sealed_box(device, plain, ephemeral_seed):
    """libsodium crypto_box_seal with the ephemeral key handed in."""
    recipient = exchange_public(device)
    public, secret = sodium.crypto_box_seed_keypair(ephemeral_seed)
    nonce = hashlib.blake2b(public + recipient, digest_size=24).digest()
    return public + sodium.crypto_box(plain, nonce, recipient, secret)


def derived(master, context, number=1):
    """libsodium's crypto_kdf: keyed BLAKE2b with number and context in its parameters."""
    salt = number.to_bytes(8, "little") + bytes(8)
    return hashlib.blake2b(
        b"", digest_size=32, key=master, salt=salt, person=context + bytes(8)
    ).digest()


def box(key, number, context, plain):
    """XChaCha20-Poly1305 with its nonce in front."""
    return number + sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(plain, context, number, key)


def unboxed(key, context, sealed_):
    """What is in a box; fails unless key and context are right."""
    number, rest = sealed_[:24], sealed_[24:]
    return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(rest, context, number, key)


def sealed(seed, number, context, plain):
    """What is sealed with the key that follows from a queue's seed, its nonce in front."""
    return box(derived(seed, b"mailseal"), number, context, plain)


def sealed_blob(seed, number, content, size):
    """What a mailbox-server keeps: exactly `size` bytes."""
    padded = len(content).to_bytes(4, "big") + content
    return sealed(seed, number, b"mail-put", padded.ljust(size - 40, b"\0"))


def queue_fields(one):
    return [one["url"], one["seed"], one["days"]]


def mail_content(welcome, message):
    """What is inside a blob."""
    return cbor2.dumps(({0: welcome} if welcome is not None else {}) | {1: message})


def letter(f):
    """What a device says to another one."""
    fields = {0: f["from"][0], 1: f["from"][1], 2: f["to"][0], 3: f["to"][1]}
    fields |= {4: f["frames"], 5: f["packages"], 6: f["joined"]}
    if f["heard"] is not None:
        fields[7] = f["heard"]
    if f["reply"]:
        fields[8] = [queue_fields(one) for one in f["reply"]]
    if f["told"] is not None:
        fields[9] = f["told"]
    return cbor2.dumps(fields)
