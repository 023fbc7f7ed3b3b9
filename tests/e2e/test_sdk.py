"""The OpenAI SDK at the gateway of the running product, answered by the demo model."""

import re
import subprocess
from typing import Any

import openai
import pytest

from tests.e2e.stack import Stack

pytestmark = pytest.mark.stack

QUESTION: list[Any] = [{"role": "user", "content": "What is a canary?"}]


def test_the_printed_curl_answers_with_text_of_the_demo_model(stack: Stack) -> None:
    printed = re.search(r"^curl .*?\\\n.*$", stack.log.read_text(), re.MULTILINE)
    assert printed is not None
    answer = subprocess.run(printed.group(), shell=True, capture_output=True, text=True, timeout=60, check=True)
    assert '"content":"' in answer.stdout.replace(" ", "")
    assert "canary" in answer.stdout.lower()


def test_chat_answers_and_names_the_engine(sdk: openai.OpenAI) -> None:
    answer = sdk.chat.completions.create(model="demo", messages=QUESTION, temperature=0)
    assert "canary" in (answer.choices[0].message.content or "").lower()
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0
    assert answer.model == "demo"
    assert (answer.model_extra or {})["chosen_engine"] == "hf-demo"


def test_a_stream_adds_up_to_the_same_answer(sdk: openai.OpenAI) -> None:
    whole = sdk.chat.completions.create(model="demo", messages=QUESTION, temperature=0).choices[0].message.content
    events = list(sdk.chat.completions.create(model="demo", messages=QUESTION, temperature=0, stream=True))
    text = "".join(event.choices[0].delta.content or "" for event in events if event.choices)
    assert text == whole
    assert (events[0].model_extra or {})["chosen_engine"] == "hf-demo"
    assert events[-1].choices[0].finish_reason == "stop"


def test_completions_and_models(sdk: openai.OpenAI) -> None:
    answer = sdk.completions.create(model="demo", prompt="A canary is", max_tokens=8)
    assert answer.choices[0].finish_reason in {"length", "stop"}
    assert [model.id for model in sdk.models.list()] == ["demo"]


def test_a_chosen_engine_is_asked(sdk: openai.OpenAI) -> None:
    raw = sdk.chat.completions.with_raw_response.create(
        model="demo", messages=QUESTION, extra_headers={"x-engine": "hf-demo-b"}
    )
    assert raw.headers["x-chosen-engine"] == "hf-demo-b"
    assert raw.headers["x-decision-id"]


def test_a_wrong_key_is_401_and_an_unknown_model_404(stack: Stack, sdk: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        sdk.chat.completions.create(model="nope", messages=QUESTION)
    assert missing.value.code == "model_not_found"
    stranger = sdk.with_options(api_key="ek-wrong")
    with pytest.raises(openai.AuthenticationError):
        stranger.chat.completions.create(model="demo", messages=QUESTION)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b'{"model": "demo", "messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 400),
        (b'{"model": "demo", "messages": ' + b"[" * 5000 + b"]" * 5000 + b"}", 400),
        (b'{"model": "demo", "x": "' + b"x" * (11 * 1024 * 1024) + b'"}', 413),
    ],
    ids=["not-json", "nan", "deep-nesting", "too-large"],
)
def test_bad_bodies_get_an_openai_error(sdk: openai.OpenAI, body: bytes, status: int) -> None:
    with pytest.raises(openai.APIStatusError) as refused:
        sdk.post(
            "/chat/completions",
            cast_to=object,
            content=body,
            options={"headers": {"Content-Type": "application/json"}},
        )
    assert refused.value.status_code == status
    assert refused.value.type == "invalid_request_error"
