"""What a browser may send: bounded, and refused by the name of the field."""

import json
from typing import Any

import pytest

from console.playground_messages import MAX_MESSAGE_BYTES, BadMessage, Start, Stop, parse


def message(**changes: Any) -> str:
    pane = {"pane": 1, "engine": "auto", "messages": [{"role": "user", "content": "Hi"}]}
    start = {"type": "start", "run": "r-1", "conversation": "c-1", "route": "demo", "panes": [pane], "params": {}}
    return json.dumps({**start, **changes})


def pane(**changes: Any) -> list[dict[str, Any]]:
    return [{"pane": 1, "engine": "auto", "messages": [{"role": "user", "content": "Hi"}], **changes}]


def test_auto_names_no_engine_and_a_name_does() -> None:
    start = parse(message(panes=[*pane(), *pane(pane=2, engine="hf-a")]))
    assert isinstance(start, Start)
    assert [question.engine for question in start.questions] == [None, "hf-a"]
    assert [question.session for question in start.questions] == ["c-1-1", "c-1-2"]


def test_the_request_streams_with_usage_and_only_the_given_parameters() -> None:
    params = {"temperature": 0, "top_p": None, "max_tokens": 16, "stop": ["\n"], "system": "Be short."}
    start = parse(message(params=params))
    assert isinstance(start, Start)
    assert start.questions[0].body == {
        "model": "demo",
        "max_tokens": 16,
        "temperature": 0.0,
        "stop": ["\n"],
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_stop_may_name_one_pane_or_all() -> None:
    assert parse('{"type":"stop","run":"r-1","pane":2}') == Stop("r-1", 2)
    assert parse('{"type":"stop","run":"r-1"}') == Stop("r-1", None)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "message"),
        ("{", "message"),
        ("[]", "message"),
        ('{"type":"start","params":{"temperature":NaN}}', "message"),
        ("[" * 5000, "message"),
        ("x" * (MAX_MESSAGE_BYTES + 1), "message"),
        ("ä" * (MAX_MESSAGE_BYTES // 2 + 1), "message"),
        ("{}", "type"),
        ('{"type":["start"]}', "type"),
        ('{"type":"__class__"}', "type"),
        ('{"type":"stop"}', "run"),
        ('{"type":"stop","run":"r","pane":9}', "pane"),
        (message(run="a b"), "run"),
        (message(conversation=None), "conversation"),
        (message(route="demo\r\nx-engine: a"), "route"),
        (message(panes=[]), "panes"),
        (message(panes=pane() * 2), "panes"),
        (message(panes=["a"]), "panes"),
        (message(panes=pane(pane=True)), "pane"),
        (message(panes=pane(engine="a\nb")), "engine"),
        (message(panes=pane(messages=[])), "messages"),
        (message(panes=pane(messages=[{"role": "system", "content": "x"}])), "messages"),
        (message(panes=pane(messages=[{"role": "user", "content": "  "}])), "messages"),
        (message(panes=pane(messages=[{"role": "user", "content": [1]}])), "messages"),
        (message(params=[]), "params"),
        (message(params={"max_tokens": 4097}), "max_tokens"),
        (message(params={"max_tokens": 0}), "max_tokens"),
        (message(params={"temperature": 2.1}), "temperature"),
        (message(params={"top_p": "1"}), "top_p"),
        (message(params={"stop": ["a"] * 5}), "stop"),
        (message(params={"system": 3}), "system"),
    ],
)
def test_what_cannot_be_used_is_refused_by_field(text: str, field: str) -> None:
    with pytest.raises(BadMessage) as refused:
        parse(text)
    assert refused.value.field == field
