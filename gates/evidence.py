"""Signed evidence of a run: an in-toto statement in a DSSE envelope, which anyone can judge again from its samples."""

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gates import judge as judging
from gates import policy as policies
from gates.load.samples import Sample
from gates.load.samples import from_json as sample_from_json
from gates.load.samples import to_json as sample_to_json
from gates.policy import Policy
from gates.verdict import Judgement, Verdict

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://in-toto.io/attestation/test-result/v0.1"
BUNDLE = "engine-console/gate-evidence/v1"
NO_SAMPLES = (
    "The samples were deleted before this file was made: only the signature is checked, nothing is judged again."
)


class BadEvidence(ValueError):
    """The file is no evidence at all; the message says what is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """`problems` is empty when the signature holds and the samples give the very judgement that was signed."""

    problems: tuple[str, ...]
    signed: Judgement
    judged: Judgement

    @property
    def holds(self) -> bool:
        return not self.problems


def load_or_create_key(path: Path) -> Ed25519PrivateKey:
    """An ed25519 key as PEM, readable by its owner only. Raises ValueError or OSError for a file that holds none."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        body = Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        _write_once(path, body)
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise BadEvidence(f"{path} holds no ed25519 key.")
    return key


def public_pem(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def public_from_pem(body: bytes) -> Ed25519PublicKey:
    """Raises BadEvidence or ValueError."""
    key = serialization.load_pem_public_key(body)
    if not isinstance(key, Ed25519PublicKey):
        raise BadEvidence("This is no ed25519 public key.")
    return key


def key_id(key: Ed25519PublicKey) -> str:
    """SHA-256 of the public key's DER form."""
    body = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(body).hexdigest()


def statement(
    judgement: Judgement, *, target: str, fingerprint: Mapping[str, Any], run: Mapping[str, Any]
) -> dict[str, Any]:
    """The subject is what was tested, by the digest of its fingerprint. `run` holds plain facts (id, url, times)."""
    names: dict[Verdict, list[str]] = {verdict: [] for verdict in Verdict}
    for finding in judgement.findings:
        names[finding.verdict].append(f"{finding.phase}.{finding.objective}.{finding.scope}".replace(" ", "-"))
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": target, "digest": {"sha256": _digest(fingerprint)}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "result": "PASSED" if judgement.verdict == Verdict.PASSED else "FAILED",
            "configuration": [
                {"name": "policy", "digest": {"sha256": judgement.policy_digest}},
                {"name": "plan", "digest": {"sha256": judgement.plan_digest}},
                {"name": "samples", "digest": {"sha256": judgement.samples_digest}},
            ],
            "passedTests": names[Verdict.PASSED],
            "warnedTests": names[Verdict.INCONCLUSIVE] + names[Verdict.INVALID],
            "failedTests": names[Verdict.FAILED],
            "run": dict(run),
            "fingerprint": dict(fingerprint),
            "judgement": judging.to_json(judgement),
        },
    }


def sign(body: Mapping[str, Any], key: Ed25519PrivateKey) -> dict[str, Any]:
    """The DSSE envelope of a statement."""
    payload = _canonical(body)
    signature = key.sign(encode(PAYLOAD_TYPE, payload))
    return {
        "payloadType": PAYLOAD_TYPE,
        "payload": base64.b64encode(payload).decode(),
        "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
    }


def encode(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: type and payload, each with its length, so that neither can be moved."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def verify(
    envelope: Mapping[str, Any], public_key: Ed25519PublicKey, samples: Sequence[Sample] | None, policy: Policy
) -> Verification:
    """Checks the signature, then judges the samples again and compares digests. Raises BadEvidence."""
    payload, problems = _opened(envelope, public_key)
    try:
        signed = judging.from_json(json.loads(payload)["predicate"]["judgement"])
    except (KeyError, TypeError, ValueError) as error:
        raise BadEvidence(f"The statement holds no judgement: {error}") from error
    if samples is None:
        problems += _unlike(signed, signed)
        return Verification(problems=(*problems, NO_SAMPLES), signed=signed, judged=signed)
    judged = judging.judge(
        samples,
        policy,
        generator=signed.generator,
        phases=signed.phases,
        plan_digest=signed.plan_digest,
        ended=signed.verdict if signed.verdict in (Verdict.CANCELLED, Verdict.ERRORED) else None,
        ended_reason=signed.reason,
    )
    problems += _unlike(signed, judged)
    return Verification(problems=tuple(problems), signed=signed, judged=judged)


def pack(envelope: Mapping[str, Any], policy: Policy, samples: Sequence[Sample] | None) -> bytes:
    """One file that can be verified anywhere: envelope, policy and samples. The key travels by another way.

    `samples` None: they were deleted, and the statement is all that is left.
    """
    rows = None if samples is None else [sample_to_json(sample) for sample in samples]
    return _canonical({"kind": BUNDLE, "envelope": envelope, "policy": policies.to_json(policy), "samples": rows})


def unpack(body: bytes) -> tuple[dict[str, Any], Policy, list[Sample] | None]:
    """Raises BadEvidence."""
    try:
        parts = json.loads(body)
        if parts["kind"] != BUNDLE:
            raise BadEvidence(f"This file is no evidence of a gate run: its kind is {parts['kind']}.")
        rows = parts["samples"]
        samples = None if rows is None else [sample_from_json(row) for row in rows]
        return dict(parts["envelope"]), policies.from_json(parts["policy"]), samples
    except (KeyError, TypeError, ValueError) as error:
        raise BadEvidence(f"This file is no evidence of a gate run: {error}") from error


def _opened(envelope: Mapping[str, Any], public_key: Ed25519PublicKey) -> tuple[bytes, list[str]]:
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        kind = str(envelope["payloadType"])
        signatures = [base64.b64decode(entry["sig"], validate=True) for entry in envelope["signatures"]]
    except (KeyError, TypeError, ValueError) as error:
        raise BadEvidence(f"This is no DSSE envelope: {error}") from error
    if kind != PAYLOAD_TYPE:
        return payload, [f"The payload is {kind}, not an in-toto statement."]
    good = any(_signed(public_key, signature, encode(kind, payload)) for signature in signatures)
    return payload, [] if good else ["No signature was made with this key: the statement may have been changed."]


def _signed(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True


def _unlike(signed: Judgement, judged: Judgement) -> list[str]:
    found = []
    if judging.seal(signed) != signed.digest:
        found.append("The signed judgement does not match its own digest.")
    if judged.policy_digest != signed.policy_digest:
        found.append("The policy is not the one that was judged by.")
    if judged.samples_digest != signed.samples_digest:
        found.append("The samples are not the ones that were judged.")
    if judged.verdict != signed.verdict:
        found.append(f"The samples give {judged.verdict}, the statement says {signed.verdict}.")
    if judged.digest != signed.digest and not found:
        found.append("The same samples now give other findings: the rules of judging have changed.")
    return found


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(_canonical(body)).hexdigest()


def _canonical(body: Mapping[str, Any]) -> bytes:
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _write_once(path: Path, body: bytes) -> None:
    """Of two processes that start at once, one makes the key and the other reads it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_bytes(body)
    try:
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        draft.unlink()
