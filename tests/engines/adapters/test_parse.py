"""Adapters read what the engines wrote, from recorded bytes."""

from pathlib import Path

import orjson
import pytest

from engines.adapters import ADAPTERS
from engines.client import Chunk, EngineFailure, Failure, FailureKind, Operation, Usage
from engines.sse import DONE, Splitter

RECORDED = Path(__file__).parents[2] / "recorded"


def read_stream(kind, name):
    events = Splitter().feed((RECORDED / name).read_bytes())
    assert events.pop() == DONE
    return [ADAPTERS[kind].parse_event(Operation.CHAT, orjson.loads(event)) for event in events]


@pytest.mark.parametrize(
    ("kind", "name", "text", "reasoning", "end"),
    [
        ("vllm", "vllm_stream.sse", "Hi", "The user greets.", ("stop", Usage(7, 5, 4))),
        ("trtllm", "trtllm_stream.sse", "Hi", "Think.", ("length", Usage(9, 2, 0))),
        ("custom", "custom_stream.sse", "A canary is the new engine", "", ("length", Usage(9, 6, 0))),
    ],
)
def test_a_recorded_stream_gives_text_reasoning_finish_and_usage(kind, name, text, reasoning, end):
    chunks = read_stream(kind, name)
    assert "".join(chunk.text for chunk in chunks) == text
    assert "".join(chunk.reasoning for chunk in chunks) == reasoning
    finish, usage = end
    assert [chunk.finish_reason for chunk in chunks if chunk.finish_reason] == [finish]
    assert chunks[-1].usage == usage


def test_the_role_chunk_is_no_content():
    assert not read_stream("vllm", "vllm_stream.sse")[0].has_content


def test_an_error_event_is_a_failure_without_the_engines_path():
    chunk, failure = read_stream("vllm", "vllm_error_mid.sse")
    assert chunk.text == "Hi"
    assert isinstance(failure, Failure)
    assert failure.kind is FailureKind.INTERNAL
    assert "/srv" not in failure.message


@pytest.mark.parametrize("reason", ["error", "abort"])
def test_a_finish_reason_that_means_failure_is_one(reason):
    event = {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
    assert isinstance(ADAPTERS["vllm"].parse_event(Operation.CHAT, event), Failure)


def test_tool_call_deltas_count_as_content():
    event = {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": "f"}}]}}]}
    chunk = ADAPTERS["vllm"].parse_event(Operation.CHAT, event)
    assert isinstance(chunk, Chunk)
    assert chunk.has_content


@pytest.mark.parametrize("value", [-1, 10**12, "7", True, 1.5, None])
def test_a_token_count_that_cannot_be_true_is_unknown(value):
    event = {"choices": [], "usage": {"prompt_tokens": value, "completion_tokens": 3}}
    assert ADAPTERS["vllm"].parse_event(Operation.CHAT, event).usage == Usage(None, 3, None)


@pytest.mark.parametrize("junk", [{}, {"choices": "x"}, {"choices": [1]}, {"choices": [{"delta": 4}]}])
def test_junk_events_carry_nothing_and_do_not_raise(junk):
    assert ADAPTERS["vllm"].parse_event(Operation.CHAT, junk) == Chunk()


def test_a_whole_completion_gives_its_text_and_usage():
    body = {"choices": [{"text": "Hi", "finish_reason": "stop"}], "usage": {"prompt_tokens": 1}}
    chunk, usage = ADAPTERS["custom"].parse_response(Operation.COMPLETION, body)
    assert (chunk.text, chunk.finish_reason, usage) == ("Hi", "stop", Usage(1))


@pytest.mark.parametrize("body", [{"choices": []}, {"error": "The model is currently scaling"}, {"ok": 1}])
def test_a_200_that_is_no_answer_is_a_failure(body):
    with pytest.raises(EngineFailure):
        ADAPTERS["vllm"].parse_response(Operation.CHAT, body)


def test_tokens_must_be_a_list_of_numbers():
    assert ADAPTERS["vllm"].parse_tokens({"tokens": [1, 2]}) == [1, 2]
    with pytest.raises(EngineFailure):
        ADAPTERS["vllm"].parse_tokens({"tokens": "12"})


def test_the_model_list_gives_names_and_context_length():
    listing = ADAPTERS["vllm"].parse_models({"data": [{"id": "a", "max_model_len": 4096}, {"id": "b"}]})
    assert (listing.models, listing.context_length) == (("a", "b"), 4096)
    assert ADAPTERS["trtllm"].parse_models({"data": [{"id": "a"}]}).context_length is None
    assert ADAPTERS["trtllm"].parse_models({"data": None}).models == ()


def metrics(kind, name):
    return {item.name: item.value for item in ADAPTERS[kind].parse_metrics((RECORDED / name).read_text())}


def test_vllms_metrics_are_summed_over_its_ranks():
    values = metrics("vllm", "vllm_metrics.txt")
    assert (values["running"], values["waiting"], values["kv_use"], values["steps"]) == (7, 2, 0.62, 812)
    assert (values["prefix_hits"], values["prefix_queries"], values["awake"]) == (500, 2000, 1)
    assert values["started_at"] == 1.79543904e9


def test_the_custom_kinds_metrics_have_their_own_prefix_and_start_time():
    values = metrics("custom", "custom_metrics.txt")
    assert (values["running"], values["waiting"], values["input_tokens"]) == (0, 0, 21)
    assert values["steps"] > 0
    assert values["started_at"] == pytest.approx(1_795_452_506.6, abs=0.1)
    assert values["awake"] is None


def test_tensorrts_json_statistics_use_the_newest_entry():
    values = metrics("trtllm", "trtllm_metrics.json")
    assert (values["running"], values["waiting"], values["kv_use"], values["steps"]) == (7, 2, 0.16, 812)
    assert (values["prefix_hits"], values["prefix_queries"]) == (311, 401)


def test_tensorrts_drained_list_is_unknown_and_not_zero():
    assert {item.value for item in ADAPTERS["trtllm"].parse_metrics("[]")} == {None}


def test_tensorrts_newer_prometheus_names_are_read_too():
    values = metrics("trtllm", "trtllm_metrics.txt")
    assert (values["running"], values["waiting"], values["kv_use"], values["steps"]) == (5, 1, 0.16, 812)
