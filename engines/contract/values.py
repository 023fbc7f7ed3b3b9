"""What a check of the contract works with and what it finds."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import aiohttp
import orjson

from engines.client import Answer, FailureKind, Feature, Operation
from engines.http import HttpEngineClient
from engines.payloads import decode
from engines.transport import exchange, read_all


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105
    FAIL = "fail"
    # The engine says that it cannot, and refuses who asks for it all the same.
    UNSUPPORTED = "not supported"
    # Nothing was shown either way: it cannot be brought about from outside, or this model does not do it.
    UNVERIFIED = "not verified"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found. `seconds` is how long it took."""

    capability: str
    outcome: Outcome
    detail: str
    seconds: float = 0.0


Found = tuple[Outcome, str]


class Broken(Exception):
    """The engine did not keep the contract; the text says how."""


@dataclass(frozen=True, slots=True)
class Reply:
    """One raw answer: status, JSON body (empty where it was none) and how the adapter reads it as an error."""

    status: int
    body: Mapping[str, Any]
    kind: FailureKind | None


@dataclass(slots=True)
class Bench:
    """The engine under test. `context_length` is None where the engine does not tell it."""

    client: HttpEngineClient
    session: aiohttp.ClientSession
    api_key: str | None = None
    context_length: int | None = None

    def answer(self, feature: Feature) -> Answer:
        return self.client.supports(feature).answer

    async def chat(self, text: str, *, key: str | None = None, model: str | None = None, **body: Any) -> Reply:
        """A chat request as the adapter would send it, answered whole, with the raw body."""
        asked = {"messages": [{"role": "user", "content": text}], **body}
        prepared = self.client.adapter.prepare(
            Operation.CHAT, asked, served_model=model or self.client.served_model, record=self.client.record
        )
        return await self.post(prepared.path, orjson.dumps(prepared.body), key=key)

    async def post(self, path: str, raw: bytes, *, key: str | None = None) -> Reply:
        """`key` in place of the engine's own."""
        adapter = self.client.adapter
        headers = adapter.headers(api_key=key or self.api_key, request_id="")
        async with exchange(self.session, "POST", self.client.base_url + path, headers=headers, body=raw) as response:
            data = await read_all(response)
            if response.status == 200:
                return Reply(200, decode(data), None)
            failure = adapter.parse_error(status=response.status, content_type=response.content_type, body=data)
            return Reply(response.status, _mapping(data), failure.kind)


def _mapping(data: bytes) -> Mapping[str, Any]:
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}


def findings_to_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [asdict(finding) for finding in findings]


def findings_from_json(rows: Sequence[Mapping[str, Any]]) -> list[Finding]:
    return [Finding(row["capability"], Outcome(row["outcome"]), row["detail"], row["seconds"]) for row in rows]
