"""What the gateway refuses at its edge: bodies that are no JSON, wrong fields, too much, the wrong kind."""

import http.client
import json
from collections.abc import Iterator

import pytest

from tests.gateway.harness import KEY, RunningGateway, chat, entry, make_table, post, running
from tests.routing.tables import member


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    """Its engine does not exist: nothing in here may reach it."""
    with running(make_table([entry("one", 1, "http://127.0.0.1:9")], [member("one", 100)])) as found:
        yield found


BAD_BODIES = {
    "not json": b"{",
    "NaN": b'{"model":"demo","temperature":NaN,"messages":[]}',
    "a list": b"[]",
    "nothing": b"",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"model":"demo"}'.encode("utf-16"),
    "a lone surrogate": b'{"model":"\\ud800"}',
    "infinite": b'{"temperature":1e999}',
    "nested too deep": b'{"a":' + b"[" * 70 + b"]" * 70 + b"}",
    "nested without end": b"[" * 100_000,
}


@pytest.mark.parametrize("name", BAD_BODIES)
def test_bad_json_is_a_400(gateway: RunningGateway, name: str) -> None:
    status, _, body = post(gateway, BAD_BODIES[name])
    assert (status, json.loads(body)["error"]["code"]) == (400, "invalid_json")


@pytest.mark.parametrize(("field", "value"), [
    ("messages", []), ("messages", "hi"), ("messages", [1]), ("messages", [{"role": "king", "content": "x"}]),
    ("messages", [{"role": "user"}]), ("max_tokens", 0), ("max_tokens", True), ("max_tokens", "5"),
    ("temperature", 3), ("temperature", "hot"), ("top_p", 0), ("top_k", 1.5), ("n", 10**6), ("stream", "yes"),
    ("stop", [""]), ("stop", ["x"] * 10_000), ("model", ""), ("stream_options", {"include_usage": True}),
    ("messages", [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}]),
])  # fmt: skip
def test_a_wrong_field_is_a_400_that_names_it(gateway: RunningGateway, field: str, value: object) -> None:
    status, _, body = post(gateway, chat(**{field: value}))
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (400, "invalid_value")
    assert error["param"].split("[")[0] == field


def test_a_body_that_is_too_large_is_a_413(gateway: RunningGateway) -> None:
    status, _, body = post(gateway, b" " * (10 * 1024 * 1024 + 1))
    assert (status, json.loads(body)["error"]["code"]) == (413, "request_too_large")


def test_a_chunked_body_that_grows_too_large_is_a_413(gateway: RunningGateway) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    names = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
    connection.request("POST", "/v1/completions", iter([b" " * 1_000_000] * 12), names, encode_chunked=True)
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["error"]["code"] == "request_too_large"
    connection.close()


def test_a_body_of_another_kind_is_a_415(gateway: RunningGateway) -> None:
    assert post(gateway, chat(), content_type="text/plain")[0] == 415
    assert post(gateway, chat(), content_encoding="gzip")[0] == 415
