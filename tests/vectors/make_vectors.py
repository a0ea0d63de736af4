"""Writes the test vectors of docs/spec: `python make_vectors.py`, or with --check compares only."""

import json
import sys
from pathlib import Path

import cbor2
from nacl.signing import SigningKey

from cast import (
    A1,
    A2,
    ALICE,
    ALICE_ACK,
    ALICE_GENESIS,
    ALICE_PROOF,
    ALICE_SEAT,
    B1,
    B2,
    BOB,
    BOB_ACK,
    BOB_GENESIS,
    BOB_PROOF,
    BOB_SEAT,
    FORK,
    KEYS,
    L1,
    L2,
    LAPTOP_ACK,
    LAPTOP_ADD,
    LOG,
    MALLORY,
    MALLORY_ACK,
    MALLORY_GENESIS,
    MALLORY_PROOF,
    MALLORY_SEAT,
    MESSAGES,
    NEW_YEAR_MS,
    TABLET_ACK,
    TABLET_ADD,
    Message,
    Signed,
    absorbs,
    ack,
    add,
    checkpoint,
    listed,
    moved_to,
    nonce,
    retire,
    salt,
    seat,
    transport,
    untrust,
)
from finding import (
    DAY_MS,
    HOUR_MS,
    FindKey,
    announce_key,
    day_of,
    days_around,
    fitting,
    namespace,
    padded,
    record,
    record_fields,
    record_key,
    schedule,
    sealed_content,
    seek_token,
)
from formats import (
    CHARACTERS,
    FORMATS,
    OWN,
    Key,
    account_head,
    card,
    check_number,
    commitment,
    derived,
    device_code,
    digest,
    direct_log,
    exchange_keys,
    frame,
    hello_tag,
    labelled,
    letter,
    link,
    mail_content,
    next_base,
    own_body,
    payload,
    put_body,
    queue_fields,
    reply,
    sealed,
    sealed_blob,
    sealed_box,
    self_log,
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


PHONE, LAPTOP, TABLET = "alice.phone", "alice.laptop", "alice.tablet"
BEGUN = [ALICE_GENESIS.envelope, ALICE_SEAT.envelope]


def stand(device, how, final=None):
    standing = {"device": KEYS[device].public, "standing": how}
    return standing if final is None else standing | {"final": final}


def proven(
    name,
    proof,
    standings,
    taken=None,
    base=ALICE_SEAT.id,
    epoch=0,
    moved_to=None,
    absorbed=(),
    invited=(),
):
    """A proof, and by hand: how each device stands and which envelopes count."""
    case = {
        "name": name,
        "proof": proof,
        "account": labelled(b"kith/account/1", proof[0]),
        "epoch": epoch,
        "standings": sorted(standings, key=lambda one: one["device"]),
        "head": account_head(proof if taken is None else taken),
    }
    if moved_to is not None:
        case["moved_to"] = moved_to
    if absorbed:
        case["absorbed"] = sorted(absorbed)
    if invited:
        case["invited"] = sorted(KEYS[device].public for device in invited)
    return case if base is None else case | {"base": base}


def account_proofs():
    laptop, tablet = LAPTOP_ADD.envelope, TABLET_ADD.envelope
    phone_stands = stand(PHONE, "settled")
    both = [phone_stands, stand(LAPTOP, "added")]
    three = [*both, stand(TABLET, "added")]
    yield proven("a genesis and a seat", BEGUN, [phone_stands])
    yield proven("two devices", [*BEGUN, laptop], both)
    yield proven("three devices", [*BEGUN, laptop, tablet], three)
    yield proven("any order", [BEGUN[0], tablet, laptop, BEGUN[1]], three)
    yield proven("an addition twice", [*BEGUN, laptop, laptop], both, [*BEGUN, laptop])
    for name, envelope in left_out():
        yield proven(f"left out: {name}", [*BEGUN, envelope], [phone_stands], BEGUN)
    yield from settled_accounts()
    yield from seated_accounts()
    yield from moved_accounts()
    yield from absorbing_accounts()


def left_out():
    phone, seat_id = "alice.phone authority", ALICE_SEAT.id
    laptop = LAPTOP_ADD.envelope

    def addition(signer="alice.phone authority", **fields):
        return Signed("", "device-add", signer, LAPTOP_ADD.fields | fields).envelope

    yield "signed by a stranger", addition("mallory.phone authority")
    yield "signed by the device key, which has no authority", addition("alice.phone")
    yield "signed by the recovery key", addition("alice.recovery")
    yield "made for another account", addition(account=BOB)
    yield "on another base", addition(base=nonce("base"))
    elsewhere = ack(LAPTOP, phone, BOB).envelope
    yield "its acknowledgement names another account", addition(device=elsewhere)
    another = ack(LAPTOP, "alice.recovery", ALICE).envelope
    yield "an acknowledgement given to another inviter", addition(device=another)
    shared = ack(LAPTOP, phone, ALICE, phone).envelope
    yield "it claims the authority key of a settled device", addition(device=shared)
    yield "a broken signature", flipped(laptop, len(laptop) - 1)
    yield "a device that is settled", addition(device=ack(PHONE, phone, ALICE).envelope)
    yield "a vote by a stranger", untrust(ALICE, "mallory.phone authority", PHONE, seat_id).envelope
    yield "a vote against oneself", untrust(ALICE, phone, PHONE, seat_id).envelope
    yield "a retirement of a stranger", retire(ALICE, LAPTOP, seat_id).envelope
    yield "a seat of another recovery key", Signed(
        "", "seat", "mallory.recovery", ALICE_SEAT.fields | {"epoch": 1}
    ).envelope
    yield "a seat of another account", MALLORY_SEAT.envelope
    yield "a second genesis", MALLORY_GENESIS.envelope
    yield "no envelope at all", b"\x00"


def settled_accounts():
    """Checkpoints, votes and retirements behind the seat."""
    phone, laptop, tablet = (f"{device} authority" for device in (PHONE, LAPTOP, TABLET))
    pair = listed(PHONE, LAPTOP)
    base = next_base(ALICE, ALICE_SEAT.id, pair)
    way = [*BEGUN, LAPTOP_ADD.envelope, checkpoint(ALICE, phone, ALICE_SEAT.id, pair).envelope]
    stands = {device: stand(device, "settled") for device in (PHONE, LAPTOP, TABLET)}
    by_laptop = add(ALICE, laptop, TABLET, base)[1].envelope
    added = stand(TABLET, "added")

    def vote(by, about, reason=1, on=base):
        return untrust(ALICE, by, about, on, reason).envelope

    def on_pair(name, more, standings, taken=None):
        taken = None if taken is None else [*way, *taken]
        return proven(name, [*way, *more], standings, taken, base)

    yield on_pair("settled by a checkpoint", [], [stands[PHONE], stands[LAPTOP]])
    yield on_pair(
        "on an older base", [vote(phone, LAPTOP, on=ALICE_SEAT.id)], [stands[PHONE], stands[LAPTOP]], []
    )
    yield on_pair("added by the second", [by_laptop], [stands[PHONE], stands[LAPTOP], added])
    one_voice = [by_laptop, vote(phone, LAPTOP)]
    yield on_pair(
        "removed by one voice, and what it brought in",
        one_voice,
        [stands[PHONE], stand(LAPTOP, "removed", False), stand(TABLET, "with-inviter", False)],
    )
    yield on_pair(
        "stolen, by one voice",
        [vote(phone, LAPTOP, 2)],
        [stands[PHONE], stand(LAPTOP, "stolen", False)],
    )
    yield on_pair(
        "two that accuse each other, and what one brought in",
        [*one_voice, vote(laptop, PHONE, 2)],
        [stand(device, "disputed") for device in (PHONE, LAPTOP, TABLET)],
    )
    yield on_pair(
        "a retirement, and what it brought in",
        [by_laptop, retire(ALICE, LAPTOP, base).envelope],
        [stands[PHONE], stand(LAPTOP, "retired", True), stand(TABLET, "with-inviter", True)],
    )
    waiting = checkpoint(ALICE, phone, base, listed(PHONE)).envelope
    yield on_pair("a list without a quorum", [waiting], [stands[PHONE], stands[LAPTOP]])
    all_three = listed(PHONE, LAPTOP, TABLET)
    third = [checkpoint(ALICE, by, base, all_three).envelope for by in (phone, laptop)]
    last = next_base(ALICE, base, all_three)
    way_of_three = [*way, by_laptop, *third]
    yield proven("two checkpoints", way_of_three, list(stands.values()), base=last)
    quorum = [vote(by, LAPTOP, reason, last) for by, reason in ((phone, 1), (tablet, 2))]
    yield proven(
        "removed by a quorum, whatever it says",
        [*way_of_three, *quorum, vote(laptop, PHONE, 2, last)],
        [stands[PHONE], stand(LAPTOP, "stolen", True), stands[TABLET]],
        base=last,
    )
    without = listed(PHONE, TABLET)
    left = [checkpoint(ALICE, by, last, without).envelope for by in (phone, tablet)]
    yield proven(
        "left out by a checkpoint",
        [*way_of_three, *left],
        [stands[PHONE], stand(LAPTOP, "left-out", True), stands[TABLET]],
        base=next_base(ALICE, last, without),
    )
    alone = checkpoint(ALICE, phone, ALICE_SEAT.id, listed(PHONE)).envelope
    fork = [*BEGUN, way[3], alone]
    yield proven(
        "two lists with a quorum",
        [*fork, LAPTOP_ADD.envelope],
        [stand(PHONE, "disputed"), stand(LAPTOP, "disputed")],
        fork,
        base=None,
    )


def seated_accounts():
    first = seat("alice", ALICE, 1, [ALICE_ACK], [LAPTOP])
    second = seat("alice", ALICE, 1, [LAPTOP_ACK], [PHONE])
    genesis = BEGUN[0]
    yield proven(
        "a seat replaces everything",
        [*BEGUN, LAPTOP_ADD.envelope, first.envelope],
        [stand(PHONE, "settled"), stand(LAPTOP, "left-out", True)],
        [genesis, first.envelope],
        first.id,
        1,
    )
    yield proven(
        "two seats of one epoch",
        [genesis, first.envelope, second.envelope],
        [stand(PHONE, "disputed"), stand(LAPTOP, "disputed")],
        base=None,
        epoch=1,
    )
    third = seat("alice", ALICE, 2, [LAPTOP_ACK, TABLET_ACK], [PHONE])
    yield proven(
        "a third seat",
        [genesis, first.envelope, second.envelope, third.envelope],
        [stand(PHONE, "left-out", True), stand(LAPTOP, "settled"), stand(TABLET, "settled")],
        [genesis, third.envelope],
        third.id,
        2,
    )


def moved_accounts():
    """Alice's account moves to Bob's."""
    phone, laptop = f"{PHONE} authority", f"{LAPTOP} authority"
    alone = moved_to(ALICE, phone, ALICE_SEAT.id, BOB).envelope
    phone_stands = stand(PHONE, "settled")
    yield proven("moved by the only device", [*BEGUN, alone], [phone_stands], moved_to=BOB)
    pair = listed(PHONE, LAPTOP)
    both = [phone_stands, stand(LAPTOP, "settled")]
    base = next_base(ALICE, ALICE_SEAT.id, pair)
    way = [*BEGUN, LAPTOP_ADD.envelope, checkpoint(ALICE, phone, ALICE_SEAT.id, pair).envelope]
    signed = [moved_to(ALICE, by, base, BOB).envelope for by in (phone, laptop)]
    yield proven("one of two would move", [*way, signed[0]], both, base=base)
    yield proven("both have moved", [*way, *signed], both, base=base, moved_to=BOB)
    words = moved_to(ALICE, "alice.recovery", ALICE_SEAT.id, MALLORY).envelope
    yield proven(
        "the recovery key moves elsewhere",
        [*way, *signed, words],
        both,
        base=base,
        moved_to=MALLORY,
    )
    frozen = [stand(device, "disputed") for device in (PHONE, LAPTOP)]
    taken = [*BEGUN, way[3], alone]
    yield proven("a move where a list has led on", [*way, alone], frozen, taken, base=None)
    another = moved_to(ALICE, phone, ALICE_SEAT.id, MALLORY).envelope
    twice = [*BEGUN, alone, another]
    yield proven("moved to two", twice, [stand(PHONE, "disputed")], base=None)
    for name, one in [
        ("a move signed by a stranger", moved_to(ALICE, "mallory.phone authority", ALICE_SEAT.id, BOB)),
        ("a move of another account", moved_to(MALLORY, phone, ALICE_SEAT.id, BOB)),
        ("a move on another base", moved_to(ALICE, phone, nonce("base"), BOB)),
        ("a move by the words on another base", moved_to(ALICE, "alice.recovery", nonce("base"), BOB)),
    ]:
        yield proven(f"left out: {name}", [*BEGUN, one.envelope], [phone_stands], BEGUN)


def absorbing_accounts():
    """Alice's account absorbs Bob's, of which the laptop and the tablet are devices here."""
    phone = f"{PHONE} authority"
    phone_stands = stand(PHONE, "settled")
    alone = absorbs(ALICE, phone, ALICE_SEAT.id, BOB).envelope
    laptop, tablet = LAPTOP_ACK.envelope, TABLET_ACK.envelope
    taking = absorbs(ALICE, phone, ALICE_SEAT.id, BOB, [LAPTOP, TABLET]).envelope

    def absorbing(name, more, standings, taken=None, **rest):
        taken = None if taken is None else [*BEGUN, *taken]
        return proven(name, [*BEGUN, *more], standings, taken, absorbed=[BOB], **rest)

    added = [phone_stands, stand(LAPTOP, "added")]
    yield absorbing("absorbed", [alone], [phone_stands])
    two, one = {"invited": [LAPTOP, TABLET]}, {"invited": [TABLET]}
    yield absorbing("named, not yet there", [taking], [phone_stands], **two)
    yield absorbing("taken in", [laptop, taking], added, **one)
    both = [*added, stand(TABLET, "added")]
    yield absorbing("two taken in", [taking, laptop, tablet], both)
    yield absorbing("not named", [alone, laptop], [phone_stands], [alone])
    elsewhere = ack(LAPTOP, "alice.recovery", ALICE).envelope
    yield absorbing("acknowledged to another", [taking, elsewhere], [phone_stands], [taking], **two)
    broken = flipped(laptop, len(laptop) - 1)
    yield absorbing("a broken acknowledgement", [taking, broken], [phone_stands], [taking], **two)
    vote = untrust(ALICE, phone, LAPTOP, ALICE_SEAT.id, 2).envelope
    voted = [phone_stands, stand(LAPTOP, "stolen", True)]
    yield absorbing("voted out before it is there", [taking, vote], voted, **one)
    yield absorbing("voted out, and acknowledged", [vote, laptop, taking], voted, **one)
    yield absorbing("voted about and not named", [alone, vote], [phone_stands])
    pair = listed(PHONE, LAPTOP)
    settling = checkpoint(ALICE, phone, ALICE_SEAT.id, pair).envelope
    yield absorbing(
        "taken in and settled",
        [taking, laptop, settling],
        [phone_stands, stand(LAPTOP, "settled")],
        base=next_base(ALICE, ALICE_SEAT.id, pair),
    )
    again = seat("alice", ALICE, 1, [ALICE_ACK], [LAPTOP], [BOB])
    yield proven(
        "a seat that goes on for another",
        [*BEGUN, taking, laptop, again.envelope],
        [phone_stands, stand(LAPTOP, "left-out", True)],
        [BEGUN[0], again.envelope],
        again.id,
        1,
        absorbed=[BOB],
    )
    yield proven("left out: an acknowledgement alone", [*BEGUN, laptop], [phone_stands], BEGUN)
    stranger = absorbs(ALICE, "mallory.phone authority", ALICE_SEAT.id, BOB).envelope
    yield proven("left out: a stranger absorbs", [*BEGUN, stranger], [phone_stands], BEGUN)


def merges():
    """Proofs of some accounts, and which one each ends up as."""
    people = {"alice": (ALICE, ALICE_SEAT), "bob": (BOB, BOB_SEAT), "mallory": (MALLORY, MALLORY_SEAT)}
    begun = {"alice": BEGUN, "bob": BOB_PROOF, "mallory": MALLORY_PROOF}

    def case(name, moves, agreed, ends):
        said = {person: list(proof) for person, proof in begun.items()}
        for person, to in moves:
            account, base = people[person]
            by = f"{person}.phone authority"
            said[person].append(moved_to(account, by, base.id, people[to][0]).envelope)
        for person, other in agreed:
            account, base = people[person]
            by = f"{person}.phone authority"
            said[person].append(absorbs(account, by, base.id, people[other][0]).envelope)
        ends = [{"account": people[one][0], "ends_up": people[end][0]} for one, end in ends.items()]
        return {
            "name": name,
            "proofs": list(said.values()),
            "ends": sorted(ends, key=lambda one: one["account"]),
        }

    apart = {person: person for person in people}
    ring = min(people, key=lambda person: people[person][0])
    of_two = min(["alice", "bob"], key=lambda person: people[person][0])
    yield case("nobody", [], [], apart)
    yield case("one moves", [("alice", "bob")], [], apart)
    yield case("one absorbs", [], [("bob", "alice")], apart)
    yield case("a merge", [("alice", "bob")], [("bob", "alice")], apart | {"alice": "bob"})
    yield case(
        "a chain",
        [("alice", "bob"), ("bob", "mallory")],
        [("bob", "alice"), ("mallory", "bob")],
        {person: "mallory" for person in people},
    )
    yield case(
        "two that name each other",
        [("alice", "bob"), ("bob", "alice")],
        [("bob", "alice"), ("alice", "bob")],
        apart | {"alice": of_two, "bob": of_two},
    )
    yield case(
        "a ring",
        [("alice", "bob"), ("bob", "mallory"), ("mallory", "alice")],
        [("bob", "alice"), ("mallory", "bob"), ("alice", "mallory")],
        {person: ring for person in people},
    )


def refused_accounts():
    genesis = ALICE_GENESIS.envelope
    broken = flipped(genesis, len(genesis) - 1)

    def seated(signer="alice.recovery", **fields):
        return [genesis, Signed("", "seat", signer, ALICE_SEAT.fields | fields).envelope]

    acks = sorted([ALICE_ACK, LAPTOP_ACK], key=lambda one: KEYS[one.signer].public)
    both = [one.envelope for one in acks]
    shared = ack(PHONE, "alice.recovery", ALICE, f"{LAPTOP} authority")
    sharing = [(one if one.signer == LAPTOP else shared).envelope for one in acks]
    ack_broken = flipped(ALICE_ACK.envelope, len(ALICE_ACK.envelope) - 1)
    elsewhere = ack(PHONE, "alice.recovery", BOB).envelope
    for name, why, proof in [
        ("nothing", "empty", []),
        ("an addition in front", "genesis", [LAPTOP_ADD.envelope, *BEGUN]),
        ("the genesis' signature is broken", "signature", [broken, BEGUN[1]]),
        ("no seat", "seat", [genesis, LAPTOP_ADD.envelope]),
        ("a seat of another account", "seat", [genesis, MALLORY_SEAT.envelope]),
        ("a seat signed by another", "seat", seated("alice.phone authority")),
        ("its acknowledgement is broken", "seat", seated(devices=[ack_broken])),
        ("its acknowledgement names another account", "seat", seated(devices=[elsewhere])),
        ("its devices are out of order", "seat", seated(devices=both[::-1])),
        ("a device twice", "seat", seated(devices=both[:1] * 2)),
        ("an authority key twice", "seat", seated(devices=sharing)),
        ("in and dropped", "seat", seated(dropped=[KEYS[PHONE].public])),
        ("257 envelopes", "too-large", [*BEGUN, *[b"\x00"] * 255]),
        ("65,537 bytes", "too-large", [genesis, bytes(65_537 - len(genesis))]),
    ]:
        yield {"name": name, "refusal": why, "proof": proof}


MOVED = moved_to(ALICE, f"{PHONE} authority", ALICE_SEAT.id, BOB)
MOVED_BY_WORDS = moved_to(ALICE, "alice.recovery", ALICE_SEAT.id, BOB)
ABSORBS = absorbs(ALICE, f"{PHONE} authority", ALICE_SEAT.id, BOB, [LAPTOP, TABLET])
ABSORBS_NAME = absorbs(BOB, "bob.phone authority", BOB_SEAT.id, ALICE)
VOTE = untrust(ALICE, "alice.phone authority", LAPTOP, ALICE_SEAT.id, 2)
RETIREMENT = retire(ALICE, LAPTOP, ALICE_SEAT.id)
LIST = checkpoint(ALICE, "alice.phone authority", ALICE_SEAT.id, listed(PHONE, LAPTOP))
CUT = Signed(
    "a cut",
    "cut",
    "alice.phone authority",
    {
        "account": ALICE,
        "log": LOG,
        "device": KEYS[LAPTOP].public,
        "lasts": [[2, nonce("last entry"), NEW_YEAR_MS]],
        "since": NEW_YEAR_MS + 1,
    },
)
CUT_OF_ALL = Signed(
    "a cut of all",
    "cut",
    "alice.recovery",
    CUT.fields | {"lasts": []},
)


def refused_operations():
    def changed_operation(one, **fields):
        merged = {key: value for key, value in (one.fields | fields).items() if value is not None}
        return sign1(one.format, KEYS[one.signer], payload(one.format, merged))

    def bare_ack():
        fields = {key: value for key, value in cbor2.loads(ALICE_ACK.payload).items() if key != 3}
        return sign1("device-ack", KEYS[PHONE], cbor2.dumps(fields))

    ids = sorted(nonce(f"device {n}") for n in range(65))
    last = CUT.fields["lasts"][0]

    def several(count):
        return [[n + 1, *last[1:]] for n in range(count)]

    seventeen = [{"device": one, "authority": nonce(str(one))} for one in ids[:17]]
    critical = sign1("genesis", KEYS["alice.recovery"], cbor2.dumps({0: b""}))
    for name, why, one, envelope in [
        ("a genesis that says something", "unknown-critical", ALICE_GENESIS, critical),
        ("an acknowledgement of no account", "missing", ALICE_ACK, bare_ack()),
        (
            "acknowledgement of 513 bytes",
            "too-large",
            LAPTOP_ADD,
            changed_operation(LAPTOP_ADD, device=bytes(513)),
        ),
        ("reason 0", "value", VOTE, changed_operation(VOTE, reason=0)),
        ("reason 3", "value", VOTE, changed_operation(VOTE, reason=3)),
        ("a vote of 513 bytes", "too-large", VOTE, filled_to(513, VOTE)),
        ("a retirement of 513 bytes", "too-large", RETIREMENT, filled_to(513, RETIREMENT)),
        ("an empty list", "value", LIST, changed_operation(LIST, devices=[])),
        (
            "a list out of order",
            "not-canonical",
            LIST,
            changed_operation(LIST, devices=LIST.fields["devices"][::-1]),
        ),
        (
            "a device twice",
            "not-canonical",
            LIST,
            changed_operation(LIST, devices=LIST.fields["devices"][:1] * 2),
        ),
        ("seventeen devices", "too-large", LIST, changed_operation(LIST, devices=seventeen)),
        ("a list of 1537 bytes", "too-large", LIST, filled_to(1537, LIST)),
        ("a seat of nobody", "value", ALICE_SEAT, changed_operation(ALICE_SEAT, devices=[])),
        (
            "a seat of seventeen",
            "too-large",
            ALICE_SEAT,
            changed_operation(ALICE_SEAT, devices=[ALICE_ACK.envelope] * 17),
        ),
        (
            "65 dropped devices",
            "too-large",
            ALICE_SEAT,
            changed_operation(ALICE_SEAT, dropped=ids),
        ),
        (
            "dropped devices out of order",
            "not-canonical",
            ALICE_SEAT,
            changed_operation(ALICE_SEAT, dropped=ids[1::-1]),
        ),
        ("no absorbed account", "value", ALICE_SEAT, changed_operation(ALICE_SEAT, absorbed=[])),
        ("absorbed itself", "value", ALICE_SEAT, changed_operation(ALICE_SEAT, absorbed=[ALICE])),
        (
            "seventeen absorbed accounts",
            "too-large",
            ALICE_SEAT,
            changed_operation(ALICE_SEAT, absorbed=ids[:17]),
        ),
        (
            "absorbed accounts out of order",
            "not-canonical",
            ALICE_SEAT,
            changed_operation(ALICE_SEAT, absorbed=ids[1::-1]),
        ),
        ("moved to itself", "value", MOVED, changed_operation(MOVED, to=ALICE)),
        ("a move of 513 bytes", "too-large", MOVED, filled_to(513, MOVED)),
        ("an absorbs of itself", "value", ABSORBS, changed_operation(ABSORBS, **{"from": ALICE})),
        ("nine devices", "too-large", ABSORBS, changed_operation(ABSORBS, devices=ids[:9])),
        (
            "devices out of order",
            "not-canonical",
            ABSORBS,
            changed_operation(ABSORBS, devices=ids[1::-1]),
        ),
        (
            "a device twice in an absorbs",
            "not-canonical",
            ABSORBS,
            changed_operation(ABSORBS, devices=ids[:1] * 2),
        ),
        ("an absorbs of 1025 bytes", "too-large", ABSORBS, filled_to(1025, ABSORBS)),
        ("five histories", "too-large", CUT, changed_operation(CUT, lasts=several(5))),
        ("histories not ascending", "not-canonical", CUT, changed_operation(CUT, lasts=several(4)[::-1])),
        ("entry number 0", "value", CUT, changed_operation(CUT, lasts=[[0, *last[1:]]])),
        ("entry number 2^53", "too-large", CUT, changed_operation(CUT, lasts=[[1 << 53, *last[1:]]])),
        ("received when no longer believed", "value", CUT, changed_operation(CUT, since=NEW_YEAR_MS)),
        ("a time of 49 bits", "too-large", CUT, changed_operation(CUT, since=1 << 48)),
        ("an acknowledgement for a genesis", "value", ALICE_GENESIS, ALICE_ACK.envelope),
    ]:
        yield refused(name, one.format, why, envelope)


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
        ALICE_SEAT,
        LAPTOP_ACK,
        LAPTOP_ADD,
        TABLET_ACK,
        TABLET_ADD,
        BOB_ACK,
        BOB_GENESIS,
        BOB_SEAT,
        MALLORY_ACK,
        MALLORY_GENESIS,
        MALLORY_SEAT,
        seat("alice", ALICE, 1, [ALICE_ACK, TABLET_ACK], [LAPTOP]),
        seat("alice", ALICE, 2, [ALICE_ACK], [], [BOB, MALLORY]),
        VOTE,
        RETIREMENT,
        LIST,
        CUT,
        CUT_OF_ALL,
        MOVED,
        MOVED_BY_WORDS,
        ABSORBS,
        ABSORBS_NAME,
    ]
    return {
        "about": "Accounts, shared strings and links (spec 02).",
        "envelopes": [one.case() for one in signed],
        "refused": list(refused_operations()),
        "accounts": list(account_proofs()),
        "accounts_refused": list(refused_accounts()),
        "merges": list(merges()),
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
            "a parent twice",
            "not-canonical",
            changed(parents=[nine[0], nine[0]]),
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


# Alice's phone and tablet cut the laptop off: one chose, the other took what it had.
CUT_AFTER_1 = Signed(
    "the laptop through its first entry",
    "cut",
    "alice.phone authority",
    CUT.fields | {"lasts": [[1, L1.id, NEW_YEAR_MS]]},
)
CUT_AFTER_2 = Signed(
    "the laptop through its second entry",
    "cut",
    "alice.phone authority",
    CUT.fields | {"lasts": [[2, L2.id, NEW_YEAR_MS]]},
)


def cut_entry(number, cut_, prev):
    name = f"alice.phone {number}"
    body = salt(name) + cut_.envelope
    return Message(name, "alice.phone", body, millis=NEW_YEAR_MS + 5000, prev=prev, kind=2)


CUT_ENTRIES = [cut_entry(3, CUT_AFTER_1, A2)]
CUT_ENTRIES.append(cut_entry(4, CUT_AFTER_2, CUT_ENTRIES[0]))


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
        "envelopes": [
            one.case()
            for one in [*MESSAGES, FORK, CUT_AFTER_1, CUT_AFTER_2, *CUT_ENTRIES]
        ],
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
        "cuts": [
            {"entry": entry.name, "body": entry.body, "cut": cut_.id}
            for entry, cut_ in zip(CUT_ENTRIES, (CUT_AFTER_1, CUT_AFTER_2))
        ],
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
            "a mark twice",
            "not-canonical",
            frontier([several[0], several[0]]),
        ),
        ("a mark with seq 0", "value", frontier([], [several[0] | {"seq": 0}])),
        ("129 marks", "too-large", frontier(several)),
    ]:
        yield refused(name, "frontier", why, envelope)


def framed(name, type_, fields):
    return {"name": name, "type": type_, "fields": fields, "frame": frame(type_, fields)}


def refused_frame(name, refusal, bytes_):
    return {"name": name, "refusal": refusal, "frame": bytes_}


def hints():
    near = [{"device": KEYS[LAPTOP].public, "addresses": ADDRESSES}]
    return [*near, {"device": KEYS["bob.phone"].public, "addresses": []}]


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
        framed("two accounts", "accounts", {"proofs": [ALICE_PROOF, BOB_PROOF]}),
        framed("no account", "accounts", {"proofs": []}),
        framed(
            "heads of accounts",
            "account-heads",
            {
                "heads": [
                    {"account": BOB, "head": account_head(BOB_PROOF)},
                    {"account": MALLORY, "head": account_head(MALLORY_PROOF)},
                ]
            },
        ),
        framed("bodies that lack", "want", {"log": LOG, "entries": by_device(A1, B1, L1)}),
        framed("where devices were reached", "hints", {"devices": hints()}),
        framed("packages for letters", "packages", {"packages": [bytes(2676), b"\x01" * 2676]}),
    ]
    wide = {"log": LOG, "entries": [mark("wanted")] * 1025}
    many = {"devices": [{"device": nonce("hint"), "addresses": []}] * 129}
    long = {"devices": [{"device": nonce("hint"), "addresses": ["/ip4/192.0.2.7"] * 17}]}
    wrong = [
        ("an unknown critical number", "unknown-critical", cbor2.dumps([127, {}])),
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
        ("sixteen accounts", "too-large", frame("accounts", {"proofs": [[]] * 16})),
        ("257 envelopes of an account", "too-large", frame("accounts", {"proofs": [[b""] * 257]})),
        (
            "an account envelope of 12,289 bytes",
            "too-large",
            frame("accounts", {"proofs": [[bytes(12_289)]]}),
        ),
        ("an account without its head", "value", cbor2.dumps([7, {0: [[BOB]]}])),
        ("1025 heads", "too-large", cbor2.dumps([7, {0: [[BOB, BOB]] * 1025}])),
        ("a head of 31 bytes", "value", cbor2.dumps([7, {0: [[BOB, bytes(31)]]}])),
        ("1025 wanted entries", "too-large", frame("want", wide)),
        ("a wanted entry with number 0", "value", cbor2.dumps([8, {0: LOG, 1: [[BOB, 0, BOB]]}])),
        ("129 devices", "too-large", frame("hints", many)),
        ("seventeen addresses of a device", "too-large", frame("hints", long)),
        ("nine packages", "too-large", frame("packages", {"packages": [b"x"] * 9})),
        ("a package of 4097 bytes", "too-large", frame("packages", {"packages": [bytes(4097)]})),
        ("number 18", "unknown-critical", cbor2.dumps([18, {}])),
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
        "proof": MALLORY_PROOF,
        "name": "Mallory",
        "greeting": "We met at the fair.",
        "addresses": ADDRESSES,
    },
)

REQUEST_MERGED = Signed(
    "mallory asks under the account that has absorbed two others",
    "contact-request",
    "mallory.phone",
    REQUEST.fields | {"absorbed": [BOB_PROOF, ALICE_PROOF], "addresses": []},
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
        ("257 envelopes of proof", "too-large", request(proof=[b""] * 257)),
        ("a certificate for a request", "value", CERT.envelope),
        ("an empty list of absorbed accounts", "not-canonical", request(absorbed=[])),
        ("17 absorbed accounts", "too-large", request(absorbed=[[b""]] * 17)),
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
        "envelopes": [REQUEST.case(), REQUEST_MERGED.case()],
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


# --- 07 -----------------------------------------------------------------------------------------

SELF = self_log(ALICE)


def clear(name, through, signer="alice.phone authority"):
    fields = {"account": ALICE, "log": LOG, "through": through}
    return Signed(name, "clear", signer, fields)


CLEAR = clear("all that Alice has", by_device(A2, B2, L1))
CLEAR_BY_RECOVERY = clear("Bob's side", by_device(B2), "alice.recovery")
SOME_MARKS = sorted((mark(f"author {n}") for n in range(129)), key=lambda m: m["device"])


BOOTSTRAPS = ["/dnsaddr/boot.example.org", "/ip4/192.0.2.8/udp/8451/quic-v1"]


def own(name, type_, fields):
    kind = OWN[type_][0]
    body = own_body(salt(name), type_, fields)
    return {
        "name": name,
        "kind": kind,
        "type": type_,
        "fields": fields,
        "salt": salt(name),
        "body": body,
    }


def own_bodies():
    everything = {
        "account": BOB,
        "proof": BOB_PROOF,
        "name": "Bob ☃",
        "status": 2,
        "greeting": "",
        "validity": 2,
        "replaces": sorted([A1.id, B1.id]),
    }
    yield own("a contact with everything", "contact", everything)
    yield own("a contact and nothing about it", "contact", {"account": BOB})
    yield own("a contact is removed", "contact", {"account": BOB, "status": 4})
    yield own("a contact's name of 64 bytes", "contact", {"account": BOB, "name": "b" * 64})
    yield own("read", "read", {"log": LOG, "marks": by_device(A2, B2, L1)})
    yield own("nothing read", "read", {"log": LOG, "marks": []})
    yield own("two messages deleted", "delete", {"log": LOG, "marks": by_device(A1, B1)})
    yield own("49 messages deleted", "delete", {"log": LOG, "marks": SOME_MARKS[:49]})
    yield own("everything deleted", "delete", {"clear": CLEAR.envelope})
    yield own("the own name", "name", {"value": "Alice"})
    yield own("read receipts", "read-receipts", {"value": True})
    yield own("no read receipts", "read-receipts", {"value": False})
    two = [["https://mail.example.org", 7, ""], ["http://127.0.0.1:8448", 1, "a word"]]
    yield own("two mailboxes", "mailboxes", {"value": two})
    yield own("no mailbox", "mailboxes", {"value": []})
    yield own("to be found by the id", "findable", {"value": True})
    yield own("not to be found by the id", "findable", {"value": False})
    yield own("relayed addresses alone", "relay-only", {"value": True})
    yield own("all addresses", "relay-only", {"value": False})
    yield own("two bootstraps", "bootstraps", {"value": BOOTSTRAPS})
    longest = [f"/dnsaddr/{n:02}.".ljust(256, "a") for n in range(16)]
    yield own("sixteen bootstraps of 256 bytes", "bootstraps", {"value": longest})
    yield own("no bootstrap", "bootstraps", {"value": []})
    yield own("a draft", "draft", {"log": LOG, "text": "Dear Bob,\n"})
    yield own("no draft", "draft", {"log": LOG, "text": ""})
    yield own("a device has a name", "device", {"device": KEYS[LAPTOP].public, "name": "laptop"})


def refused_own():
    def with_content(fields):
        return bytes(16) + cbor2.dumps(fields)

    def of(type_, **fields):
        return own_body(bytes(16), type_, fields)

    two = SOME_MARKS[:2]
    for name, why, kind, body in [
        ("shorter than its salt", "malformed", 64, bytes(15)),
        ("only a salt", "malformed", 65, bytes(16)),
        ("a contact of nobody", "missing", 64, with_content({2: "Bob"})),
        ("an empty proof", "value", 64, of("contact", account=BOB, proof=[])),
        ("an empty name", "value", 64, of("contact", account=BOB, name="")),
        ("a name of 65 bytes", "too-large", 64, of("contact", account=BOB, name="b" * 65)),
        ("status 5", "too-large", 64, of("contact", account=BOB, status=5)),
        (
            "a greeting of 1025 bytes",
            "too-large",
            64,
            of("contact", account=BOB, greeting="b" * 1025),
        ),
        ("validity 3", "too-large", 64, of("contact", account=BOB, validity=3)),
        ("it replaces nothing", "value", 64, of("contact", account=BOB, replaces=[])),
        (
            "what it replaces is out of order",
            "not-canonical",
            64,
            of("contact", account=BOB, replaces=sorted([A1.id, B1.id])[::-1]),
        ),
        (
            "it replaces seventeen",
            "too-large",
            64,
            of("contact", account=BOB, replaces=sorted(nonce(str(n)) for n in range(17))),
        ),
        ("a contact with field 7", "unknown-critical", 64, with_content({0: BOB, 7: 0})),
        ("read marks out of order", "not-canonical", 65, of("read", log=LOG, marks=two[::-1])),
        ("129 read marks", "too-large", 65, of("read", log=LOG, marks=SOME_MARKS)),
        ("no read marks", "missing", 65, of("read", log=LOG)),
        ("fifty messages deleted", "too-large", 66, of("delete", log=LOG, marks=SOME_MARKS[:50])),
        ("a message deleted twice", "not-canonical", 66, of("delete", log=LOG, marks=two[:1] * 2)),
        (
            "messages and everything",
            "unknown-critical",
            66,
            of("delete", log=LOG, marks=two, clear=CLEAR.envelope),
        ),
        ("a clear of 12,289 bytes", "too-large", 66, of("delete", clear=bytes(12_289))),
        ("nothing deleted", "missing", 66, with_content({})),
        ("setting 7", "value", 67, with_content({0: 7, 1: True})),
        ("five mailboxes", "too-large", 67, of("mailboxes", value=[["https://a", 7, ""]] * 5)),
        ("a mailbox for two days", "value", 67, of("mailboxes", value=[["https://a", 2, ""]])),
        ("a long access word", "too-large", 67, of("mailboxes", value=[["https://a", 7, "a" * 65]])),
        ("findable by a number", "wrong-type", 67, of("findable", value=1)),
        ("findable or not", "missing", 67, with_content({0: 4})),
        ("relay only that is text", "wrong-type", 67, of("relay-only", value="yes")),
        ("relay only and more", "unknown-critical", 67, with_content({0: 5, 1: True, 2: True})),
        ("a bootstrap without a list", "wrong-type", 67, of("bootstraps", value=BOOTSTRAPS[0])),
        ("a bootstrap in bytes", "wrong-type", 67, of("bootstraps", value=[b"/dnsaddr/a"])),
        ("seventeen bootstraps", "too-large", 67, of("bootstraps", value=BOOTSTRAPS[:1] * 17)),
        ("a bootstrap of 257 bytes", "too-large", 67, of("bootstraps", value=["a" * 257])),
        ("bootstraps that are a truth value", "wrong-type", 67, of("bootstraps", value=True)),
        ("a name that is a truth value", "wrong-type", 67, of("name", value=True)),
        ("read receipts that are text", "wrong-type", 67, of("read-receipts", value="yes")),
        ("an empty own name", "value", 67, of("name", value="")),
        ("a draft of 60,001 bytes", "too-large", 68, of("draft", log=LOG, text="a" * 60_001)),
        ("a draft for no log", "missing", 68, with_content({1: "Dear"})),
        ("a device of 31 bytes", "value", 69, of("device", device=bytes(31), name="laptop")),
        ("a device without a name", "missing", 69, with_content({0: KEYS[LAPTOP].public})),
        (
            "a byte behind the end",
            "trailing",
            69,
            of("device", device=KEYS[LAPTOP].public, name="laptop") + b"\x00",
        ),
    ]:
        yield {"name": name, "kind": kind, "refusal": why, "body": body}


def refused_clears():
    def changed_clear(**fields):
        return sign1("clear", KEYS[CLEAR.signer], payload("clear", CLEAR.fields | fields))

    bare = {key: value for key, value in cbor2.loads(CLEAR.payload).items() if key != 2}
    broken = flipped(CLEAR.envelope, len(CLEAR.envelope) - 1)
    for name, why, envelope in [
        ("marks out of order", "not-canonical", changed_clear(through=SOME_MARKS[1::-1])),
        ("a mark twice", "not-canonical", changed_clear(through=SOME_MARKS[:1] * 2)),
        ("129 marks", "too-large", changed_clear(through=SOME_MARKS)),
        ("a mark with number 0", "value", changed_clear(through=[SOME_MARKS[0] | {"seq": 0}])),
        ("no marks", "missing", sign1("clear", KEYS[CLEAR.signer], cbor2.dumps(bare))),
        ("12,289 bytes", "too-large", filled_to(12_289, CLEAR)),
        ("a cut for a clear", "value", CUT.envelope),
        ("a broken signature", "signature", broken),
    ]:
        yield refused(name, "clear", why, envelope)


def own_vectors():
    return {
        "about": "The log that a person's devices share (spec 07).",
        "logs_of_one": [{"account": one, "log": self_log(one)} for one in (ALICE, BOB)],
        "envelopes": [CLEAR.case(), CLEAR_BY_RECOVERY.case()],
        "accepted": [accepted("12,288 bytes", "clear", filled_to(12_288, CLEAR))],
        "refused": list(refused_clears()),
        "own": list(own_bodies()),
        "own_refused": list(refused_own()),
    }


# --- 08 -----------------------------------------------------------------------------------------

OPENING = nonce("opening")
CODE_KEY = KEYS["alice.phone one-time"].public
TOKEN = nonce("token")[:16]
TABLET_AUTHORITY = KEYS[f"{TABLET} authority"].public
JOIN = Signed(
    "the tablet asks",
    "join-request",
    TABLET,
    {
        "token": TOKEN,
        "commitment": commitment(OPENING, KEYS[TABLET].public, TABLET_AUTHORITY),
        "name": "tablet",
    },
)
JOIN_BY_MAIL = Signed(
    "the tablet asks by mail",
    "join-request",
    TABLET,
    JOIN.fields | {"reply": ["https://mail.example.org", nonce("seed of the reply queue"), 7]},
)
OFFER = Signed(
    "the phone offers",
    "link-offer",
    PHONE,
    {
        "account": ALICE,
        "inviter": KEYS[f"{PHONE} authority"].public,
        "nonce": nonce("offer"),
        "proof": ALICE_PROOF,
        "request": digest(JOIN.envelope),
    },
)
ACCEPT = Signed(
    "the tablet accepts",
    "link-accept",
    TABLET,
    {"opening": OPENING, "acknowledgement": TABLET_ACK.envelope},
)
ACCEPT_MERGING = Signed(
    "a device brings its account along",
    "link-accept",
    TABLET,
    ACCEPT.fields | {"brings": BOB_PROOF},
)


def refused_link_messages():
    def changed_message(one, **fields):
        return sign1(one.format, KEYS[one.signer], payload(one.format, one.fields | fields))

    bare = {key: value for key, value in cbor2.loads(OFFER.payload).items() if key != 4}
    for name, why, one, envelope in [
        ("a token of 15 bytes", "value", JOIN, changed_message(JOIN, token=TOKEN[1:])),
        ("a commitment of 31 bytes", "value", JOIN, changed_message(JOIN, commitment=bytes(31))),
        ("a name of 65 bytes", "too-large", JOIN, changed_message(JOIN, name="t" * 65)),
        ("a request of 1025 bytes", "too-large", JOIN, filled_to(1025, JOIN)),
        ("an accept for a request", "value", JOIN, ACCEPT.envelope),
        ("257 envelopes of proof", "too-large", OFFER, changed_message(OFFER, proof=[b""] * 257)),
        ("an offer to no request", "missing", OFFER, sign1(OFFER.format, KEYS[PHONE], cbor2.dumps(bare))),
        ("an inviter of 33 bytes", "too-large", OFFER, changed_message(OFFER, inviter=bytes(33))),
        ("an opening of 31 bytes", "value", ACCEPT, changed_message(ACCEPT, opening=bytes(31))),
        (
            "an acknowledgement of 513 bytes",
            "too-large",
            ACCEPT,
            changed_message(ACCEPT, acknowledgement=bytes(513)),
        ),
        ("an account without proof", "not-canonical", ACCEPT, changed_message(ACCEPT, brings=[])),
        ("a broken signature", "signature", ACCEPT, flipped(ACCEPT.envelope, len(ACCEPT.envelope) - 1)),
    ]:
        yield refused(name, one.format, why, envelope)


CODE_QUEUE = ["https://mail.example.org:8448", nonce("seed of the code's queue"), 7]


def codes():
    text = device_code(CODE_KEY, TOKEN, ADDRESSES)
    good = [
        {"name": "a code", "text": text, "key": CODE_KEY, "token": TOKEN, "addresses": ADDRESSES},
        {
            "name": "a code without addresses",
            "text": device_code(CODE_KEY, TOKEN, []),
            "key": CODE_KEY,
            "token": TOKEN,
            "addresses": [],
        },
    ]
    for name, more in [("a code by mail", {4: CODE_QUEUE}), ("with a word", {4: CODE_QUEUE, 5: "word"})]:
        case = good[0] | {"name": name, "queue": CODE_QUEUE, "access": more.get(5, "")}
        good.append(case | {"text": device_code(CODE_KEY, TOKEN, ADDRESSES, extra=more)})
    wrong = [
        ("no prefix", "not-a-code", text.removeprefix("kith-device:")),
        ("a link", "not-a-code", link(shared_string(KEYS["alice.recovery"].public, ALICE), [], "", [])),
        ("8193 characters", "not-a-code", "kith-device:" + "A" * 8193),
        ("padded base64", "malformed", text + "="),
        ("a character missing", "malformed", text[:-1]),
        ("version 2", "value", device_code(CODE_KEY, TOKEN, [], version=2)),
        ("a key of 31 bytes", "value", device_code(CODE_KEY[1:], TOKEN, [])),
        ("a token of 17 bytes", "too-large", device_code(CODE_KEY, TOKEN + b"\x00", [])),
        ("seventeen addresses", "too-large", device_code(CODE_KEY, TOKEN, ADDRESSES[:1] * 17)),
        ("a field too many", "unknown-critical", device_code(CODE_KEY, TOKEN, [], extra={6: 0})),
        ("a queue for two days", "value", device_code(CODE_KEY, TOKEN, [], extra={4: [*CODE_QUEUE[:2], 2]})),
        ("a queue at no server", "value", device_code(CODE_KEY, TOKEN, [], extra={4: ["x", *CODE_QUEUE[1:]]})),
        ("a word without a queue", "value", device_code(CODE_KEY, TOKEN, [], extra={5: "word"})),
        ("an empty word", "value", device_code(CODE_KEY, TOKEN, [], extra={4: CODE_QUEUE, 5: ""})),
    ]
    return good, [{"name": n, "refusal": why, "text": text_} for n, why, text_ in wrong]


def linking_vectors():
    good_codes, wrong_codes = codes()
    checks = [
        (JOIN.envelope, OFFER.envelope, OPENING),
        (JOIN.envelope, OFFER.envelope, nonce("another opening")),
        (b"", b"", bytes(32)),
    ]
    # A number that begins with zeros is shown with them.
    low = (nonce(f"low {n}") for n in range(1 << 20))
    checks.append(next((b"", b"", one) for one in low if check_number(b"", b"", one)[:2] == "00"))
    sealed = []
    for name, to, one in [
        ("a join", "alice.phone one-time", JOIN),
        ("an offer", TABLET, OFFER),
        ("an accept", "alice.phone one-time", ACCEPT),
    ]:
        seed = nonce(f"ephemeral of {name}")
        box = sealed_box(KEYS[to].public, one.envelope, seed)
        case = {"name": name, "to": to, "ephemeral_seed": seed}
        sealed.append(case | {"plain": one.envelope, "sealed": box})
    types = ["join", "offer", "accept"]
    wrong = [
        ("a join of 1073 bytes", "too-large", frame("join", {"sealed": bytes(1073)})),
        ("an offer of 69,681 bytes", "too-large", frame("offer", {"sealed": bytes(69_681)})),
        ("an accept of 69,681 bytes", "too-large", frame("accept", {"sealed": bytes(69_681)})),
        ("an empty join", "missing", cbor2.dumps([9, {}])),
        ("an accept with more", "unknown-critical", cbor2.dumps([11, {0: b"", 1: b""}])),
    ]
    return {
        "about": "Codes and messages by which a device joins an account (spec 08).",
        "envelopes": [JOIN.case(), JOIN_BY_MAIL.case(), OFFER.case(), ACCEPT.case(), ACCEPT_MERGING.case()],
        "refused": list(refused_link_messages()),
        "codes": good_codes,
        "codes_refused": wrong_codes,
        "commitments": [
            {
                "opening": OPENING,
                "device": KEYS[TABLET].public,
                "authority": TABLET_AUTHORITY,
                "commitment": JOIN.fields["commitment"],
            }
        ],
        "checks": [
            {"request": r, "offer": o, "opening": p, "number": check_number(r, o, p)}
            for r, o, p in checks
        ],
        "sealed": sealed,
        "frames": [
            framed(case["name"], type_, {"sealed": case["sealed"]})
            for type_, case in zip(types, sealed)
        ],
        "frames_refused": [refused_frame(*one) for one in wrong],
        "frames_ignored": [],
    }


# --- 09 -----------------------------------------------------------------------------------------


def queue(name, url="https://mail.example.org", days=7):
    return {"url": url, "seed": nonce(f"queue {name}"), "days": days}


LETTER = {
    "from": [nonce("from account"), nonce("from device")],
    "to": [nonce("to account"), nonce("to device")],
    "frames": [frame("packages", {"packages": [b"a package"]}), b"anything"],
    "packages": [bytes(2676)],
    "joined": [nonce("group")],
    "heard": nonce("heard"),
    "reply": [queue("reply")],
    "told": nonce("told"),
}
BARE = LETTER | {"frames": [], "packages": [], "joined": [], "heard": None, "reply": [], "told": None}


def mail_seeds():
    for name in ["one", "another"]:
        seed = nonce(f"queue {name}")
        public = bytes(SigningKey(derived(seed, b"mail-put")).verify_key)
        yield {"seed": seed, "writer": public}


def mail_blobs():
    seed = nonce("queue one")
    for name, content, size in [
        ("nothing", b"", 4096),
        ("all that fits", b"x" * (4096 - 44), 4096),
        ("a letter", mail_content(None, letter(LETTER)), 16_384),
    ]:
        number = nonce(f"blob {name}")[:24]
        blob = sealed_blob(seed, number, content, size)
        yield {"name": name, "seed": seed, "nonce": number, "content": content, "blob": blob}


def wrong_blobs():
    seed = nonce("queue one")
    good = sealed_blob(seed, bytes(24), b"x", 4096)
    yield {"name": "of another queue", "seed": nonce("queue another"), "blob": good}
    yield {"name": "cut off", "seed": seed, "blob": good[:-1]}
    late = sealed(seed, bytes(24), b"mail-put", (5000).to_bytes(4, "big") + bytes(4052))
    yield {"name": "longer than it is", "seed": seed, "blob": late}
    dirty = sealed(seed, bytes(24), b"mail-put", bytes(4) + bytes(4051) + b"\x01")
    yield {"name": "padded with something", "seed": seed, "blob": dirty}
    card_ = sealed(seed, bytes(24), b"mailcard", bytes(4056))
    yield {"name": "a card", "seed": seed, "blob": card_}


def wrong_letters():
    whole = cbor2.loads(letter(LETTER))
    for name, why, change in [
        ("a letter without a reader", "missing", {3: ...}),
        ("65 frames", "too-large", {4: [b""] * 65}),
        ("nine packages", "too-large", {5: [b""] * 9}),
        ("a package of 4097 bytes", "too-large", {5: [bytes(4097)]}),
        ("five groups", "too-large", {6: [b""] * 5}),
        ("a group name of 65 bytes", "too-large", {6: [bytes(65)]}),
        ("an empty answer", "value", {8: []}),
        ("five queues", "too-large", {8: [["https://a", bytes(32), 7]] * 5}),
        ("a queue for two days", "value", {8: [["https://a", bytes(32), 2]]}),
        ("a queue by ftp", "value", {8: [["ftp://a", bytes(32), 7]]}),
        ("a queue with a path", "value", {8: [["https://a/b", bytes(32), 7]]}),
        ("something that is critical", "unknown-critical", {10: 0}),
    ]:
        fields = {k: v for k, v in (whole | change).items() if v is not ...}
        yield {"name": name, "refusal": why, "letter": cbor2.dumps(fields)}


def mail_vectors():
    queues = [queue("one"), queue("two", "http://127.0.0.1:8448", 1)]
    number = nonce("card")[:24]
    card_ = sealed(nonce("queue one"), number, b"mailcard", cbor2.dumps({0: bytes(2676)}))
    return {
        "about": "Letters for devices that are not there (spec 09).",
        "envelopes": [],
        "refused": [],
        "queues": list(mail_seeds()),
        "blobs": list(mail_blobs()),
        "blobs_refused": list(wrong_blobs()),
        "cards": [{"seed": nonce("queue one"), "package": bytes(2676), "sealed": card_}],
        "letters": [
            {"name": name, "fields": fields, "letter": letter(fields)}
            for name, fields in [("with everything", LETTER), ("with nothing", BARE)]
        ],
        "letters_refused": list(wrong_letters()),
        "contents": [
            {"welcome": welcome, "message": b"m" * 200, "content": mail_content(welcome, b"m" * 200)}
            for welcome in [None, b"w" * 4227]
        ],
        "announcements": [
            {"queues": some, "body": nonce("salt")[:16] + cbor2.dumps({0: [queue_fields(one) for one in some]})}
            for some in [[], queues]
        ],
    }


# --- 10 -----------------------------------------------------------------------------------------

ANNOUNCE_SECRET = nonce("announce secret")
ADDRESSES_KEY = nonce("key of addresses")
# Twenty past five in the morning: no other day counts.
MORNING_MS = NEW_YEAR_MS + 5 * HOUR_MS + 1_234_567
TODAY = day_of(MORNING_MS)
SIGNER = announce_key(ANNOUNCE_SECRET, TODAY)
RECORD_FIELDS = record_fields(ADDRESSES_KEY, SIGNER, ADDRESSES, MORNING_MS, 0, nonce("record")[:24])
RECORD = record(SIGNER, RECORD_FIELDS)
RELAYED = f"/ip4/192.0.2.9/udp/8451/quic-v1/p2p/{'R' * 52}/p2p-circuit/p2p/{'D' * 52}"


def announce_keys():
    secrets = [ANNOUNCE_SECRET, nonce("another announce secret")]
    for secret, day in [(one, day) for one in secrets for day in (0, 1, TODAY, 2**32 - 1)]:
        signer = announce_key(secret, day)
        yield {"secret": secret, "day": day, "public": signer.public, "key": record_key(signer)}


def days():
    """Moments, and the days that count at them."""
    early, late = 2 * HOUR_MS, 22 * HOUR_MS
    edges = [0, early - 1, early, late - 1, late, DAY_MS - 1]
    moments = [0, *(NEW_YEAR_MS + edge for edge in edges)]
    return [{"now": now, "days": days_around(now)} for now in moments]


def records():
    seconds = MORNING_MS // 1000
    long = [RELAYED, RELAYED, *(f"/ip6/2001:db8::{n:04x}/udp/4001/quic-v1" for n in range(17))]
    for name, now, after, offered in [
        ("no address", MORNING_MS, 0, []),
        ("two addresses", MORNING_MS, 0, ADDRESSES),
        ("two of a second", MORNING_MS, seconds, ADDRESSES),
        ("a clock that went back", MORNING_MS, seconds + 500, ADDRESSES),
        ("a full hour", NEW_YEAR_MS + 5 * HOUR_MS, 0, ADDRESSES),
        ("the last millisecond of an hour", NEW_YEAR_MS + 6 * HOUR_MS - 1, 0, ADDRESSES),
        ("sixteen of twenty", MORNING_MS, 0, ["/ip4/192.0.2.7/tcp/1"] * 20),
        ("as many as fit", MORNING_MS, 0, long),
    ]:
        number = nonce(f"record {name}")[:24]
        fields = record_fields(ADDRESSES_KEY, SIGNER, offered, now, after, number)
        yield {
            "name": name,
            "secret": ANNOUNCE_SECRET,
            "day": TODAY,
            "addresses_key": ADDRESSES_KEY,
            "now": now,
            "after": after,
            "nonce": number,
            "offered": offered,
            "addresses": fitting(offered),
            "sequence": fields["sequence"],
            "not_after": fields["not_after"],
            "key": record_key(SIGNER),
            "record": record(SIGNER, fields),
        }


def records_kept():
    """At the bounds of what is accepted."""
    end = RECORD_FIELDS["not_after"]
    last = record(SIGNER, RECORD_FIELDS | {"sequence": 2**53 - 1})
    for name, now, value in [
        ("in its last millisecond", end - 1, RECORD),
        ("with 24 hours to live", end - DAY_MS, RECORD),
        ("the highest sequence", MORNING_MS, last),
        ("sequence 0", MORNING_MS, record(SIGNER, RECORD_FIELDS | {"sequence": 0})),
        ("an extension", MORNING_MS, extended_record(bytes(8))),
        ("1024 bytes", MORNING_MS, record_of(1024)),
    ]:
        yield {"name": name, "key": record_key(SIGNER), "now": now, "record": value}


def extended_record(extension_):
    content = cbor2.loads(payload("record", RECORD_FIELDS)) | {128: extension_}
    return sign1("record", SIGNER, cbor2.dumps(content))


def record_of(size):
    made = (extended_record(bytes(zeros)) for zeros in range(size))
    return next(one for one in made if len(one) == size)


def records_refused():
    """What nobody keeps, whatever its form: where it lies, when, and by whose hand."""
    key, end = record_key(SIGNER), RECORD_FIELDS["not_after"]
    tomorrow = record_key(announce_key(ANNOUNCE_SECRET, TODAY + 1))
    for name, why, key_, now, value in [
        ("under another key", "key", tomorrow, MORNING_MS, RECORD),
        ("under the public key itself", "key", SIGNER.public, MORNING_MS, RECORD),
        ("under half of its key", "key", key[:16], MORNING_MS, RECORD),
        ("under its key and a byte", "key", key + b"\x00", MORNING_MS, RECORD),
        ("at its end", "time", key, end, RECORD),
        ("after its end", "time", key, end + 1, RECORD),
        ("with more than 24 hours to live", "time", key, end - DAY_MS - 1, RECORD),
        ("a bit of the sealed part flipped", "signature", key, MORNING_MS, flipped(RECORD, 500)),
        ("a bit of the signature flipped", "signature", key, MORNING_MS, flipped(RECORD, len(RECORD) - 1)),
    ]:
        yield {"name": name, "refusal": why, "key": key_, "now": now, "record": value}


def refused_records():
    """What is no record."""
    whole = cbor2.loads(payload("record", RECORD_FIELDS))

    def saying(**fields):
        return record(SIGNER, RECORD_FIELDS | fields)

    def content(fields):
        return sign1("record", SIGNER, cbor2.dumps(fields))

    without = [{key: value for key, value in whole.items() if key != gone} for gone in range(3)]
    sealed_ = RECORD_FIELDS["sealed"]
    for name, why, envelope in [
        ("a record without a sequence", "missing", content(without[0])),
        ("a record without an end", "missing", content(without[1])),
        ("a record that says nothing", "missing", content(without[2])),
        ("a record with field 3", "unknown-critical", content(whole | {3: 0})),
        ("sequence 2^53", "too-large", saying(sequence=2**53)),
        ("an end of 49 bits", "too-large", saying(not_after=2**48)),
        ("807 bytes sealed", "value", saying(sealed=sealed_[1:])),
        ("809 bytes sealed", "too-large", saying(sealed=sealed_ + b"\x00")),
        ("a record of 1025 bytes", "too-large", record_of(1025)),
        ("a certificate for a record", "value", CERT.envelope),
        ("a byte behind the record", "trailing", RECORD + b"\x00"),
        ("a record cut short", "malformed", RECORD[:-1]),
        ("a record signed by another", "signature", RECORD[:-64] + KEYS["mallory.phone"].sign(signed_part())),
        ("a record signed as an entry", "signature", RECORD[:-64] + SIGNER.sign(signed_part(b"kith/entry/1"))),
    ]:
        yield refused(name, "record", why, envelope)


def signed_part(domain=b"kith/record/1"):
    protected_, _, payload_, _ = cbor2.loads(RECORD).value
    return to_be_signed(protected_, payload_, domain)


def records_closed():
    """Everybody keeps them, but they say nothing."""
    mallory = Key("mallory.phone announces")

    def case(name, why, plain, signer=SIGNER, sealed_for=SIGNER, key=ADDRESSES_KEY):
        sealed_ = sealed_content(key, sealed_for, nonce(name)[:24], plain)
        return {
            "name": name,
            "refusal": why,
            "addresses_key": ADDRESSES_KEY,
            "key": record_key(signer),
            "now": MORNING_MS,
            "record": record(signer, RECORD_FIELDS | {"sealed": sealed_}),
        }

    def says(fields):
        return padded(cbor2.dumps(fields))

    good = cbor2.dumps({0: ADDRESSES})
    yield case("sealed with another key", "sealed", padded(good), key=nonce("another key"))
    yield case("another signs what was sealed", "sealed", padded(good), signer=mallory)
    yield case("padded with something", "sealed", padded(good)[:-1] + b"\x01")
    yield case("padded with ones", "sealed", padded(good, filler=b"\x01"))
    yield case("longer than it is", "sealed", padded(good, length=765))
    yield case("much longer than it is", "sealed", padded(good, length=2**32 - 1))
    yield case("cut before its end", "malformed", padded(b"\xa1\x00\x81\x61"))
    yield case("no content", "malformed", padded(b""))
    yield case("more than its content", "trailing", padded(good + b"\x00"))
    yield case("no map", "wrong-type", says(ADDRESSES))
    yield case("no addresses", "missing", says({}))
    yield case("seventeen addresses", "too-large", says({0: ["/ip4/192.0.2.7"] * 17}))
    yield case("an address of 257 bytes", "too-large", says({0: ["a" * 257]}))
    yield case("an address in bytes", "wrong-type", says({0: [b"/ip4/192.0.2.7"]}))
    yield case("a record content with field 1", "unknown-critical", says({0: [], 1: 0}))


def schedules():
    keys = [announce_key(ANNOUNCE_SECRET, TODAY + day).public for day in range(31)]
    for name, count in [("a month", 31), ("a day", 1), ("nowhere", 0)]:
        fields = {"addresses": ADDRESSES_KEY, "first": TODAY, "keys": keys[:count]}
        body = schedule(salt(name), fields)
        yield {"name": name, "secret": ANNOUNCE_SECRET, "salt": salt(name)} | fields | {"body": body}


def schedules_refused():
    fields = {"addresses": ADDRESSES_KEY, "first": TODAY, "keys": [SIGNER.public]}
    whole = cbor2.loads(schedule(b"", fields))

    def saying(**more):
        return schedule(bytes(16), fields | more)

    def without(gone):
        return bytes(16) + cbor2.dumps({key: value for key, value in whole.items() if key != gone})

    for name, why, body in [
        ("shorter than its salt", "malformed", bytes(15)),
        ("only a salt", "malformed", bytes(16)),
        ("no key of addresses", "missing", without(0)),
        ("no first day", "missing", without(1)),
        ("no keys", "missing", without(2)),
        ("a key of addresses of 31 bytes", "value", saying(addresses=ADDRESSES_KEY[1:])),
        ("a key of addresses of 33 bytes", "too-large", saying(addresses=ADDRESSES_KEY + b"\x00")),
        ("first day 2^32", "too-large", saying(first=2**32)),
        ("a key and a half", "value", saying(keys=[SIGNER.public, SIGNER.public[:16]])),
        ("32 keys", "too-large", saying(keys=[SIGNER.public] * 32)),
        ("keys in a list", "wrong-type", bytes(16) + cbor2.dumps(whole | {2: [SIGNER.public]})),
        ("an announcement with field 3", "unknown-critical", bytes(16) + cbor2.dumps(whole | {3: 0})),
        ("a byte behind the end", "trailing", saying() + b"\x00"),
    ]:
        yield {"name": name, "refusal": why, "body": body}


PEOPLE = {"alice": (ALICE, ALICE_PROOF), "bob": (BOB, BOB_PROOF), "mallory": (MALLORY, MALLORY_PROOF)}
ON_LINK = {"asker": transport("bob.phone"), "answerer": transport("alice.phone")}


def shared_id(person):
    return {"recovery": KEYS[f"{person}.recovery"].public, "checksum": PEOPLE[person][0][:16]}


def find_keys():
    for person in ("alice", "bob"):
        id_ = shared_id(person)
        find = FindKey(**id_)
        slots = []
        for day, slot in [(day, slot) for day in (0, TODAY, 2**32 - 1) for slot in range(4)]:
            signer = find.signer(day, slot)
            case = {"day": day, "slot": slot, "public": signer.public, "key": record_key(signer)}
            slots.append(case)
        links_ = [ON_LINK, {"asker": b"", "answerer": bytes(64)}]
        yield id_ | {
            "text": shared_string(id_["recovery"], PEOPLE[person][0]),
            "slots": slots,
            "addresses": find.addresses,
            "proofs": [one | {"proof": find.proof(**one)} for one in links_],
        }


def found_cards():
    mail = ["https://mail.example.org", nonce("knock queue"), 7]
    for name, addresses, knocks in [
        ("relayed addresses alone", [RELAYED], []),
        ("by mail too", [], [[KEYS["alice.phone"].public, mail]]),
    ]:
        content = card(ALICE_PROOF, "Alice", addresses, knocks=knocks)
        number = nonce(f"card {name}")[:24]
        sealed_ = FindKey(**shared_id("alice")).seal_card(number, content, **ON_LINK)
        case = {"name": name, "says": "Alice", "addresses": addresses, "knocks": knocks}
        case |= shared_id("alice") | ON_LINK | {"proof": ALICE_PROOF, "nonce": number}
        yield case | {"card": content, "sealed": sealed_}


def found_cards_refused():
    good = card(ALICE_PROOF, "Alice", [RELAYED])

    def seal(content, person="alice", link_=ON_LINK):
        return FindKey(**shared_id(person)).seal_card(nonce("card")[:24], content, **link_)

    swapped = {"asker": ON_LINK["answerer"], "answerer": ON_LINK["asker"]}
    another = ON_LINK | {"answerer": transport("mallory.phone")}
    for name, why, sealed_ in [
        ("sealed with another id", "card", seal(good, "bob")),
        ("for the other direction", "card", seal(good, link_=swapped)),
        ("for another link", "card", seal(good, link_=another)),
        ("a bit flipped", "card", flipped(seal(good), 300)),
        ("a byte missing", "card", seal(good)[:-1]),
        ("a nonce and half a tag", "card", bytes(32)),
        ("73,769 bytes", "card", seal(bytes(73_769 - 40))),
        ("no card", "card", seal(b"")),
        ("a card of version 2", "card", seal(card(ALICE_PROOF, "Alice", [], version=2))),
        ("an account without proof", "account", seal(card([], "Alice", []))),
        ("another account", "mismatch", seal(card(MALLORY_PROOF, "Alice", []))),
    ]:
        yield {"name": name, "refusal": why} | shared_id("alice") | ON_LINK | {"sealed": sealed_}


def finding_frames():
    find = FindKey(**shared_id("alice"))
    proof = find.proof(**ON_LINK)
    key = seek_token(ADDRESSES_KEY, record_key(SIGNER), **ON_LINK)
    other = seek_token(find.addresses, record_key(find.signer(TODAY, 0)), **ON_LINK)
    sealed_ = find.seal_card(nonce("card")[:24], card(ALICE_PROOF, "Alice", [RELAYED]), **ON_LINK)
    good = [
        framed("looking for two devices", "seek", {"tokens": [key, other]}),
        framed("looking for sixteen", "seek", {"tokens": [nonce(f"token {n}") for n in range(16)]}),
        framed("looking for nobody", "seek", {"tokens": []}),
        framed("a record", "records", {"records": [RECORD]}),
        framed("sixteen records of 1024 bytes", "records", {"records": [record_of(1024)] * 16}),
        framed("no record", "records", {"records": []}),
        framed("a proof of knowing an id", "who", {"proof": proof}),
        framed("a card", "card", {"sealed": sealed_}),
        framed("a card of 73,768 bytes", "card", {"sealed": bytes(73_768)}),
    ]
    wrong = [
        ("seventeen tokens", "too-large", frame("seek", {"tokens": [key] * 17})),
        ("a token of 31 bytes", "value", frame("seek", {"tokens": [key[1:]]})),
        ("a token of 33 bytes", "too-large", frame("seek", {"tokens": [key + b"\x00"]})),
        ("tokens without a list", "wrong-type", frame("seek", {"tokens": key})),
        ("looking without keys", "missing", cbor2.dumps([14, {}])),
        ("looking with more", "unknown-critical", cbor2.dumps([14, {0: [], 1: 0}])),
        ("seventeen records", "too-large", frame("records", {"records": [b""] * 17})),
        ("a record of 1025 bytes", "too-large", frame("records", {"records": [bytes(1025)]})),
        ("records that are text", "wrong-type", frame("records", {"records": ["a"]})),
        ("records without any list", "missing", cbor2.dumps([15, {}])),
        ("a proof of 31 bytes", "value", frame("who", {"proof": proof[1:]})),
        ("a proof of 33 bytes", "too-large", frame("who", {"proof": proof + b"\x00"})),
        ("who without a proof", "missing", cbor2.dumps([16, {}])),
        ("a proof and more", "unknown-critical", cbor2.dumps([16, {0: proof, 1: proof}])),
        ("a card of 73,769 bytes", "too-large", frame("card", {"sealed": bytes(73_769)})),
        ("a card that is text", "wrong-type", frame("card", {"sealed": "a card"})),
        ("an answer without a card", "missing", cbor2.dumps([17, {}])),
        ("a byte behind a proof", "trailing", frame("who", {"proof": proof}) + b"\x00"),
    ]
    return good, [refused_frame(*one) for one in wrong]


def finding_vectors():
    good, wrong = finding_frames()
    find = FindKey(**shared_id("alice"))
    keys = [ADDRESSES_KEY, nonce("another key of addresses")]
    return {
        "about": "How devices find each other: records, announcements, what follows from an id (spec 10).",
        "envelopes": [],
        "refused": list(refused_records()),
        "announce_keys": list(announce_keys()),
        "days": days(),
        "namespaces": [
            {"addresses_key": key, "day": day, "namespace": namespace(key, day)}
            for key in keys
            for day in (0, TODAY, 2**32 - 1)
        ],
        "seek_tokens": [
            {
                "addresses_key": key,
                "record_key": record_key(signer),
                **ON_LINK,
                "token": seek_token(key, record_key(signer), **ON_LINK),
            }
            for key in keys
            for signer in (SIGNER, find.signer(TODAY, 0))
        ],
        "records": list(records()),
        "records_kept": list(records_kept()),
        "records_refused": list(records_refused()),
        "records_closed": list(records_closed()),
        "schedules": list(schedules()),
        "schedules_refused": list(schedules_refused()),
        "ids": list(find_keys()),
        "found_cards": list(found_cards()),
        "found_cards_refused": list(found_cards_refused()),
        "frames": good,
        "frames_refused": wrong,
        "frames_ignored": [],
    }


# --- 20 -----------------------------------------------------------------------------------------

INCARNATION = nonce("incarnation")[:16]
BLOB = bytes(range(256)) * 16


def stamped(name, **more):
    return {"audience": "mail.example.org", "time": NEW_YEAR_MS, "nonce": nonce(name)[:16]} | more


def asked(name, format_name, signer, **more):
    return Signed(name, format_name, signer, stamped(name, **more))


OPEN = asked(
    "a queue is opened",
    "mailbox-open",
    "queue owner",
    writer=KEYS["queue writer"].public,
    days=7,
    blobs_max=1000,
    bytes_max=16 << 20,
)
OPEN_MORE = asked(
    "a queue with a card and an access word",
    "mailbox-open",
    "queue owner",
    **{key: OPEN.fields[key] for key in ("writer", "bytes_max")},
    days=1,
    blobs_max=65535,
    card=b"a card",
    access="Sesam öffne dich",
)
PUT = asked("a blob is put", "mailbox-put", "queue writer", hash=digest(BLOB))
FETCH = asked("a fetch that deletes", "mailbox-fetch", "queue owner", delete=[1, 2, 70_000], wait_ms=60_000)
FETCH_FIRST = asked("a first fetch", "mailbox-fetch", "queue owner", delete=[], wait_ms=0)
STATUS = asked("a writer asks", "mailbox-status", "queue writer")
CLOSE = asked("a queue is closed", "mailbox-close", "queue writer")


def refused_requests():
    def changed_request(one, **fields):
        return sign1(one.format, KEYS[one.signer], payload(one.format, one.fields | fields))

    late = changed_request(STATUS, time=2**48)
    for name, why, one, envelope in [
        ("no audience", "value", STATUS, changed_request(STATUS, audience="")),
        ("an audience of 257 bytes", "too-large", STATUS, changed_request(STATUS, audience="a" * 257)),
        ("a time beyond 48 bits", "too-large", STATUS, late),
        ("a nonce of 15 bytes", "value", STATUS, changed_request(STATUS, nonce=bytes(15))),
        ("a status of 1025 bytes", "too-large", STATUS, filled_to(1025, STATUS)),
        ("a close for a status", "value", STATUS, CLOSE.envelope),
        ("a writer of 31 bytes", "value", OPEN, changed_request(OPEN, writer=bytes(31))),
        ("two days", "value", OPEN, changed_request(OPEN, days=2)),
        ("room for no blob", "value", OPEN, changed_request(OPEN, blobs_max=0)),
        ("room for 65,536 blobs", "too-large", OPEN, changed_request(OPEN, blobs_max=65536)),
        ("room for 2^53 bytes", "too-large", OPEN, changed_request(OPEN, bytes_max=2**53)),
        ("an empty card", "value", OPEN, changed_request(OPEN, card=b"")),
        ("a card of 16,385 bytes", "too-large", OPEN, changed_request(OPEN, card=bytes(16385))),
        ("an empty access word", "value", OPEN, changed_request(OPEN, access="")),
        ("an access word of 65 bytes", "too-large", OPEN, changed_request(OPEN, access="a" * 65)),
        ("a hash of 33 bytes", "too-large", PUT, changed_request(PUT, hash=bytes(33))),
        ("a put without a hash", "missing", PUT, sign1(PUT.format, KEYS[PUT.signer], STATUS.payload)),
        ("numbers out of order", "not-canonical", FETCH, changed_request(FETCH, delete=[2, 1])),
        ("a number twice", "not-canonical", FETCH, changed_request(FETCH, delete=[1, 1])),
        ("513 numbers", "too-large", FETCH, changed_request(FETCH, delete=list(range(513)))),
        ("a number of 2^53", "too-large", FETCH, changed_request(FETCH, delete=[2**53])),
        ("a wait of more than a minute", "too-large", FETCH, changed_request(FETCH, wait_ms=60_001)),
        ("a status with more", "unknown-critical", STATUS, sign1(STATUS.format, KEYS[STATUS.signer], PUT.payload)),
        ("a broken signature", "signature", PUT, flipped(PUT.envelope, len(PUT.envelope) - 1)),
    ]:
        yield refused(name, one.format, why, envelope)


def replies():
    items = [{"number": 1, "blob": BLOB}, {"number": 3}, {"number": 70_000, "blob": bytes(4096)}]
    for name, type_, fields in [
        ("opened", "opened", {"incarnation": INCARNATION, "blobs_max": 1000, "bytes_max": 16 << 20}),
        ("stored", "stored", {"incarnation": INCARNATION}),
        ("nothing there", "fetched", {"incarnation": INCARNATION, "items": [], "more": False}),
        ("two blobs and a mark", "fetched", {"incarnation": INCARNATION, "items": items, "more": True}),
        ("standing", "standing", {"incarnation": INCARNATION, "days": 7}),
        ("standing with a card", "standing", {"incarnation": INCARNATION, "days": 1, "card": b"a card"}),
        ("closed", "done", {}),
        ("too early", "failure", {"code": "stale", "sentence": "Try again.", "value": NEW_YEAR_MS}),
        ("no queue", "failure", {"code": "unknown-queue", "sentence": "No."}),
    ]:
        yield {"name": name, "type": type_, "fields": fields, "reply": reply(type_, fields)}


def refused_replies():
    def of_items(items):
        return cbor2.dumps({0: INCARNATION, 1: items, 2: False})

    def failed(code, sentence="", **more):
        return reply("failure", {"code": code, "sentence": sentence} | more)

    opened = {"incarnation": INCARNATION, "blobs_max": 1, "bytes_max": 0}
    for name, type_, why, bytes_ in [
        ("an incarnation of 15 bytes", "stored", "value", reply("stored", {"incarnation": INCARNATION[1:]})),
        ("room for nothing", "opened", "value", reply("opened", opened | {"blobs_max": 0})),
        ("room for too many", "opened", "too-large", reply("opened", opened | {"blobs_max": 65536})),
        ("an item of nothing", "fetched", "value", of_items([[]])),
        ("an item of three", "fetched", "too-large", of_items([[1, BLOB, 0]])),
        ("an item that is null", "fetched", "wrong-type", of_items([[1, None]])),
        ("a blob of no class", "fetched", "value", of_items([[1, bytes(4095)]])),
        ("items out of order", "fetched", "not-canonical", of_items([[2], [1]])),
        ("513 items", "fetched", "too-large", of_items([[n] for n in range(513)])),
        ("no word whether there is more", "fetched", "missing", cbor2.dumps({0: INCARNATION, 1: []})),
        ("three days", "standing", "value", reply("standing", {"incarnation": INCARNATION, "days": 3})),
        ("an empty card", "standing", "value", reply("standing", {"incarnation": INCARNATION, "days": 1, "card": b""})),
        ("done and more", "done", "unknown-critical", cbor2.dumps({0: 1})),
        ("a code that is unknown", "failure", "value", failed("never-heard")),
        ("a code of 33 bytes", "failure", "too-large", failed("a" * 33)),
        ("a sentence of 257 bytes", "failure", "too-large", failed("full", "a" * 257)),
        ("a value of 2^53", "failure", "too-large", failed("full", value=2**53)),
    ]:
        yield {"name": name, "type": type_, "refusal": why, "reply": bytes_}


def mailbox_vectors():
    requests = [OPEN, OPEN_MORE, PUT, FETCH, FETCH_FIRST, STATUS, CLOSE]
    body = put_body(PUT.envelope, BLOB)
    wrong_bodies = [
        ("an envelope of 1025 bytes", "too-large", put_body(bytes(1025), b"")),
        ("no blob", "value", cbor2.dumps([PUT.envelope])),
        ("more than a blob", "too-large", cbor2.dumps([PUT.envelope, b"", b""])),
        ("bytes behind the end", "trailing", put_body(PUT.envelope, b"") + b"\x00"),
    ]
    bodies = {1: OPEN.envelope, 2: body, 3: FETCH.envelope, 4: STATUS.envelope, 5: CLOSE.envelope}
    names = ["open", "put", "fetch", "status", "close"]
    return {
        "about": "Requests to a mailbox-server and what it answers (spec 20).",
        "envelopes": [one.case() for one in requests],
        "refused": list(refused_requests()),
        "puts": [{"name": "a put", "envelope": PUT.envelope, "blob": BLOB, "body": body}],
        "puts_refused": [{"name": n, "refusal": why, "body": bytes_} for n, why, bytes_ in wrong_bodies],
        "replies": list(replies()),
        "replies_refused": list(refused_replies()),
        "live": [
            {"operation": name, "body": body_, "message": b"\x82" + cbor2.dumps(number) + body_}
            for name, (number, body_) in zip(names, bodies.items())
        ],
    }


# --- files --------------------------------------------------------------------------------------

FILES = {
    "01-envelope.json": envelope_vectors,
    "02-account.json": account_vectors,
    "03-log.json": log_vectors,
    "04-sync.json": sync_vectors,
    "05-session.json": session_vectors,
    "07-self-log.json": own_vectors,
    "08-linking.json": linking_vectors,
    "09-mail.json": mail_vectors,
    "10-finding.json": finding_vectors,
    "20-mailbox.json": mailbox_vectors,
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
