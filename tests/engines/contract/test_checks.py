"""Each check fails on an engine that breaks what it is about: a contract that cannot be broken proves nothing."""

from typing import Any

import pytest

from engines.contract import Outcome, answers, findings_from_json, findings_to_json
from tests.engines.contract.conftest import Held
from tests.fakes.engine import serve

ERROR_PAGE = (200, {"id": "x", "object": "chat.completion", "choices": [
    {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}]})  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake shows at once what it shows."""
    monkeypatch.setattr(answers, "SHOWN_SECONDS", 0.3)
    monkeypatch.setattr(answers, "GONE_SECONDS", 1.0)


@pytest.mark.parametrize(
    ("fake", "broken"),
    [
        ({"mode": "500"}, {"generate", "stream", "usage", "stop reasons", "unicode", "logprobs"}),
        ({"mode": "no_usage"}, {"usage"}),
        ({"mode": "no_finish"}, {"generate", "stream"}),
        ({"mode": "eof_mid"}, {"stream"}),
        ({"tokens": 1}, {"stream"}),
        ({"health_status": 503}, {"health"}),
        ({"models": ("another",)}, {"health"}),
        ({"extra_paths": {"/tokenize": (200, {"tokens": [1]})}}, {"tokenize"}),
        # answers everything, whatever is asked
        ({"extra_paths": {"/v1/chat/completions": ERROR_PAGE}}, {"error 400", "error 404", "context overflow"}),
    ],
)
async def test_what_an_engine_breaks_is_found(held: Held, fake: dict[str, Any], broken: set[str]) -> None:
    with serve(**fake) as engine:
        found = await held("vllm", engine.url, model="m")
    failed = {name for name, finding in found.items() if finding.outcome is Outcome.FAIL}
    assert broken <= failed
    assert all(found[name].detail for name in failed)


async def test_a_feature_that_is_declared_missing_must_be_refused(held: Held) -> None:
    with serve() as engine:
        found = await held("vllm", engine.url, model="m", record={"logprobs": "no", "guided": "no"})
    assert found["logprobs"].outcome is Outcome.FAIL
    assert "as if it had not been asked" in found["logprobs"].detail


async def test_a_feature_that_is_declared_must_be_there(held: Held) -> None:
    with serve() as engine:
        found = await held("vllm", engine.url, model="m", record={"guided": "yes"})
    assert found["logprobs"].outcome is Outcome.FAIL
    assert found["JSON schema"].outcome is Outcome.FAIL


async def test_an_engine_that_frees_what_a_departed_client_held_passes(held: Held) -> None:
    with serve(interval=0.003, tokens=2000) as engine:
        found = await held("vllm", engine.url, model="m")
    assert found["cancel"].outcome is Outcome.PASS


async def test_an_engine_that_goes_on_after_the_client_left_is_found(
    held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(interval=0.003, tokens=2000) as engine:

        def metrics() -> bytes:
            """Who was cancelled runs for ever."""
            return f"vllm:num_requests_running {max(engine.running, engine.cancelled)}\n".encode()

        monkeypatch.setattr(engine, "_metrics", metrics)
        found = await held("vllm", engine.url, model="m")
    assert found["cancel"].outcome is Outcome.FAIL


async def test_an_engine_that_cannot_be_reached_fails_in_words(held: Held) -> None:
    found = await held("vllm", "http://127.0.0.1:9", model="m")
    assert found["generate"].outcome is Outcome.FAIL
    assert found["error 401"].outcome is Outcome.UNVERIFIED


async def test_findings_survive_being_stored(held: Held) -> None:
    with serve() as engine:
        found = list((await held("vllm", engine.url, model="m")).values())
    assert findings_from_json(findings_to_json(found)) == found
