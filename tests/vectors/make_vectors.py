"""Writes the test vectors of docs/spec: `python make_vectors.py`, or with --check compares only."""

import json
import sys
from pathlib import Path

import cbor2

from cast import (
    A1,
    A2,
    ALICE,
    ALICE_ACK,
    ALICE_GENESIS,
    ALICE_PROOF,
    B1,
    B2,
    BOB,
    BOB_ACK,
    BOB_GENESIS,
    FORK,
    KEYS,
    L1,
    LAPTOP_ACK,
    LAPTOP_ADD,
    LOG,
    MALLORY,
    MALLORY_ACK,
    MALLORY_GENESIS,
    MESSAGES,
    NEW_YEAR_MS,
    TABLET_ACK,
    TABLET_ADD,
    Signed,
    ack,
    add,
    nonce,
    salt,
    transport,
)
from formats import (
    CHARACTERS,
    FORMATS,
    account_head,
    digest,
    direct_log,
    exchange_keys,
    frame,
    hello_tag,
    labelled,
    link,
    payload,
    sealed_box,
    shared_string,
    sign1,
    text_body,
)

HERE = Path(__file__).parent
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def refused(name, format_name, refusal, envelope):
    return {"name": name, "kind": format_name, "refusal": refusal, "envelope": envelope}


def accepted(name, format_name, envelope):
    return {"name": name, "kind": format_name, "envelope": envelope, "id": digest(envelope)}


# --- 01 -----------------------------------------------------------------------------------------

CERT = Signed(
    "a transport certificate",
    "transport-cert",
    "alice.phone",
    {
        "transport": transport("alice.phone"),
        "audience": transport("bob.phone"),
        "not_after": NEW_YEAR_MS + 86_400_000,
    },
)
KEY = KEYS["alice.phone"]
DOMAIN = FORMATS["transport-cert"].domain


def protected(algorithm=-8, kid=KEY.public, kind=4, version=1):
    return cbor2.dumps({1: algorithm, 4: kid, -65537: kind, -65538: version})


def to_be_signed(protected_, payload_, domain=DOMAIN):
    return cbor2.dumps(["Signature1", protected_, domain, payload_])


def by_hand(
    protected_=None,
    payload_=CERT.payload,
    domain=DOMAIN,
    head=b"\xd2\x84",
    middle=b"\xa0",
    cut=None,
):
    """An envelope signed in earnest, with one thing about it wrong."""
    protected_ = protected() if protected_ is None else protected_
    signature = KEY.sign(to_be_signed(protected_, payload_, domain))[:cut]
    parts = [cbor2.dumps(part) for part in (protected_, payload_, signature)]
    return head + parts[0] + middle + parts[1] + parts[2]


def flipped(bytes_, at):
    return bytes_[:at] + bytes([bytes_[at] ^ 1]) + bytes_[at + 1 :]


def with_signature(signature):
    return CERT.envelope[:-64] + signature


def filled_to(size, one=CERT):
    """An envelope of exactly this size, by an extension of zeros."""
    for zeros in range(size):
        content = cbor2.dumps(cbor2.loads(one.payload) | {200: bytes(zeros)})
        envelope = sign1(one.format, KEYS[one.signer], content)
        if len(envelope) == size:
            return envelope
    raise ValueError("no such size")


def extension(key, value):
    """A certificate with one more pair behind its three."""
    return by_hand(payload_=b"\xa4" + CERT.payload[1:] + cbor2.dumps(key) + value)


def refused_frames_of_cose():
    good = CERT.envelope
    inner = protected()
    yield "no tag", "wrong-type", good[1:]
    yield "tag 98 (COSE_Sign)", "wrong-type", by_hand(head=b"\xd8\x62\x84")
    yield "tag in long form", "not-canonical", by_hand(head=b"\xd8\x12\x84")
    yield "array of indefinite length", "not-canonical", by_hand(head=b"\xd2\x9f") + b"\xff"
    yield "array in long form", "not-canonical", by_hand(head=b"\xd2\x98\x04")
    yield "array of three", "value", b"\xd2\x83" + good[2:-66]
    yield "array of five", "too-large", b"\xd2\x85" + good[2:] + b"\xa0"
    yield "length in long form", "not-canonical", good[:2] + b"\x59\x00" + good[3:]
    yield "unprotected critical field", "value", by_hand(middle=b"\xa1\x05\x41\x00")
    yield "unprotected extension", "value", by_hand(middle=b"\xa1\x18\x80\x41\x00")
    yield "unprotected map of indefinite length", "not-canonical", by_hand(middle=b"\xbf\xff")
    yield (
        "detached payload",
        "wrong-type",
        good[: -66 - len(CERT.payload) - 2] + b"\xf6" + good[-66:],
    )
    yield "signature of 63 bytes", "value", by_hand(cut=63)
    yield "a byte behind the end", "trailing", good + b"\x00"
    yield "last byte missing", "malformed", good[:-1]
    yield "nothing at all", "malformed", b""
    yield (
        "protected header of 65 bytes",
        "too-large",
        by_hand(protected_=inner + bytes(65 - len(inner))),
    )
    yield "513 bytes", "too-large", filled_to(513)


def refused_headers():
    swapped = cbor2.dumps({4: KEY.public, 1: -8, -65537: 4, -65538: 1})
    fifth = cbor2.dumps({1: -8, 4: KEY.public, -65537: 4, -65538: 1, -65539: 0})
    yield "algorithm ES256", "value", by_hand(protected(algorithm=-7))
    yield (
        "algorithm in long form",
        "not-canonical",
        by_hand(protected().replace(b"\x01\x27", b"\x01\x38\x07")),
    )
    yield "header fields out of order", "value", by_hand(swapped)
    yield "a fifth header field", "value", by_hand(fifth)
    yield "no version", "value", by_hand(b"\xa3" + protected()[1:-6])
    yield "kind of another format", "value", by_hand(protected(kind=5))
    yield "version 2", "value", by_hand(protected(version=2))
    yield "key id of 31 bytes", "value", by_hand(protected(kid=KEY.public[:31]))
    yield "key id of 33 bytes", "too-large", by_hand(protected(kid=KEY.public + b"\x00"))
    yield "a byte behind the header", "trailing", by_hand(protected() + b"\x00")


def refused_payloads():
    pairs = [cbor2.dumps({key: value})[1:] for key, value in cbor2.loads(CERT.payload).items()]
    transport_, audience, not_after = pairs

    def maps(*parts, head=None):
        return by_hand(payload_=(head or bytes([0xA0 + len(parts)])) + b"".join(parts))

    yield (
        "number not in shortest form",
        "not-canonical",
        maps(transport_, audience, b"\x02\x18\x17"),
    )
    yield (
        "key not in shortest form",
        "not-canonical",
        maps(transport_, audience, b"\x18\x02" + not_after[1:]),
    )
    yield "keys out of order", "missing", maps(audience, transport_, not_after)
    yield "a key twice", "not-canonical", maps(transport_, audience, not_after, not_after)
    yield "a field missing", "missing", maps(transport_, not_after)
    yield "unknown critical field", "unknown-critical", maps(*pairs, b"\x03\x00")
    yield "unknown critical field 127", "unknown-critical", maps(*pairs, b"\x18\x7f\x00")
    yield "field 256", "value", extension(256, b"\x00")
    yield "extensions out of order", "not-canonical", maps(*pairs, b"\x18\x81\x00", b"\x18\x80\x00")
    yield "map of indefinite length", "not-canonical", maps(*pairs, b"\xff", head=b"\xbf")
    yield (
        "string of indefinite length",
        "wrong-type",
        maps(b"\x00\x5f\x41\x01\xff", audience, not_after),
    )
    yield "text as key", "wrong-type", maps(*pairs, b"\x61\x61\x00")
    yield "negative key", "wrong-type", maps(b"\x20\x00", *pairs)
    yield "negative time", "wrong-type", maps(transport_, audience, b"\x02\x20")
    yield "text for bytes", "wrong-type", maps(b"\x00\x61\x61", audience, not_after)
    yield (
        "transport id of 65 bytes",
        "too-large",
        maps(b"\x00" + cbor2.dumps(bytes(65)), audience, not_after),
    )
    yield "float in an extension", "wrong-type", extension(128, b"\xf9\x3c\x00")
    yield "null in an extension", "wrong-type", extension(128, b"\xf6")
    yield "tag in an extension", "wrong-type", extension(128, b"\xc1\x00")
    yield "map in an extension", "wrong-type", extension(128, b"\xa0")
    yield "extension five deep", "value", extension(128, b"\x81\x81\x81\x81\x01")
    yield (
        "array that promises too much",
        "too-large",
        extension(128, b"\x9b" + b"\x7f" + b"\xff" * 7),
    )
    yield "a byte behind the payload", "trailing", by_hand(payload_=CERT.payload + b"\x00")
    yield "payload that is no map", "wrong-type", by_hand(payload_=b"\x80")
    yield "empty payload", "malformed", by_hand(payload_=b"")


def refused_signatures():
    good, signature = CERT.envelope, CERT.envelope[-64:]
    scalar = int.from_bytes(signature[32:], "little") + ED25519_ORDER
    identity = b"\x01" + bytes(31)
    base = b"\x58" + b"\x66" * 31
    forged = protected(kid=identity)
    parts = [forged, CERT.payload, base + b"\x01" + bytes(31)]
    parts = [cbor2.dumps(part) for part in parts]
    other = KEYS["mallory.phone"].sign(to_be_signed(protected(), CERT.payload))
    yield "signed for another purpose", by_hand(domain=b"kith/entry/1")
    yield "signed without a domain", by_hand(domain=b"")
    yield "signed by another key", with_signature(other)
    yield "a bit of the payload flipped", flipped(good, len(good) - 67)
    yield "a bit of the key id flipped", flipped(good, 12)
    yield "a bit of the signature flipped", flipped(good, len(good) - 64)
    yield (
        "S raised by the group order",
        with_signature(signature[:32] + scalar.to_bytes(32, "little")),
    )
    yield "key of small order", b"\xd2\x84" + parts[0] + b"\xa0" + parts[1] + parts[2]


def envelope_vectors():
    assert by_hand() == CERT.envelope
    refusals = [*refused_frames_of_cose(), *refused_headers(), *refused_payloads()]
    refusals += [(name, "signature", envelope) for name, envelope in refused_signatures()]
    extensions = {
        "extension 128": (128, b"\x41\x00"),
        "extension 255": (255, b"\xf5"),
        "extension four deep": (200, b"\x81\x81\x81\x20"),
        "extension of text": (200, b"\x63\xe2\x98\x83"),
    }
    return {
        "about": "Envelopes as such (spec 01); the payload is a transport certificate throughout.",
        "envelopes": [CERT.case()],
        "accepted": [
            *(accepted(name, "transport-cert", extension(*e)) for name, e in extensions.items()),
            accepted("512 bytes", "transport-cert", filled_to(512)),
        ],
        "refused": [refused(name, "transport-cert", why, made) for name, why, made in refusals],
    }


# --- 02 -----------------------------------------------------------------------------------------


def proven(name, proof, devices, taken=None):
    taken = proof if taken is None else taken
    return {
        "name": name,
        "proof": proof,
        "account": labelled(b"kith/account/1", proof[0]),
        "devices": sorted(KEYS[device].public for device in devices),
        "head": account_head(taken),
    }


def account_proofs():
    genesis, laptop, tablet = (e.envelope for e in (ALICE_GENESIS, LAPTOP_ADD, TABLET_ADD))
    _, stranger = add(ALICE, "mallory.phone authority", "mallory.phone", [])
    _, elsewhere = add(BOB, "alice.phone authority", "alice.laptop", [])
    fields = LAPTOP_ADD.fields | {"device": TABLET_ACK.envelope}
    borrowed = Signed(
        "an acknowledgement given to another", "device-add", "alice.phone authority", fields
    )
    ack_elsewhere = Signed(
        "its acknowledgement names another account",
        "device-add",
        "alice.phone authority",
        LAPTOP_ADD.fields | {"device": ack("alice.laptop", "alice.phone authority", BOB).envelope},
    )
    add_elsewhere = Signed(
        "its addition names another account",
        "device-add",
        "alice.phone authority",
        LAPTOP_ADD.fields | {"account": BOB},
    )
    by_device = Signed("signed by the device", "device-add", "alice.phone", LAPTOP_ADD.fields)
    _, by_laptop = add(ALICE, "alice.laptop authority", "alice.tablet", [LAPTOP_ADD.id])
    phone, laptop_name, tablet_name = "alice.phone", "alice.laptop", "alice.tablet"
    yield proven("a genesis", [genesis], [phone])
    yield proven("two devices", [genesis, laptop], [phone, laptop_name])
    yield proven("three devices", [genesis, laptop, tablet], [phone, laptop_name, tablet_name])
    yield proven("any order", [genesis, tablet, laptop], [phone, laptop_name, tablet_name])
    chain = [genesis, by_laptop.envelope, laptop]
    yield proven("the inviter comes later", chain, [phone, laptop_name, tablet_name])
    yield proven(
        "an addition twice", [genesis, laptop, laptop], [phone, laptop_name], [genesis, laptop]
    )
    for name, envelope in [
        ("signed by a stranger", stranger.envelope),
        ("made for another account", elsewhere.envelope),
        (ack_elsewhere.name, ack_elsewhere.envelope),
        (add_elsewhere.name, add_elsewhere.envelope),
        ("an acknowledgement given to another inviter", borrowed.envelope),
        ("signed by the device key, which has no authority", by_device.envelope),
        ("a broken signature", flipped(laptop, len(laptop) - 1)),
        ("the inviter is missing", by_laptop.envelope),
        ("a second genesis", MALLORY_GENESIS.envelope),
        ("no envelope at all", b"\x00"),
    ]:
        yield proven(f"left out: {name}", [genesis, envelope], [phone], [genesis])


def refused_accounts():
    def begun(first, signer="alice.recovery"):
        return Signed("", "genesis", signer, {"first_device": first}).envelope

    named = ack("alice.phone", "alice.recovery", ALICE)
    broken = flipped(ALICE_ACK.envelope, len(ALICE_ACK.envelope) - 1)
    genesis = ALICE_GENESIS.envelope
    for name, why, proof in [
        ("nothing", "empty", []),
        ("an addition in front", "genesis", [LAPTOP_ADD.envelope, genesis]),
        ("the genesis' signature is broken", "signature", [flipped(genesis, len(genesis) - 1)]),
        ("the acknowledgement's signature is broken", "signature", [begun(broken)]),
        ("the acknowledgement names an account", "acknowledgement", [begun(named.envelope)]),
        (
            "another recovery key",
            "acknowledgement",
            [begun(ALICE_ACK.envelope, "mallory.recovery")],
        ),
        ("33 envelopes", "too-large", [genesis, *[b"\x00"] * 32]),
    ]:
        yield {"name": name, "refusal": why, "proof": proof}


def refused_operations():
    def operation(previous):
        return sign1(
            "device-add",
            KEYS["alice.phone authority"],
            payload("device-add", LAPTOP_ADD.fields | {"previous": previous}),
        )

    ids = sorted(nonce(f"operation {n}") for n in range(9))
    long_ack = LAPTOP_ADD.fields | {"device": bytes(513)}
    yield refused(
        "previous operations out of order", "device-add", "not-canonical", operation(ids[1::-1])
    )
    yield refused(
        "a previous operation twice", "device-add", "not-canonical", operation([ids[0]] * 2)
    )
    yield refused("nine previous operations", "device-add", "too-large", operation(ids))
    yield refused(
        "acknowledgement of 513 bytes",
        "device-add",
        "too-large",
        sign1("device-add", KEYS["alice.phone authority"], payload("device-add", long_ack)),
    )
    yield refused("an acknowledgement for a genesis", "genesis", "value", ALICE_ACK.envelope)


def strings():
    recovery = KEYS["alice.recovery"].public
    good = shared_string(recovery, ALICE)
    last = CHARACTERS[(CHARACTERS.index(good[-1]) + 1) % 32]
    texts = [
        {"name": name, "text": text, "recovery": recovery, "checksum": ALICE[:16]}
        for name, text in [("lower case", good), ("upper case", good.upper())]
    ]
    wrong = [
        ("a wrong character", "checksum", good[:-1] + last),
        ("both cases", "checksum", "K" + good[1:]),
        ("a character missing", "checksum", good[:-1]),
        ("the checksum of BIP-173", "checksum", shared_string(recovery, ALICE, constant=1)),
        ("another prefix", "checksum", shared_string(recovery, ALICE, prefix="kin")),
        ("half the bytes", "checksum", shared_string(recovery[:8], ALICE)),
        ("a byte too many", "checksum", shared_string(recovery + b"\x00", ALICE)),
        ("version 2", "version", shared_string(recovery, ALICE, version=2)),
    ]
    return texts, [{"name": n, "refusal": why, "text": text} for n, why, text in wrong]


ADDRESSES = ["/ip4/192.0.2.7/udp/4001/quic-v1", "/ip6/2001:db8::7/tcp/4001"]


def links():
    shared = shared_string(KEYS["alice.recovery"].public, ALICE)
    other = shared_string(KEYS["mallory.recovery"].public, MALLORY)
    text = link(shared, ALICE_PROOF, "Alice", ADDRESSES)
    good = {
        "name": "Alice",
        "account": ALICE,
        "addresses": ADDRESSES,
        "proof": ALICE_PROOF,
        "text": text,
    }
    wrong = [
        ("no prefix", "not-a-link", text.removeprefix("kith:")),
        ("no card", "id-alone", text.split("#")[0]),
        ("padded base64", "not-a-link", text + "="),
        ("another account in front", "mismatch", link(other, ALICE_PROOF, "Alice", [])),
        ("card of version 2", "card", link(shared, ALICE_PROOF, "Alice", [], version=2)),
        ("a name of 65 bytes", "card", link(shared, ALICE_PROOF, "A" * 65, [])),
        (
            "seventeen addresses",
            "card",
            link(shared, ALICE_PROOF, "Alice", ["/ip4/192.0.2.7"] * 17),
        ),
        ("an address of 257 bytes", "card", link(shared, ALICE_PROOF, "Alice", ["a" * 257])),
        ("an account without proof", "account", link(shared, [], "Alice", [])),
        (
            "a string of version 2",
            "version",
            link(shared_string(KEYS["alice.recovery"].public, ALICE, 2), ALICE_PROOF, "Alice", []),
        ),
    ]
    return [good], [{"name": n, "refusal": why, "text": text_} for n, why, text_ in wrong]


def account_vectors():
    texts, wrong_texts = strings()
    good_links, wrong_links = links()
    signed = [
        ALICE_ACK,
        ALICE_GENESIS,
        LAPTOP_ACK,
        LAPTOP_ADD,
        TABLET_ACK,
        TABLET_ADD,
        BOB_ACK,
        BOB_GENESIS,
        MALLORY_ACK,
        MALLORY_GENESIS,
    ]
    return {
        "about": "Accounts, shared strings and links (spec 02).",
        "envelopes": [one.case() for one in signed],
        "refused": list(refused_operations()),
        "accounts": list(account_proofs()),
        "accounts_refused": list(refused_accounts()),
        "strings": texts,
        "strings_refused": wrong_texts,
        "links": good_links,
        "links_refused": wrong_links,
    }


# --- 03 -----------------------------------------------------------------------------------------


def changed(**fields):
    """Alice's first entry with some fields changed, signed; prev=None leaves it out."""
    merged = {key: value for key, value in (A1.fields | fields).items() if value is not None}
    return sign1("entry", KEYS["alice.phone"], payload("entry", merged))


def mark(name, seq=1):
    return {"device": nonce(name), "seq": seq, "id": nonce(name)}


def refused_entries():
    nine = sorted((mark(f"parent {n}") for n in range(9)), key=lambda m: m["device"])
    large = 1 << 53
    for name, why, envelope in [
        ("seq 0", "value", changed(seq=0)),
        ("seq 1 with prev", "value", changed(prev=nonce("prev"))),
        ("seq 2 without prev", "value", changed(seq=2)),
        ("seq 2^53", "too-large", changed(seq=large, prev=nonce("prev"))),
        ("nine parents", "too-large", changed(parents=nine)),
        ("parents out of order", "not-canonical", changed(parents=nine[1::-1])),
        (
            "two parents of one device",
            "not-canonical",
            changed(parents=[nine[0], nine[0] | {"seq": 2}]),
        ),
        ("a parent with seq 0", "value", changed(parents=[nine[0] | {"seq": 0}])),
        ("depth 2^53", "too-large", changed(depth=large)),
        ("kind 256", "too-large", changed(kind=256)),
        ("body of 61,441 bytes", "too-large", changed(body_bytes=61_441)),
        ("body hash of 31 bytes", "value", changed(body_hash=bytes(31))),
        ("2049 bytes", "too-large", filled_to(2049, A1)),
        ("an acknowledgement for an entry", "value", ALICE_ACK.envelope),
    ]:
        yield refused(name, "entry", why, envelope)


def bodies():
    reply = text_body(salt("reply"), "Yes", A1.id)
    good = [
        {"name": "a text", "salt": salt(A2.name), "text": "Grüße ☃", "body": A2.body},
        {"name": "a reply", "salt": salt("reply"), "text": "Yes", "reply_to": A1.id, "body": reply},
    ]
    for one in good:
        one["hash"] = labelled(b"kith/body/1", one["body"])
    wrong = [
        ("shorter than its salt", "malformed", bytes(15)),
        ("only a salt", "malformed", bytes(16)),
        ("an empty text", "value", text_body(bytes(16), "")),
        ("no UTF-8", "malformed", bytes(16) + b"\xa1\x00\x61\xff"),
        ("a byte behind the end", "trailing", reply + b"\x00"),
        ("an unknown critical field", "unknown-critical", bytes(16) + cbor2.dumps({0: "a", 2: 0})),
    ]
    return good, [{"name": n, "refusal": why, "body": body} for n, why, body in wrong]


def chains():
    """A first entry whose own signature is broken, and entries that do or do not name it."""
    first = flipped(A1.envelope, len(A1.envelope) - 1)
    named = A2.fields | {"prev": digest(first)}
    second = Signed("", "entry", "alice.phone", named).envelope
    foreign = Signed("", "entry", "mallory.phone", named).envelope
    log = Signed("", "entry", "alice.phone", named | {"log": nonce("another log")}).envelope
    return [
        {"name": "named by the same device", "first": first, "second": second, "authentic": True},
        {
            "name": "the original is named",
            "first": first,
            "second": A2.envelope,
            "authentic": False,
        },
        {"name": "named by another device", "first": first, "second": foreign, "authentic": False},
        {"name": "named in another log", "first": first, "second": log, "authentic": False},
    ]


def log_vectors():
    good_bodies, wrong_bodies = bodies()
    eight = sorted((mark(f"parent {n}", n + 1) for n in range(8)), key=lambda m: m["device"])
    order = sorted(MESSAGES, key=lambda entry: (entry.eff, entry.id))
    return {
        "about": "Log names, entries, bodies, the chain rule and the order (spec 03).",
        "logs": [
            {"one": one, "other": other, "log": direct_log(one, other)}
            for one, other in [(ALICE, BOB), (BOB, ALICE), (ALICE, MALLORY)]
        ],
        "envelopes": [one.case() for one in [*MESSAGES, FORK]],
        "accepted": [
            accepted("eight parents", "entry", changed(parents=eight)),
            accepted("2048 bytes", "entry", filled_to(2048, A1)),
        ],
        "refused": list(refused_entries()),
        "bodies": good_bodies,
        "bodies_refused": wrong_bodies,
        "chains": chains(),
        "order": [
            {"name": entry.name, "eff": f"{entry.eff:016x}", "id": entry.id} for entry in order
        ],
        "fork": [L1.name, FORK.name],
    }


# --- 04 and 05 ----------------------------------------------------------------------------------


def by_device(*messages):
    return sorted((message.mark() for message in messages), key=lambda m: m["device"])


FRONTIER = Signed(
    "bob.phone has received",
    "frontier",
    "bob.phone",
    {"log": LOG, "received": by_device(A2, B2, L1), "read": []},
)
FRONTIER_READ = Signed(
    "bob.phone has read",
    "frontier",
    "bob.phone",
    {"log": LOG, "received": by_device(A2, B2, L1), "read": by_device(A1, L1)},
)
FRONTIER_EMPTY = Signed(
    "alice.laptop has nothing", "frontier", "alice.laptop", {"log": LOG, "received": [], "read": []}
)


def refused_frontiers():
    def frontier(received, read=()):
        fields = {"log": LOG, "received": received, "read": list(read)}
        return sign1("frontier", KEYS["bob.phone"], payload("frontier", fields))

    several = sorted((mark(f"author {n}") for n in range(129)), key=lambda m: m["device"])
    for name, why, envelope in [
        ("marks out of order", "not-canonical", frontier(several[1::-1])),
        (
            "two marks of one device",
            "not-canonical",
            frontier([several[0], several[0] | {"seq": 2}]),
        ),
        ("a mark with seq 0", "value", frontier([], [several[0] | {"seq": 0}])),
        ("129 marks", "too-large", frontier(several)),
    ]:
        yield refused(name, "frontier", why, envelope)


def framed(name, type_, fields):
    return {"name": name, "type": type_, "fields": fields, "frame": frame(type_, fields)}


def refused_frame(name, refusal, bytes_):
    return {"name": name, "refusal": refusal, "frame": bytes_}


def sync_vectors():
    full = [{"envelope": one.envelope, "body": one.body} for one in (A1, B1)]
    deleted = [{"envelope": A1.envelope}]
    good = [
        framed(
            "asking",
            "frontiers",
            {"ask": True, "frontiers": [FRONTIER.envelope, FRONTIER_EMPTY.envelope]},
        ),
        framed("answering", "frontiers", {"ask": False, "frontiers": []}),
        framed("two entries", "entries", {"log": LOG, "entries": full}),
        framed("an entry whose body was deleted", "entries", {"log": LOG, "entries": deleted}),
    ]
    wrong = [
        ("an unknown critical number", "unknown-critical", cbor2.dumps([6, {}])),
        ("number 0", "unknown-critical", cbor2.dumps([0, {}])),
        ("number not in shortest form", "not-canonical", b"\x82\x18\x05" + good[2]["frame"][2:]),
        ("array of three", "too-large", cbor2.dumps([4, {0: True, 1: []}, 0])),
        ("ask is a number", "wrong-type", cbor2.dumps([4, {0: 1, 1: []}])),
        ("33 frontiers", "too-large", cbor2.dumps([4, {0: False, 1: [b""] * 33}])),
        ("1025 entries", "too-large", cbor2.dumps([5, {0: LOG, 1: [{0: b""}] * 1025}])),
        ("an entry of 2049 bytes", "too-large", cbor2.dumps([5, {0: LOG, 1: [{0: bytes(2049)}]}])),
        ("an entry without its envelope", "missing", cbor2.dumps([5, {0: LOG, 1: [{1: b""}]}])),
        ("a byte behind the end", "trailing", good[1]["frame"] + b"\x00"),
        ("last byte missing", "malformed", good[0]["frame"][:-1]),
    ]
    return {
        "about": "Frontiers and the frames that carry them and entries (spec 04).",
        "envelopes": [one.case() for one in (FRONTIER, FRONTIER_READ, FRONTIER_EMPTY)],
        "refused": list(refused_frontiers()),
        "frames": good,
        "frames_refused": [refused_frame(*one) for one in wrong],
        "frames_ignored": [{"name": "number 128", "frame": cbor2.dumps([128, {}])}],
    }


REQUEST = Signed(
    "mallory asks alice",
    "contact-request",
    "mallory.phone",
    {
        "to_account": ALICE,
        "to_device": KEYS["alice.phone"].public,
        "transport": transport("mallory.phone"),
        "audience": transport("alice.phone"),
        "proof": [MALLORY_GENESIS.envelope],
        "name": "Mallory",
        "greeting": "We met at the fair.",
        "addresses": ADDRESSES,
    },
)


def pairs_and_tags():
    for own, other in [
        ("alice.phone", "bob.phone"),
        ("bob.phone", "alice.phone"),
        ("alice.phone", "mallory.phone"),
    ]:
        send, receive = exchange_keys(KEYS[own], KEYS[other].public)
        yield {
            "own": own,
            "other": other,
            "send": send,
            "receive": receive,
            "own_transport": transport(own),
            "other_transport": transport(other),
            "tag": hello_tag(send, transport(own), transport(other)),
        }


def refused_requests():
    def request(**fields):
        return sign1(
            "contact-request",
            KEYS["mallory.phone"],
            payload("contact-request", REQUEST.fields | fields),
        )

    for name, why, envelope in [
        ("a name of 65 bytes", "too-large", request(name="M" * 65)),
        ("a greeting of 1025 bytes", "too-large", request(greeting="M" * 1025)),
        ("seventeen addresses", "too-large", request(addresses=["/ip4/192.0.2.7"] * 17)),
        ("33 envelopes of proof", "too-large", request(proof=[b""] * 33)),
        ("a certificate for a request", "value", CERT.envelope),
    ]:
        yield refused(name, "contact-request", why, envelope)


def session_vectors():
    tags = [pair["tag"] for pair in pairs_and_tags()] + [
        nonce(f"padding {n}")[:16] for n in range(61)
    ]
    seed = nonce("ephemeral")
    sealed = sealed_box(KEYS["alice.phone"].public, REQUEST.envelope, seed)
    cert = {"cert": CERT.envelope, "proof": ALICE_PROOF, "addresses": ADDRESSES}
    wrong = [
        ("link version 2", "value", cbor2.dumps([1, {0: 2, 1: b""}])),
        ("half a tag", "value", cbor2.dumps([1, {0: 1, 1: bytes(8)}])),
        ("no tags field", "missing", cbor2.dumps([1, {0: 1}])),
        ("certificate of 513 bytes", "too-large", cbor2.dumps([2, {0: bytes(513), 1: [], 2: []}])),
        ("an empty frame", "malformed", b""),
    ]
    return {
        "about": "Recognition tags, certificates and sealed contact requests (spec 05).",
        "envelopes": [REQUEST.case()],
        "refused": list(refused_requests()),
        "pairs": list(pairs_and_tags()),
        "sealed": [
            {
                "name": "a sealed request",
                "to": "alice.phone",
                "ephemeral_seed": seed,
                "plain": REQUEST.envelope,
                "sealed": sealed,
            }
        ],
        "frames": [
            framed("a hello with 64 tags", "hello", {"tags": tags}),
            framed("a certificate", "certificate", cert),
            framed("a request", "request", {"sealed": sealed}),
        ],
        "frames_refused": [refused_frame(*one) for one in wrong],
        "frames_ignored": [],
    }


# --- files --------------------------------------------------------------------------------------

FILES = {
    "01-envelope.json": envelope_vectors,
    "02-account.json": account_vectors,
    "03-log.json": log_vectors,
    "04-sync.json": sync_vectors,
    "05-session.json": session_vectors,
}


def hexed(value):
    """The value with every byte string in hexadecimal."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: hexed(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [hexed(inner) for inner in value]
    return value


def written(make):
    keys = {name: {"seed": key.seed, "public": key.public} for name, key in KEYS.items()}
    vectors = make()
    vectors = {"about": vectors.pop("about"), "keys": keys} | vectors
    return json.dumps(hexed(vectors), indent=1, ensure_ascii=False) + "\n"


def main():
    stale = []
    for name, make in FILES.items():
        path, text = HERE / name, written(make)
        if "--check" not in sys.argv:
            path.write_text(text, encoding="utf-8")
        elif path.read_text(encoding="utf-8") != text:
            stale.append(name)
    if stale:
        sys.exit(f"these files are not what make_vectors.py writes: {', '.join(stale)}")


if __name__ == "__main__":
    main()
