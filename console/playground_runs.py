"""The runs of one websocket: a task per pane, so that a stop is seen while text flows."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from console.playground import Emit, Gateway, PaneRun
from console.playground_messages import BadMessage, Start

MAX_RUNS = 2
CONFIRM_EVERY = 0.3
CONFIRM_TRIES = 20

# Request id → how its recorded outcome ended, None while there is none.
Recorded = Callable[[str], Awaitable[str | None]]


class Runs:
    def __init__(self, *, gateway: Gateway, emit: Emit, recorded: Recorded) -> None:
        self._gateway = gateway
        self._emit = emit
        self._recorded = recorded
        self._panes: dict[tuple[str, int], tuple[PaneRun, asyncio.Task[None]]] = {}
        self._confirming: set[asyncio.Task[None]] = set()

    def start(self, start: Start) -> None:
        """Raises BadMessage when too many runs are under way."""
        running = {run for run, _pane in self._panes}
        if start.run in running:
            raise BadMessage("run", "A run with this id is under way.")
        if len(running) >= MAX_RUNS:
            raise BadMessage("run", f"{MAX_RUNS} runs are under way. Stop one or wait for its end.")
        for question in start.questions:
            key = (start.run, question.pane)
            pane = PaneRun(question, gateway=self._gateway, emit=self._emitter(*key))
            task = asyncio.create_task(pane.run(), name=f"playground {start.run} pane {question.pane}")
            self._panes[key] = (pane, task)
            task.add_done_callback(partial(self._forget, key))

    async def stop(self, run: str, pane: int | None) -> None:
        """Cancels the run's panes, or one of them. What has already ended is no error."""
        chosen = [
            self._stop(key, *work) for key, work in self._panes.items() if key[0] == run and pane in (None, key[1])
        ]
        await asyncio.gather(*chosen)

    async def close(self) -> None:
        """The browser is gone: nobody reads on, so every engine stops."""
        tasks = [task for _pane, task in self._panes.values()] + list(self._confirming)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _stop(self, key: tuple[str, int], pane: PaneRun, task: asyncio.Task[None]) -> None:
        if not task.cancel():
            return
        await asyncio.wait([task])
        if not task.cancelled():
            return
        emit = self._emitter(*key)
        await emit(pane.stopped(None, "Stop sent to the gateway."))
        confirming = asyncio.create_task(self._confirm(pane, emit))
        self._confirming.add(confirming)
        confirming.add_done_callback(self._confirming.discard)

    async def _confirm(self, pane: PaneRun, emit: Emit) -> None:
        """Says what the gateway recorded, never what we hope for."""
        for _try in range(CONFIRM_TRIES):
            await asyncio.sleep(CONFIRM_EVERY)
            result = await self._recorded(pane.answer.request_id)
            if result is not None:
                return await emit(pane.stopped(*_verdict(result)))
        return await emit(pane.stopped(False, "The gateway has not confirmed that the engine stopped."))

    def _emitter(self, run: str, pane: int) -> Emit:
        async def emit(frame: dict[str, Any]) -> None:
            await self._emit({"run": run, "pane": pane, **frame})

        return emit

    def _forget(self, key: tuple[str, int], _task: asyncio.Task[None]) -> None:
        self._panes.pop(key, None)


def _verdict(result: str) -> tuple[bool, str]:
    if result == "cancelled":
        return True, "The gateway closed the engine’s stream."
    if result == "ok":
        return True, "The engine had already finished."
    return False, f"The gateway recorded the request as {result}."
