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

from formats import FORMATS, account_head, account_id, digest, opened, shared_string

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
    return len(vectors["envelopes"]) + len(vectors.get("accepted", []))


def card(link):
    text = link.split("#")[1]
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def check_from_rust(path):
    made = json.loads(path.read_text(encoding="utf-8"))
    for case in made["envelopes"]:
        signer = held(case, case["kind"])
        assert signer.hex() == case["signer"], case["kind"]
    kinds = {case["kind"] for case in made["envelopes"]}
    assert kinds == set(FORMATS), f"kinds not written: {set(FORMATS) - kinds}"
    check_link(made)
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
    count = sum(check_file(path) for path in sorted(HERE.glob("0*.json")))
    print(f"{count} envelopes made by Python hold and fit the spec")
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else FROM_RUST
    if not path.exists():
        sys.exit(f"{path} is not there: run `cargo test -p kith-common --test vectors` first")
    print(f"{check_from_rust(path)} envelopes made by Rust hold and fit the spec")


if __name__ == "__main__":
    main()
