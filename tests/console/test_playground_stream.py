"""Figures of an answer, and the errors that the gateway may state."""

import pytest

from console.playground_stream import Answer, StreamError, read_event, read_refusal, timings, usage_frame
from engines.client import Chunk, Usage


def answered(times: list[float], *, output: int | None) -> Answer:
    answer = Answer(sent=10.0, request_id="r")
    for at in times:
        answer.take(Chunk(text="a"), now=at)
    answer.take(Chunk(usage=Usage(5, output)), now=99.0)
    return answer


def test_tpot_uses_the_stated_count_not_the_chunks() -> None:
    figures = timings(answered([10.5, 10.7, 11.5], output=6), now=12.0)
    assert figures["ttft_ms"] == pytest.approx(500)
    assert figures["tpot_ms"] == pytest.approx(200)
    assert figures["tokens_per_second"] == pytest.approx(5)
    assert figures["total_ms"] == pytest.approx(2000)


@pytest.mark.parametrize("output", [None, 0, 1])
def test_no_tpot_without_two_tokens(output: int | None) -> None:
    figures = timings(answered([10.5], output=output), now=12.0)
    assert figures["tpot_ms"] is None
    assert figures["tokens_per_second"] is None


def test_all_tokens_in_one_chunk_give_no_speed() -> None:
    figures = timings(answered([10.5], output=4), now=12.0)
    assert (figures["tpot_ms"], figures["tokens_per_second"]) == (None, None)


def test_an_answer_without_a_token_has_no_ttft() -> None:
    assert timings(answered([], output=0), now=12.0)["ttft_ms"] is None


def test_the_role_event_is_not_a_first_token() -> None:
    chunk, engine = read_event(b'{"choices":[{"delta":{"role":"assistant","content":""}}],"chosen_engine":"hf-a"}')
    assert not chunk.has_content
    assert engine == "hf-a"


def test_a_usage_event_without_choices_is_read() -> None:
    chunk, _ = read_event(b'{"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}')
    assert usage_frame(chunk.usage) == {"input": 7, "output": 3, "cached": None}


def test_an_error_event_is_raised_with_its_code() -> None:
    with pytest.raises(StreamError) as error:
        read_event(b'{"error":{"message":"gone","code":"engine_error"}}')
    assert (error.value.code, error.value.message, error.value.retryable) == ("engine_error", "gone", True)


@pytest.mark.parametrize("payload", [b"{", b"[]", b"NaN"])
def test_an_event_that_is_not_an_object_is_malformed(payload: bytes) -> None:
    with pytest.raises(StreamError) as error:
        read_event(payload)
    assert error.value.code == "malformed"


@pytest.mark.parametrize(
    ("body", "status", "code", "retryable"),
    [
        (b'{"error":{"message":"no","type":"x","code":"rate_limited"}}', 429, "rate_limited", True),
        (b'{"error":{"message":"no","code":null,"type":"invalid_request_error"}}', 400, "invalid_request_error", False),
        (b"<html>", 502, "http_502", True),
        (b"[]", 404, "http_404", False),
        (b'{"error":"Unauthorized"}', 401, "http_401", False),
    ],
)
def test_a_refusal_is_read_whatever_its_shape(body: bytes, status: int, code: str, retryable: bool) -> None:
    error = read_refusal(body, status=status)
    assert (error.code, error.retryable) == (code, retryable)
    assert error.message
