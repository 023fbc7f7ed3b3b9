"""Which requests begin a trace: drawn before the tracer is asked, unless the client brings a trace of its own."""

import pytest

from routing.gateway import spans

TRACEPARENT = {b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths for which the tracer was asked."""
    paths: list[str] = []
    original = spans.start_server

    def start(path: str, headers: object) -> object:
        paths.append(path)
        return original(path, headers)  # type: ignore[arg-type]

    monkeypatch.setattr(spans, "start_server", start)
    return paths


def test_at_ratio_0_no_tracer_is_asked(asked: list[str]) -> None:
    assert [spans.begin("/v1/x", {}, 0.0) for _ in range(50)] == [None] * 50
    assert asked == []


def test_at_ratio_1_every_request_is_put_to_the_tracer(asked: list[str]) -> None:
    for _ in range(50):
        spans.begin("/v1/x", {}, 1.0)
    assert len(asked) == 50


def test_the_clients_own_trace_is_always_put_to_the_tracer(asked: list[str]) -> None:
    spans.begin("/v1/x", TRACEPARENT, 0.0)
    assert asked == ["/v1/x"]


def test_a_share_is_drawn(asked: list[str]) -> None:
    for _ in range(2000):
        spans.begin("/v1/x", {}, 0.25)
    assert 350 < len(asked) < 650
