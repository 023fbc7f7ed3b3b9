"""How answers leave the gateway's socket: head and body together, nothing kept back too long."""

import json
import socket
from collections.abc import Iterator

import pytest

from routing.gateway.protocol import HeadKeeper
from tests.fakes.engine import FakeEngine
from tests.gateway.harness import KEY, RunningGateway, chat, engines, entry, make_table, running
from tests.routing.tables import member


class Written:
    """A transport that remembers each write."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        self.parts.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, _name: str) -> None:
        return None


@pytest.fixture(scope="module")
def gateway() -> Iterator[RunningGateway]:
    with (
        engines(FakeEngine(tokens=3)) as (fake,),
        running(make_table([entry("e0", 1, fake.url)], [member("e0", 100)])) as up,
    ):
        yield up


def exchange(gateway: RunningGateway, head: str, body: bytes = b"") -> bytes:
    """The whole answer on a connection that is closed after it."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as sock:
        sock.sendall(f"{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n".encode() + body)
        received = b""
        while data := sock.recv(65536):
            received += data
        return received


def test_head_and_first_bytes_of_the_body_are_one_write() -> None:
    under = Written()
    keeper = HeadKeeper(under)  # type: ignore[arg-type]
    keeper.write(b"HTTP/1.1 200 OK\r\n\r\n")
    assert under.parts == []
    keeper.write(b"body")
    keeper.write(b"more")
    assert under.parts == [b"HTTP/1.1 200 OK\r\n\r\nbody", b"more"]


def test_100_continue_leaves_at_once() -> None:
    under = Written()
    HeadKeeper(under).write(b"HTTP/1.1 100 Continue\r\n\r\n")  # type: ignore[arg-type]
    assert under.parts == [b"HTTP/1.1 100 Continue\r\n\r\n"]


def test_a_head_without_a_body_leaves_before_the_connection_closes() -> None:
    under = Written()
    keeper = HeadKeeper(under)  # type: ignore[arg-type]
    keeper.write(b"HTTP/1.1 500 Internal Server Error\r\n\r\n")
    keeper.close()
    assert under.parts == [b"HTTP/1.1 500 Internal Server Error\r\n\r\n"]
    assert under.closed


@pytest.mark.parametrize("request_line", ["HEAD /livez", "HEAD /nothing", "OPTIONS /v1/models"])
def test_answers_without_a_body_arrive(gateway: RunningGateway, request_line: str) -> None:
    answer = exchange(gateway, request_line, b"\r\n")
    assert answer.startswith(b"HTTP/1.1 ")
    assert answer.endswith(b"\r\n\r\n")


def test_a_head_answer_arrives_on_a_connection_that_stays_open(gateway: RunningGateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as sock:
        for _ in range(3):
            sock.sendall(b"HEAD /livez HTTP/1.1\r\nhost: x\r\n\r\n")
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")


def test_a_request_that_is_no_http_is_answered(gateway: RunningGateway) -> None:
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as sock:
        sock.sendall(b"nonsense\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 400")


def test_a_client_that_waits_for_100_continue_gets_it(gateway: RunningGateway) -> None:
    raw = json.dumps(chat()).encode()
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as sock:
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\nconnection: close\r\n"
            b"content-type: application/json\r\nauthorization: Bearer %b\r\ncontent-length: %d\r\n\r\n"
            % (KEY.encode(), len(raw))
        )
        assert sock.recv(100).startswith(b"HTTP/1.1 100")
        sock.sendall(raw)
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
