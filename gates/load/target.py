"""Where a run's requests go: one replica of an engine through its adapter, or a route through the gateway."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import orjson

from engines.adapters.openai import PATHS, OpenAIAdapter
from engines.client import GenerateRequest, Operation
from engines.http import HttpEngineClient
from engines.network import Network, is_allowed
from gates.load.plan import Planned
from gates.load.wire import Answer, Wire
from gates.policy import Workload

__all__ = ["Answer", "EngineTarget", "GatewayTarget", "Target"]


class Target(Protocol):
    async def send(
        self, planned: Planned, messages: Sequence[dict[str, Any]], *, workload: Workload, answer: Answer
    ) -> None:
        """Fill `answer` in and return at its end. Every failure of the other side is an outcome, not an exception.

        Cancelled: the connection is closed at once, `answer` keeps what was seen.
        """
        ...

    def close(self) -> None:
        """Drop idle connections. It can be used again afterwards."""
        ...


class EngineTarget:
    """The replica that `client` stands for. `networks`: what its address must lie in, checked at each connect."""

    def __init__(self, client: HttpEngineClient, *, networks: Iterable[Network] | None = None) -> None:
        held = None if networks is None else tuple(networks)
        allowed = None if held is None else lambda address: is_allowed(address, held)
        self._client = client
        self._wire = Wire(client.base_url, client.adapter, allowed=allowed)

    async def send(
        self, planned: Planned, messages: Sequence[dict[str, Any]], *, workload: Workload, answer: Answer
    ) -> None:
        path, body, headers = self._client.wire(
            GenerateRequest(messages=tuple(messages), max_tokens=planned.max_tokens, body=_options(planned, workload))
        )
        await self._wire.exchange(_request(self._wire, path, body, headers), answer)

    def close(self) -> None:
        self._wire.close()


class GatewayTarget:
    """A route, asked as any client asks. `token_factory` gives the bearer token; `engine` pins one engine of it."""

    def __init__(self, url: str, route: str, token_factory: Callable[[], str], *, engine: str = "") -> None:
        self._route, self._token_factory, self._engine = route, token_factory, engine
        self._wire = Wire(url, OpenAIAdapter())

    async def send(
        self, planned: Planned, messages: Sequence[dict[str, Any]], *, workload: Workload, answer: Answer
    ) -> None:
        body = {
            "model": self._route,
            "messages": list(messages),
            "max_tokens": planned.max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
            **_options(planned, workload),
        }
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token_factory()}"}
        if self._engine:
            headers["X-Engine"] = self._engine
        request = _request(self._wire, PATHS[Operation.CHAT], orjson.dumps(body), headers)
        await self._wire.exchange(request, answer)

    def close(self) -> None:
        self._wire.close()


def _options(planned: Planned, workload: Workload) -> dict[str, Any]:
    options: dict[str, Any] = {"temperature": workload.temperature, "seed": planned.seed}
    return {**options, "ignore_eos": True} if workload.ignore_eos else options


def _request(wire: Wire, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of one POST. A header's value that would break the framing raises ValueError."""
    lines = [f"POST {wire.base_path}{path} HTTP/1.1", f"Host: {wire.authority}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines.append("User-Agent: engine-console-gate")
    if any("\r" in line or "\n" in line for line in lines):
        raise ValueError("A header holds a line break.")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
