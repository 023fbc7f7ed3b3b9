"""Signed evidence holds for what was signed and for nothing else."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gates import evidence
from gates.evidence import (
    BadEvidence,
    encode,
    load_or_create_key,
    pack,
    public_from_pem,
    sign,
    statement,
    unpack,
    verify,
)
from gates.load.samples import Sample
from gates.verdict import Verdict
from tests.gates.judging import SPIKE_ONLY, judged, open_loop

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def signed(samples: list[Sample], **fields: object) -> dict[str, object]:
    judgement = judged(samples, SPIKE_ONLY, **fields)
    return sign(statement(judgement, target="hf-demo", fingerprint={"engine": "hf-demo"}, run={"id": 7}), KEY)


def problems(envelope: dict[str, object], samples: list[Sample], key: Ed25519PrivateKey = KEY) -> tuple[str, ...]:
    return verify(envelope, key.public_key(), samples, SPIKE_ONLY).problems


def test_evidence_holds_for_its_own_samples_in_any_order() -> None:
    samples = open_loop("spike", 300, slow=(1, 2))
    assert problems(signed(samples), samples[::-1]) == ()


def test_a_cancelled_run_can_be_verified_as_well() -> None:
    samples = open_loop("spike", 40)
    envelope = signed(samples, ended=Verdict.CANCELLED, ended_reason="Cancelled by olga.")
    assert problems(envelope, samples) == ()


def test_changed_samples_are_found() -> None:
    samples = open_loop("spike", 300)
    changed = [replace(samples[0], end_ns=samples[0].end_ns + 1), *samples[1:]]
    assert problems(signed(samples), changed) == ("The samples are not the ones that were judged.",)


def test_another_policy_is_found() -> None:
    samples = open_loop("spike", 300)
    found = verify(signed(samples), KEY.public_key(), samples, replace(SPIKE_ONLY, request_timeout=61))
    assert found.problems == ("The policy is not the one that was judged by.",)
    assert not found.holds


def test_a_changed_statement_and_another_key_are_found() -> None:
    samples = open_loop("spike", 300)
    envelope = signed(samples)
    body = json.loads(base64.b64decode(envelope["payload"]))
    body["subject"][0]["name"] = "another"
    forged = {**envelope, "payload": base64.b64encode(json.dumps(body).encode()).decode()}
    assert "No signature was made with this key" in problems(forged, samples)[0]
    assert "No signature was made with this key" in problems(envelope, samples, Ed25519PrivateKey.generate())[0]


def test_a_verdict_that_the_samples_do_not_give_is_found_even_when_signed() -> None:
    bad = open_loop("spike", 300, broken=range(9))
    good = judged(bad, SPIKE_ONLY)
    lie = replace(good, verdict=Verdict.PASSED)
    envelope = sign(statement(lie, target="hf-demo", fingerprint={}, run={}), KEY)
    found = problems(envelope, bad)
    assert "The signed judgement does not match its own digest." in found
    assert "The samples give failed, the statement says passed." in found


def test_the_encoding_is_the_one_of_dsse() -> None:
    assert encode("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_statement_lists_what_passed_and_what_failed() -> None:
    body = statement(judged(open_loop("spike", 300, broken=(1, 2)), SPIKE_ONLY), target="t", fingerprint={}, run={})
    assert body["predicate"]["result"] == "FAILED"
    assert body["predicate"]["failedTests"] == ["spike.error_rate.phase"]
    assert body["predicate"]["passedTests"] == ["spike.ttft_p95.phase", "spike.e2e_p95.phase"]


def test_a_bundle_carries_all_that_is_needed() -> None:
    samples = open_loop("spike", 300)
    envelope, policy, rows = unpack(pack(signed(samples), SPIKE_ONLY, samples))
    assert verify(envelope, KEY.public_key(), rows, policy).holds


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"kind": "other"}', b"\xff"])
def test_other_files_are_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(BadEvidence, match="no evidence"):
        unpack(body)


def test_the_key_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "evidence.pem"
    first, second = load_or_create_key(path), load_or_create_key(path)
    assert evidence.key_id(first.public_key()) == evidence.key_id(second.public_key())
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["evidence.pem"]
    assert evidence.key_id(public_from_pem(evidence.public_pem(first))) == evidence.key_id(first.public_key())
