"""Does a stock COSE library accept what Kith signs, and do the pages of docs/spec describe it?

`python verify_vectors.py [file from the Rust tests]`: checks the vector files and, if it is there,
what the Rust tests wrote (`target/vectors-from-rust.json`).
"""

import base64
import json
import re
import sys
from pathlib import Path

import cbor2
from cddl_verifier import Validator
from nacl.exceptions import BadSignatureError
from nacl.public import PrivateKey, SealedBox
from nacl.signing import SigningKey, VerifyKey

from finding import FindKey, opened_record
from formats import (
    FORMATS,
    OWN,
    REPLIES,
    account_head,
    account_id,
    check_number,
    digest,
    opened,
    shared_string,
)

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FROM_RUST = ROOT / "target" / "vectors-from-rust.json"


def spec():
    """The CDDL of all pages."""
    pages = sorted((ROOT / "docs" / "spec").glob("*.md"))
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    return "\n".join(re.findall(r"```cddl\n(.*?)```", text, re.DOTALL))


SPEC = Validator(spec())


def described(root, bytes_, name):
    """The bytes are what the page says."""
    result = SPEC.validate(bytes_, root)
    assert result.valid, f"{name} is not the {root} of the spec: {result.diagnostics}"


def held(case, name):
    """An envelope that must verify, be canonical, fit the spec and have its id."""
    envelope = bytes.fromhex(case["envelope"])
    signer, payload = opened(case["kind"], envelope)
    assert cbor2.dumps(cbor2.loads(payload)) == payload, f"{name} is not canonical"
    assert digest(envelope).hex() == case["id"], f"{name} has another id"
    described(case["kind"], envelope, name)
    return signer


def refused_by_signature(case):
    """Everything about it is in order but the signature, by libsodium's rule."""
    envelope = bytes.fromhex(case["envelope"])
    protected, _, payload, signature = cbor2.loads(envelope).value
    domain = FORMATS[case["kind"]].domain
    message = cbor2.dumps(["Signature1", protected, domain, payload])
    try:
        VerifyKey(cbor2.loads(protected)[4]).verify(message, signature)
    except (BadSignatureError, ValueError):
        return
    raise AssertionError(f"{case['name']} verifies")


def check_file(path):
    vectors = json.loads(path.read_text(encoding="utf-8"))
    for case in vectors["envelopes"]:
        signer = held(case, case["name"])
        assert signer.hex() == vectors["keys"][case["signer"]]["public"], case["name"]
    for case in vectors.get("accepted", []):
        held(case, case["name"])
    for case in vectors["refused"]:
        if case["refusal"] == "signature":
            refused_by_signature(case)
        elif case["refusal"] == "unknown-critical":
            fits = SPEC.validate(bytes.fromhex(case["envelope"]), case["kind"]).valid
            assert not fits, f"the spec allows {case['name']}"
    for case in vectors.get("frames", []):
        described("frame", bytes.fromhex(case["frame"]), case["name"])
    for case in vectors.get("bodies", []):
        described("text-body", bytes.fromhex(case["body"])[16:], case["name"])
    for case in vectors.get("links", []):
        described("card", card(case["text"]), case["name"])
    for case in vectors.get("own", []):
        described(OWN[case["type"]][1], bytes.fromhex(case["body"])[16:], case["name"])
    for case in vectors.get("codes", []):
        described("code", code(case["text"]), case["name"])
    for case in vectors.get("puts", []):
        described("mailbox-put-body", bytes.fromhex(case["body"]), case["name"])
    for case in vectors.get("replies", []):
        described(case["type"], bytes.fromhex(case["reply"]), case["name"])
    for case in vectors.get("letters", []):
        described("mail-letter", bytes.fromhex(case["letter"]), case["name"])
    for case in vectors.get("contents", []):
        described("mail-content", bytes.fromhex(case["content"]), "what is in a blob")
    for case in vectors.get("announcements", []):
        described("mailbox-body", bytes.fromhex(case["body"])[16:], "an announcement")
    for case in vectors.get("live", []):
        described("live-request", bytes.fromhex(case["message"]), case["operation"])
    for case in vectors.get("cuts", []):
        opened("cut", bytes.fromhex(case["body"])[16:])
        described("cut", bytes.fromhex(case["body"])[16:], case["entry"])
    check_finding(vectors)
    refused_by_the_spec(vectors)
    return len(vectors["envelopes"]) + len(vectors.get("accepted", []))


def check_finding(vectors):
    """Records, announcements and cards (10)."""
    for case in vectors.get("records", []):
        content = record(case, case["addresses_key"])
        assert cbor2.loads(content)[0] == case["addresses"], f"{case['name']} says something else"
    for case in vectors.get("records_kept", []):
        described("record", bytes.fromhex(case["record"]), case["name"])
    for case in vectors.get("records_refused", []):
        if case["refusal"] == "signature":
            refused_by_signature(case | {"kind": "record", "envelope": case["record"]})
        else:
            described("record", bytes.fromhex(case["record"]), case["name"])
    for case in vectors.get("records_closed", []):
        described("record", bytes.fromhex(case["record"]), case["name"])
        if case["refusal"] in ("too-large", "wrong-type", "missing", "unknown-critical"):
            _, content = opened_record(*(bytes.fromhex(case[key]) for key in ("addresses_key", "record")))
            fits = SPEC.validate(content, "record-content").valid
            assert not fits, f"the spec allows {case['name']}"
    for case in vectors.get("schedules", []):
        described("announce-body", bytes.fromhex(case["body"])[16:], case["name"])
    for case in vectors.get("found_cards", []):
        described("card", found_card(case), case["name"])
        assert found_card(case).hex() == case["card"], f"{case['name']} holds something else"


def record(case, addresses_key):
    """What a record says that must lie under its key, be canonical and fit the spec."""
    envelope = bytes.fromhex(case["record"])
    key, content = opened_record(bytes.fromhex(addresses_key), envelope)
    assert key.hex() == case["key"], "a record lies elsewhere"
    assert len(envelope) <= 1024 and cbor2.dumps(cbor2.loads(content)) == content
    described("record", envelope, "a record")
    described("record-content", content, "what is in a record")
    return content


def found_card(case):
    """The card that an id opens."""
    parts = ("recovery", "checksum", "sealed", "asker", "answerer")
    recovery, checksum, sealed, asker, answerer = (bytes.fromhex(case[part]) for part in parts)
    return FindKey(recovery, checksum).open_card(sealed, asker, answerer)


def refused_by_the_spec(vectors):
    """What is no well-formed frame or body fits no rule either, wrong order and lengths aside."""
    of_kind = {kind: rule for kind, rule, _ in OWN.values()}
    cases = [("frame", case, case["frame"]) for case in vectors.get("frames_refused", [])]
    for case in vectors.get("own_refused", []):
        cases.append((of_kind[case["kind"]], case, case["body"][32:]))
    for case in vectors.get("schedules_refused", []):
        cases.append(("announce-body", case, case["body"][32:]))
    for case in vectors.get("replies_refused", []):
        cases.append((case["type"], case, case["reply"]))
    for rule, case, bytes_ in cases:
        if case["refusal"] in ("too-large", "wrong-type", "missing", "unknown-critical"):
            fits = SPEC.validate(bytes.fromhex(bytes_), rule).valid
            assert not fits, f"the spec allows {case['name']}"


def base64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def card(link):
    return base64url(link.split("#")[1])


def code(text):
    return base64url(text.removeprefix("kith-device:"))


def check_from_rust(path):
    made = json.loads(path.read_text(encoding="utf-8"))
    for case in made["envelopes"]:
        signer = held(case, case["kind"])
        assert signer.hex() == case["signer"], case["kind"]
    kinds = {case["kind"] for case in made["envelopes"]}
    assert kinds == set(FORMATS), f"kinds not written: {set(FORMATS) - kinds}"
    check_link(made)
    of_kind = {kind: rule for kind, rule, _ in OWN.values()}
    for case in made["own"]:
        content = bytes.fromhex(case["body"])[16:]
        described(of_kind[case["kind"]], content, f"a body of kind {case['kind']}")
        assert cbor2.dumps(cbor2.loads(content)) == content, f"kind {case['kind']} is not canonical"
    assert {case["kind"] for case in made["own"]} == set(of_kind), "kinds of bodies not written"
    for frame in map(bytes.fromhex, made["frames"]):
        described("frame", frame, f"frame {cbor2.loads(frame)[0]}")
        assert cbor2.dumps(cbor2.loads(frame)) == frame, "a frame is not canonical"
    assert {cbor2.loads(bytes.fromhex(f))[0] for f in made["frames"]} == set(range(6, 18))
    check_finding(made)
    for type_, reply in made["replies"]:
        described(type_, bytes.fromhex(reply), f"a reply, {type_}")
    assert {type_ for type_, _ in made["replies"]} == set(REPLIES), "replies not written"
    described("mailbox-put-body", bytes.fromhex(made["put"]), "the put")
    described("code", code(made["code"]), "the code")
    check = {name: bytes.fromhex(made["check"][name]) for name in ("request", "offer", "opening")}
    assert check_number(**check) == made["check"]["number"], "another check number"
    for case in made["sealed"]:
        key = SigningKey(bytes.fromhex(case["seed"])).to_curve25519_private_key()
        plain = SealedBox(PrivateKey(bytes(key))).decrypt(bytes.fromhex(case["sealed"]))
        assert plain.hex() == case["plain"], "a sealed box holds something else"
    return len(made["envelopes"])


def check_link(made):
    content = cbor2.loads(card(made["link"]))
    proof = content[1]
    genesis_signer, _ = opened("genesis", proof[0])
    account = account_id(proof[0])
    assert account.hex() == made["account"], "another account id"
    assert account_head(proof).hex() == made["head"], "another account head"
    named = made["link"].removeprefix("kith:").split("#")[0]
    assert named == shared_string(genesis_signer, account), "another shared string"
    described("card", card(made["link"]), "the link")


def main():
    count = sum(check_file(path) for path in sorted(HERE.glob("*.json")))
    print(f"{count} envelopes made by Python hold and fit the spec")
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FROM_RUST
    if not path.exists():
        sys.exit(f"{path} is not there: run `cargo test -p kith-common --test vectors` first")
    print(f"{check_from_rust(path)} envelopes made by Rust hold and fit the spec")


if __name__ == "__main__":
    main()
