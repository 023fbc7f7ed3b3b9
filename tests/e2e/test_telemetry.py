"""What console and gateway send to an OpenTelemetry collector, and what they never send."""

from typing import Any

import openai
import pytest

from tests.e2e.pages import Operator
from tests.e2e.stack import Stack, wait_for
from tests.fakes.collector import Collector, SpanSeen

pytestmark = pytest.mark.stack

SECRET_QUESTION: list[Any] = [{"role": "user", "content": "What is a canary? aubergine-4711"}]


def test_a_request_is_a_server_span_a_logical_call_and_its_attempt(collector: Collector, sdk: openai.OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(model="demo", messages=SECRET_QUESTION)
    wanted = raw.headers["x-decision-id"]

    def call_span() -> SpanSeen | None:
        calls = collector.named("chat demo")
        return next((span for span in calls if span.attributes.get("console.decision_id") == wanted), None)

    call = wait_for(call_span, seconds=15, what="the logical call was exported")
    assert call.attributes["chosen_engine"] == "hf-demo"
    assert call.attributes["gen_ai.operation.name"] == "chat"
    assert call.attributes["gen_ai.usage.output_tokens"] > 0
    spans = {span.span_id: span for span in collector.spans}
    assert spans[call.parent_id].name == "POST /v1/chat/completions"
    attempts = [span for span in collector.spans if span.parent_id == call.span_id]
    assert [span.name for span in attempts] == ["attempt hf-demo"]


def test_prompts_and_keys_are_in_no_span(collector: Collector, sdk: openai.OpenAI, stack: Stack) -> None:
    before = len(collector.named("chat demo"))
    sdk.chat.completions.create(model="demo", messages=SECRET_QUESTION)
    wait_for(lambda: len(collector.named("chat demo")) > before, seconds=15, what="the call was exported")
    assert b"aubergine-4711" not in collector.raw
    assert stack.facts["api_key"].encode() not in collector.raw


def test_pages_are_spans_and_outcomes_are_metrics(collector: Collector, stack: Stack, sdk: openai.OpenAI) -> None:
    list(sdk.chat.completions.create(model="demo", messages=SECRET_QUESTION, stream=True))
    with Operator(stack) as operator:
        operator.get("/traffic/demo/")
    wait_for(lambda: collector.named("GET traffic/"), seconds=15, what="the page was exported")
    wait_for(
        lambda: {"gen_ai.server.request.duration", "gen_ai.server.time_to_first_token"} <= collector.metrics,
        seconds=15,
        what="the histograms were exported",
    )


def test_the_gateway_speaks_prometheus(stack: Stack, sdk: openai.OpenAI) -> None:
    sdk.chat.completions.create(model="demo", messages=SECRET_QUESTION)
    text = stack.metrics()
    assert 'le="7.0"' in text
    assert 'le="20.0"' in text
    assert "gateway_table_version" in text
