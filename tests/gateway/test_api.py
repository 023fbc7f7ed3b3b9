"""The gateway as clients meet it: the OpenAI SDK, keys, headers, models, what is refused at the edge."""

import json
import time
import urllib.request
from collections.abc import Iterator

import openai
import pytest

from routing.gateway.tokens import make_token
from routing.table import KeyEntry, Role
from tests.fakes.engine import FakeEngine
from tests.gateway.harness import (
    KEY,
    TOKEN_KEY,
    RunningGateway,
    chat,
    engines,
    entry,
    events,
    get,
    make_table,
    post,
    running,
    send,
    wait_until,
)
from tests.routing.tables import member

EXPIRED, NARROW, SLOW = "sk-expired", "sk-narrow", "sk-slow"
KEYS = {
    EXPIRED: KeyEntry(id=2, name="old", expires_at=1.0),
    NARROW: KeyEntry(id=3, name="narrow", scopes=("inference",)),
    SLOW: KeyEntry(id=4, name="slow", requests_per_minute=2),
}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeEngine]:
    with engines(FakeEngine(api_key="secret")) as (one,):
        yield one


@pytest.fixture(scope="module")
def gateway(fake: FakeEngine) -> Iterator[RunningGateway]:
    one = entry("one", 1, fake.url, served_model="engine-name")
    two = entry("two", 2, fake.url, kind="custom")
    sealed = [
        type(item)(**{**{n: getattr(item, n) for n in item.__slots__}, "replicas": tuple(
            type(replica)(replica.id, replica.url, "sealed:secret") for replica in item.replicas)})
        for item in (one, two)
    ]  # fmt: skip
    table = make_table(
        sealed, [member("one", 100), member("two", role=Role.STANDBY)], keys=KEYS, cors_origins=("https://app.example",)
    )
    with running(table) as found:
        yield found


@pytest.fixture
def sdk(gateway: RunningGateway) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, max_retries=0) as client:
        yield client


def test_the_sdk_chats(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="demo", messages=[{"role": "user", "content": "hi"}])
    assert answer.choices[0].message.content.startswith("w0 w1")
    assert answer.model == "demo"
    assert answer.chosen_engine == "one"
    assert answer.usage.completion_tokens == 5


def test_the_sdk_streams_and_gets_usage_only_if_it_asked(sdk: openai.OpenAI) -> None:
    for wanted in (True, False):
        options = {"stream_options": {"include_usage": True}} if wanted else {}
        chunks = list(
            sdk.chat.completions.create(
                model="demo", messages=[{"role": "user", "content": "hi"}], stream=True, **options
            )
        )
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        assert text == "w0 w1 w2 w3 w4 "
        assert chunks[0].chosen_engine == "one"
        assert {chunk.model for chunk in chunks} == {"demo"}
        assert any(chunk.usage for chunk in chunks) is wanted


def test_the_sdk_completes_a_prompt(sdk: openai.OpenAI) -> None:
    assert sdk.completions.create(model="demo", prompt="once").choices[0].text.startswith("w0")
    pieces = [chunk.choices[0].text for chunk in sdk.completions.create(model="demo", prompt="once", stream=True)]
    assert "".join(pieces).startswith("w0 w1")


def test_the_sdk_lists_models(sdk: openai.OpenAI) -> None:
    assert [model.id for model in sdk.models.list()] == ["demo"]
    assert sdk.models.retrieve("demo").id == "demo"
    with pytest.raises(openai.NotFoundError):
        sdk.models.retrieve("nope")


def test_a_wrong_key_is_401_and_an_unknown_model_404(gateway: RunningGateway) -> None:
    for key in ("sk-wrong", EXPIRED, ""):
        status, _, body = post(gateway, chat(), key=key)
        assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
    status, headers, body = post(gateway, {**chat(), "model": "nope"})
    assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")
    assert headers["x-should-retry"] == "false"
    assert get(gateway, "/v1/models")[0] == 401


def test_unknown_paths_and_methods_get_the_same_form_of_error(gateway: RunningGateway) -> None:
    for status, path in ((404, "/v1/embeddings"), (404, "/"), (405, "/v1/chat/completions")):
        found, headers, body = get(gateway, path)
        assert found == status
        assert json.loads(body)["error"]["message"]
        assert headers["x-request-id"]


def test_headers_tell_the_request_the_decision_and_the_engine(gateway: RunningGateway) -> None:
    _, headers, _ = post(gateway, chat(seed=1), x_request_id="mine-1", x_engine="two")
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-decision-id"].startswith("dec_")
    assert headers["x-decision-rule"] == "explicit"
    assert headers["x-chosen-engine"] == "two"
    assert headers["x-features-disabled"] == "seed"
    wait_until(lambda: gateway.doors.outcomes and gateway.doors.outcomes[-1]["request_id"] == headers["x-request-id"])
    outcome = gateway.doors.outcomes[-1]
    assert (outcome["rule"], outcome["engine"], outcome["result"]) == ("explicit", "two", "ok")
    assert outcome["decision"]["client_request_id"] == "mine-1"


def test_the_engine_gets_its_own_model_name_and_key_and_nothing_else(gateway: RunningGateway, fake: FakeEngine) -> None:
    post(gateway, chat(user="someone", kv_transfer_params={"x": 1}))
    assert fake.last_body["model"] == "engine-name"
    assert fake.last_headers["authorization"] == "Bearer secret"
    assert not {"user", "kv_transfer_params"} & set(fake.last_body)


def test_naming_an_engine_needs_its_scope(gateway: RunningGateway) -> None:
    assert post(gateway, chat(), key=NARROW)[0] == 200
    status, _, body = post(gateway, chat(), key=NARROW, x_engine="two")
    assert (status, json.loads(body)["error"]["type"]) == (403, "permission_error")
    assert post(gateway, chat(), x_engine="nope")[0] == 404


def test_internal_tokens_speak_for_our_own_processes(gateway: RunningGateway) -> None:
    before = len(gateway.doors.outcomes)
    good = make_token("playground", "olga@x", time.time() + 60, TOKEN_KEY)
    assert post(gateway, chat(), key=good, x_engine="two")[0] == 200
    wait_until(lambda: any(item["source"] == "playground" for item in gateway.doors.outcomes[before:]))
    assert post(gateway, chat(), key=make_token("gate", "run-1", time.time() - 1, TOKEN_KEY))[0] == 401
    assert post(gateway, chat(), key=good[:-2] + "xx")[0] == 401
    assert post(gateway, chat(), key=make_token("gate", "run-1", time.time() + 60, b"other"))[0] == 401


def test_a_key_that_spent_its_rate_is_told_when_to_come_back(gateway: RunningGateway) -> None:
    assert [post(gateway, chat(), key=SLOW)[0] for _ in range(2)] == [200, 200]
    status, headers, body = post(gateway, chat(), key=SLOW)
    assert (status, json.loads(body)["error"]["code"]) == (429, "rate_limit_exceeded")
    assert 1 <= int(headers["retry-after"]) <= 60
    assert headers["x-should-retry"] == "true"


def test_browsers_of_allowed_origins_may_read_the_answer(gateway: RunningGateway) -> None:
    _, headers, _ = post(gateway, chat(), origin="https://app.example")
    assert headers["access-control-allow-origin"] == "https://app.example"
    _, headers, _ = post(gateway, chat(), origin="https://evil.example")
    assert "access-control-allow-origin" not in headers
    assert "content-type" in _preflight(gateway, "https://app.example")["access-control-allow-headers"]
    assert "access-control-allow-headers" not in _preflight(gateway, "https://evil.example")


def _preflight(gateway: RunningGateway, origin: str) -> dict[str, str]:
    names = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    url = gateway.url + "/v1/chat/completions"
    return send(urllib.request.Request(url, method="OPTIONS", headers=names))[1]


def test_tokenize_answers_with_the_engines_tokens(gateway: RunningGateway) -> None:
    status, _, body = post(gateway, {"model": "demo", "prompt": "a b c"}, path="/v1/tokenize")
    assert (status, json.loads(body)["count"]) == (200, 3)


def test_health_metrics_and_liveness_are_open(gateway: RunningGateway) -> None:
    post(gateway, chat(stream=True))
    assert get(gateway, "/livez")[0] == 200
    status, _, body = get(gateway, "/healthz")
    assert status == 200
    assert json.loads(body)["engines"]["one"]["replicas"][0]["in_rotation"] is True
    text = get(gateway, "/metrics")[2].decode()
    assert 'gateway_time_to_first_token_seconds_bucket{engine="one",le="7.0"' in text
    assert 'gateway_request_duration_seconds_bucket{engine="one",le="20.0"' in text
    assert "gateway_table_version 1.0" in text


def test_the_first_event_names_the_engine_and_the_last_is_done(gateway: RunningGateway) -> None:
    _, headers, raw = post(gateway, chat(stream=True))
    found = events(raw)
    assert found[0]["chosen_engine"] == "one"
    assert found[-1] == "[DONE]"
    assert headers["x-accel-buffering"] == "no"
