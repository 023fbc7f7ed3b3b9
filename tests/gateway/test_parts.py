"""Parts of the gateway as plain functions: tokens, retries, the event stream, rates, the outcome queue."""

from itertools import pairwise

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.adapters import get_adapter
from engines.client import EngineFailure, Failure, FailureKind, Operation
from routing.gateway.errors import ApiError, from_failure
from routing.gateway.limits import KeyRates
from routing.gateway.recorder import Recorder
from routing.gateway.retries import Again, first_token_limit, judge
from routing.gateway.sse import EventStream
from routing.gateway.tokens import make_token, verify_token
from routing.outcomes import Outcome, Result, Source
from routing.table import KeyEntry


@given(st.text(max_size=40), st.integers(1, 10_000))
def test_a_token_speaks_for_its_user_until_it_expires(user: str, seconds: int) -> None:
    token = make_token("gate", user, seconds, b"key")
    caller = verify_token(token, seconds - 1, b"key")
    assert caller is not None
    assert (caller.user, caller.source) == (user, Source.GATE)
    assert verify_token(token, seconds, b"key") is None
    assert verify_token(token, 0, b"other") is None


@given(st.text(max_size=60))
def test_no_text_that_we_did_not_sign_is_a_token(text: str) -> None:
    assert verify_token("int1." + text, 0.0, b"key") is None


OTHER, NEVER, SAME = Again.OTHER, Again.NEVER, Again.SAME
TABLE = {
    FailureKind.REFUSED: (OTHER, True), FailureKind.RESET: (OTHER, True), FailureKind.SATURATED: (OTHER, False),
    FailureKind.UNAVAILABLE: (OTHER, True), FailureKind.TIMEOUT: (OTHER, True), FailureKind.INTERNAL: (NEVER, True),
    FailureKind.BAD_REQUEST: (NEVER, False), FailureKind.NOT_FOUND: (NEVER, False),
    FailureKind.UNAUTHORIZED: (NEVER, False), FailureKind.TRUNCATED: (NEVER, True),
    FailureKind.MALFORMED: (NEVER, True),
}  # fmt: skip


@pytest.mark.parametrize("kind", FailureKind)
def test_the_retry_table(kind: FailureKind) -> None:
    failure = Failure(kind, "x")
    usual = judge(failure, content_sent=False, stale=False, in_stream=False, can_meet=True)
    assert (usual.again, usual.blame) == TABLE[kind]
    late = judge(failure, content_sent=True, stale=False, in_stream=True, can_meet=True)
    assert late.again is NEVER
    assert from_failure(failure).status >= 400


def test_the_conditions_of_the_retry_table() -> None:
    stale = judge(Failure(FailureKind.RESET, "x"), content_sent=False, stale=True, in_stream=False, can_meet=True)
    assert (stale.again, stale.blame) == (SAME, False)
    event = judge(Failure(FailureKind.INTERNAL, "x"), content_sent=False, stale=False, in_stream=True, can_meet=True)
    assert event.again is OTHER
    too_late = judge(
        Failure(FailureKind.TIMEOUT, "x"), content_sent=False, stale=False, in_stream=False, can_meet=False
    )
    assert too_late.again is NEVER
    full = Failure(FailureKind.SATURATED, "x", retry_after_seconds=1e9)
    assert judge(full, content_sent=False, stale=False, in_stream=False, can_meet=True).cool_down_seconds == 300


def test_only_a_first_attempt_with_an_alternative_has_a_first_token_limit() -> None:
    assert first_token_limit(elapsed=0.1, ttft_limit=7.0, others=True) == pytest.approx(4.2)
    assert first_token_limit(elapsed=0.1, ttft_limit=7.0, others=False) is None
    assert first_token_limit(elapsed=5.0, ttft_limit=7.0, others=True) is None


def _event(text: str | None, **more: object) -> bytes:
    delta = {"content": text} if text else {"role": "assistant"}
    body = {"model": "own", "choices": [{"index": 0, "delta": delta, "finish_reason": None, **more}]}
    return b"data: " + orjson.dumps(body) + b"\n\n"


def _stream() -> EventStream:
    return EventStream(get_adapter("vllm"), Operation.CHAT, engine="e", public="demo", wants_usage=False)


GOOD = b"".join([
    _event(None), _event("a€b"), _event('he said "error": [DONE]'), _event('"finish_reason":"stop"'),
    _event(None, finish_reason="stop"), b'data: {"model":"own","choices":[],"usage":{"completion_tokens":3}}\n\n',
    b"data: [DONE]\n\n",
])  # fmt: skip


@given(st.lists(st.integers(1, len(GOOD)), max_size=8), st.sampled_from([b"\n", b"\r\n"]))
def test_a_stream_comes_out_the_same_however_it_is_cut(cuts: list[int], newline: bytes) -> None:
    raw, stream, out, begun = GOOD.replace(b"\n", newline), _stream(), b"", False
    places = sorted({0, *cuts, len(raw)})
    for start, end in pairwise(places):
        if begun:
            out += stream.forward(raw[start:end])
        elif stream.hold(raw[start:end]):
            begun = True
            out += stream.take()
    out += stream.close()
    found = [orjson.loads(block[6:]) for block in out.split(b"\n\n")[:-2]]
    assert out.endswith(b"data: [DONE]\n\n")
    assert found[0]["chosen_engine"] == "e"
    assert {event["model"] for event in found} == {"demo"}
    texts = [event["choices"][0]["delta"].get("content") for event in found]
    assert texts == [None, "a€b", 'he said "error": [DONE]', '"finish_reason":"stop"', None]
    assert (stream.usage.output_tokens, stream.pieces, stream.finish_reason) == (3, 3, "stop")


@pytest.mark.parametrize("bad", [
    b"data: {\n\n", b"data: [1]\n\n", b'data: {"error":{"message":"boom","code":500}}\n\n', b"data: \xff\n\n",
    b'data: {"choices": NaN}\n\n'])  # fmt: skip
def test_a_broken_event_is_a_failure_before_and_after_content(bad: bytes) -> None:
    with pytest.raises(EngineFailure):
        _stream().hold(bad)


def test_a_stream_that_just_ends_is_truncated() -> None:
    stream = _stream()
    assert stream.hold(_event("a"))
    with pytest.raises(EngineFailure) as caught:
        stream.close()
    assert caught.value.failure.kind is FailureKind.TRUNCATED


def test_a_key_gets_its_rate_back_evenly() -> None:
    rates, key = KeyRates(), KeyEntry(id=1, name="k", requests_per_minute=60)
    for _ in range(60):
        rates.take(key, 0.0)
    with pytest.raises(ApiError) as caught:
        rates.take(key, 0.0)
    assert caught.value.retry_after == pytest.approx(1.0)
    rates.take(key, 1.0)
    with pytest.raises(ApiError):
        rates.take(key, 1.5)


def test_the_outcome_queue_drops_the_oldest_and_counts_them() -> None:
    saved: list[dict[str, object]] = []
    broken = [True]

    def save(batch: list[dict[str, object]]) -> None:
        if broken[0]:
            raise OSError("gone")
        saved.extend(batch)

    recorder = Recorder(save, size=3, flush_seconds=60)
    for number in range(5):
        recorder.add(_outcome(f"r{number}"))
    recorder.flush()
    recorder.add(_outcome("r5"))
    broken[0] = False
    recorder.flush()
    assert [row["request_id"] for row in saved] == ["r3", "r4", "r5"]
    assert recorder.dropped == 3


def _outcome(name: str) -> Outcome:
    return Outcome(
        request_id=name, decision_id="d", assigned_at=1.0, route="demo", operation="chat", source=Source.CLIENT,
        key_id=1, stream=False, arm=None, canary=False, rule="split", engine="a", sticky_bucket=1,
        sticky_unit="request", result=Result.OK, first_attempt=Result.OK, status=200)  # fmt: skip
