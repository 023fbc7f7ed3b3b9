"""The light load of a failover gate: what clients would send through the gateway, each answer followed to its end."""

import asyncio
import contextlib
import json
import time
from collections.abc import Callable
from typing import Any

import aiohttp

from gates.failover.scenarios import Plan, Sample, Seen

ASKED = "Request {index} of a failover drill: name three things that a stand-by engine is good for."


class Load:
    """Open loop: a request is sent when it is due, however long the others take. `clock` is seconds since the start."""

    def __init__(
        self, session: aiohttp.ClientSession, *, url: str, route: str, token: Callable[[], str], plan: Plan
    ) -> None:
        self.samples: list[Sample] = []
        self._session, self._url, self._route, self._token, self._plan = session, url, route, token, plan
        self._started = time.monotonic()
        self._flying: set[asyncio.Task[Sample]] = set()

    def restart(self) -> None:
        """From here the clock counts; what was sent before is forgotten."""
        self._started, self.samples = time.monotonic(), []

    def clock(self) -> float:
        return time.monotonic() - self._started

    async def run(self) -> None:
        """Until it is cancelled; `drain` then waits for what is under way."""
        index = 0
        while True:
            await asyncio.sleep(max(index / self._plan.rate - self.clock(), 0))
            task = asyncio.create_task(self.send(index, streamed=index % 2 == 0))
            self._flying.add(task)
            task.add_done_callback(self._landed)
            index += 1

    async def drain(self) -> None:
        await asyncio.gather(*self._flying, return_exceptions=True)

    def _landed(self, task: "asyncio.Task[Sample]") -> None:
        self._flying.discard(task)
        if not task.cancelled() and task.exception() is None:
            self.samples.append(task.result())

    async def send(self, index: int, *, streamed: bool) -> Sample:
        facts: dict[str, Any] = {"sent": self.clock(), "seen": Seen.CUT}
        try:
            async with asyncio.timeout(self._plan.request_timeout):
                await self._exchange(index, facts, streamed=streamed)
        except TimeoutError:
            facts["seen"] = Seen.TIMEOUT
        except aiohttp.ClientConnectorError as error:
            facts |= {"seen": Seen.NO_CONNECTION, "error": str(error)[:200]}
        except (aiohttp.ClientError, ValueError) as error:
            facts |= {"seen": Seen.CUT, "error": str(error)[:200]} if facts["seen"] is Seen.CUT else {}
        return Sample(index=index, streamed=streamed, ended=self.clock(), **facts)

    async def _exchange(self, index: int, facts: dict[str, Any], *, streamed: bool) -> None:
        body = {
            "model": self._route,
            "messages": [{"role": "user", "content": ASKED.format(index=index)}],
            "max_tokens": self._plan.max_tokens,
            "stream": streamed,
        }
        headers = {"Authorization": f"Bearer {self._token()}"}
        async with self._session.post(f"{self._url}/v1/chat/completions", json=body, headers=headers) as answer:
            facts["status"] = answer.status
            facts["engine"] = answer.headers.get("x-chosen-engine", "")
            facts["request_id"] = answer.headers.get("x-request-id", "")
            if answer.status != 200:
                facts |= {"seen": Seen.HTTP_ERROR, "error": said(await answer.read())}
            elif streamed:
                await self._follow(answer, facts)
            else:
                whole = json.loads(await answer.read())
                facts |= {"seen": Seen.OK, "engine": whole.get("chosen_engine", facts["engine"])}

    async def _follow(self, answer: aiohttp.ClientResponse, facts: dict[str, Any]) -> None:
        async for line in answer.content:
            payload = line.strip().removeprefix(b"data: ")
            if payload == b"[DONE]":
                facts["seen"] = Seen.OK
            elif line.startswith(b"data: "):
                event = json.loads(payload)
                facts["engine"] = event.get("chosen_engine", facts["engine"])
                if "error" in event:
                    facts |= {"seen": Seen.ERROR_EVENT, "error": said(payload)}
                elif "ttft" not in facts and has_content(event):
                    facts["ttft"] = self.clock() - facts["sent"]


def has_content(event: dict[str, Any]) -> bool:
    deltas = [choice.get("delta", {}) for choice in event.get("choices", [])]
    return any(delta.get(name) for delta in deltas for name in ("content", "reasoning_content", "tool_calls"))


def said(raw: bytes) -> str:
    """The message of an error object, or nothing."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        return str(json.loads(raw)["error"]["message"])[:200]
    return ""
