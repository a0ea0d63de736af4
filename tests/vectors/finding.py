"""How do devices find each other? The formats of spec 10 in Python, on stock libraries only."""

import cbor2

from formats import Key, box, derived, digest, labelled, opened, payload, sign1, unboxed

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
PLAIN_BYTES = 768


def day_of(millis):
    return millis // DAY_MS


def days_around(millis):
    """The days under which is published and looked (R4), the day itself first."""
    day, hour = day_of(millis), millis % DAY_MS // HOUR_MS
    beside = [day - 1] if hour < 2 else [day + 1] if hour >= 22 else []
    return [day] + [one for one in beside if one >= 0]


def announce_key(secret, day):
    return Key("", derived(secret, b"announce", day))


def record_key(signer):
    return labelled(b"kith/dht/1", signer.public)


def namespace(addresses_key, day):
    parts = bytes([11]) + b"kith/meet/1" + day.to_bytes(8, "big")
    return digest(parts, key=addresses_key)[:16].hex()


def seek_token(addresses_key, key, asker, answerer):
    parts = b"".join(bytes([len(part)]) + part for part in (b"kith/seek/1", key, asker, answerer))
    return digest(parts, key=addresses_key)


def fitting(addresses):
    """As many as fit, in their order."""
    some = []
    for one in addresses:
        fits = len(cbor2.dumps({0: [*some, one]})) + 4 <= PLAIN_BYTES
        if fits and len(some) < 16 and len(one.encode()) <= 256:
            some.append(one)
    return some


def padded(content, length=None, filler=b"\0"):
    length = len(content) if length is None else length
    return (length.to_bytes(4, "big") + content).ljust(PLAIN_BYTES, filler)


def sealed_content(addresses_key, signer, number, plain):
    return box(addresses_key, number, b"kith/record/1" + signer.public, plain)


def record_fields(addresses_key, signer, addresses, now, after, number):
    """What a record says that is made now; `after` is the sequence of the one before it."""
    plain = padded(cbor2.dumps({0: fitting(addresses)}))
    return {
        "sequence": max(now // 1000, after + 1),
        "not_after": now // HOUR_MS * HOUR_MS + 23 * HOUR_MS,
        "sealed": sealed_content(addresses_key, signer, number, plain),
    }


def record(signer, fields):
    return sign1("record", signer, payload("record", fields))


def opened_record(addresses_key, envelope):
    """Key of the record, its content; fails unless it was signed and sealed as the page says."""
    signer, content = opened("record", envelope)
    sealed = cbor2.loads(content)[2]
    plain = unboxed(addresses_key, b"kith/record/1" + signer, sealed)
    length = int.from_bytes(plain[:4], "big")
    inside, rest = plain[4 : 4 + length], plain[4 + length :]
    assert len(plain) == PLAIN_BYTES and len(inside) == length and not any(rest), "padding"
    return labelled(b"kith/dht/1", signer), inside


def schedule(salt, f):
    """The body of an announcement from its named fields."""
    return salt + cbor2.dumps({0: f["addresses"], 1: f["first"], 2: b"".join(f["keys"])})


class FindKey:
    """What follows from an id."""

    def __init__(self, recovery, checksum):
        self.key = labelled(b"kith/find/1", recovery, checksum)
        self.addresses = derived(self.key, b"findaddr")

    def signer(self, day, slot):
        return Key("", derived(self.key, b"findable", 4 * day + slot))

    def proof(self, asker, answerer):
        return digest(on_link(b"kith/who/1", asker, answerer), key=derived(self.key, b"find-who"))

    def seal_card(self, number, card, asker, answerer):
        context = on_link(b"kith/card/1", asker, answerer)
        return box(derived(self.key, b"findcard"), number, context, card)

    def open_card(self, sealed, asker, answerer):
        context = on_link(b"kith/card/1", asker, answerer)
        return unboxed(derived(self.key, b"findcard"), context, sealed)


def on_link(label, asker, answerer):
    return b"".join(bytes([len(part)]) + part for part in (label, asker, answerer))
