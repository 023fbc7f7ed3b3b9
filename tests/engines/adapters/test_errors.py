"""Five error shapes become one Failure that is safe to show."""

from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.adapters.errors import (
    failure_from_event,
    failure_from_response,
    retry_after_seconds,
    sanitise,
)
from engines.client import FailureKind

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def read(status, body, *, content_type="application/json", retry_after=None):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return failure_from_response(status=status, content_type=content_type, body=raw, retry_after=retry_after, now=NOW)


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "too long", "type": "BadRequestError", "param": None, "code": 400}},
        {"error": "too long"},
        {"object": "error", "message": "too long", "type": "BadRequestError", "code": 400},
        {"detail": "too long"},
        b"too long",
    ],
)
def test_every_shape_of_a_400_gives_the_same_sentence(body):
    kind = "text/plain" if isinstance(body, bytes) else "application/json"
    failure = read(400, body, content_type=kind)
    assert (failure.kind, failure.message, failure.status) == (FailureKind.BAD_REQUEST, "too long", 400)


def test_a_detail_list_names_the_parameter():
    failure = read(422, {"detail": [{"loc": ["body", "stop", 0], "msg": "Input should be a string"}]})
    assert (failure.param, failure.message) == ("stop.0", "stop.0: Input should be a string")


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, FailureKind.UNAUTHORIZED),
        (403, FailureKind.UNAUTHORIZED),
        (404, FailureKind.NOT_FOUND),
        (413, FailureKind.BAD_REQUEST),
        (429, FailureKind.SATURATED),
        (500, FailureKind.INTERNAL),
        (502, FailureKind.UNAVAILABLE),
        (503, FailureKind.UNAVAILABLE),
        (504, FailureKind.TIMEOUT),
        (200, FailureKind.MALFORMED),
        (307, FailureKind.MALFORMED),
        (599, FailureKind.INTERNAL),
    ],
)
def test_a_status_without_words_has_its_kind_and_a_sentence(status, kind):
    failure = read(status, b"", content_type="text/html")
    assert failure.kind is kind
    assert failure.message


def test_a_full_queue_is_saturation_and_not_an_outage():
    queue = {"error": {"message": "engine is currently busy", "type": "Service Unavailable"}}
    assert read(503, queue).kind is FailureKind.SATURATED
    assert read(503, {"error": "The model is currently scaling"}).kind is FailureKind.SATURATED
    assert read(503, b"", retry_after="1").kind is FailureKind.SATURATED


def test_a_server_that_is_stopping_is_unavailable():
    error = {"error": {"message": "cannot schedule new futures after shutdown", "code": 500}}
    assert read(500, error).kind is FailureKind.UNAVAILABLE


def test_a_400_that_hides_an_internal_error_is_not_the_callers_fault():
    assert read(400, {"object": "error", "message": "x", "type": "internal_error"}).kind is FailureKind.INTERNAL


def test_the_words_of_a_500_are_never_shown():
    failure = read(500, {"error": {"message": "Traceback: password=hunter22"}})
    assert "hunter22" not in failure.message
    assert "Traceback" not in failure.message


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2", 2), ("0", 0), ("99999999", 300), ("-4", 5), ("abc", 5), ("1e9", 5), ("nan", 5),
     ("Mon, 23 Nov 2026 12:00:09 GMT", 9), ("Mon, 23 Nov 2026 11:00:00 GMT", 5)],
)  # fmt: skip
def test_retry_after_is_read_defensively(value, seconds):
    assert retry_after_seconds(value, NOW) == seconds


@pytest.mark.parametrize(
    "secret",
    ["http://10.0.0.4:8000/v1", "10.0.0.4:8000", "/srv/models/llama/config.json", "Bearer abcdef123456",
     "sk-abcdef123456", "api_key=abcdef123456", "gpu1.cluster.local:8000", "localhost:8100", "[fd00::1]:80"],
)  # fmt: skip
def test_hosts_paths_and_keys_are_masked(secret):
    text = sanitise(f"Failed with {secret} at the end")
    assert secret not in text
    assert text.startswith("Failed with ")
    assert text.endswith(" at the end")


def test_an_ordinary_sentence_is_kept_as_it_is():
    sentence = "This model's maximum context length is 4,096 tokens; max_tokens: 5000 is and/or too large."
    assert sanitise(sentence) == sentence


@given(st.text(max_size=2000))
def test_a_message_is_one_short_line(text):
    clean = sanitise(text)
    assert len(clean) <= 300
    assert not {"\n", "\r", "\x00"} & set(clean)


@given(st.recursive(st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["error", "detail", "message", "object", "code", "loc", "msg"]), inner)),
       st.sampled_from([200, 400, 404, 429, 500, 503]))  # fmt: skip
def test_no_body_makes_the_reader_raise(body, status):
    assert read(status, body).message
    if isinstance(body, dict):
        failure_from_event(body)
