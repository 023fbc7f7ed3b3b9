"""One run in the hands of its executor: its state, and everything it writes, in order, through the writer thread."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from gates import journal
from gates.board import Board
from gates.load.samples import Sample
from gates.models import GatePhase, GateRun
from gates.runs import State
from gates.watch import Server
from gates.writer import Writer

POINT_SECONDS = 1.0


def utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """`state` is what the row says; only this process changes it while the lease holds."""

    def __init__(self, writer: Writer, run: GateRun, holder: str, fence: int) -> None:
        self.run, self.holder, self.fence = run, holder, fence
        self.state = State.PREFLIGHT
        self.phase: GatePhase | None = None
        self._writer = writer
        self._samples: list[Sample] = []
        self._order = asyncio.Lock()

    async def move(self, after: State, reason: str, *, phase: str = "", only_from: State | None = None) -> None:
        async with self._order:
            if only_from is not None and self.state is not only_from:
                return
            await self._writer.do(
                journal.move, self.run.pk, self.fence, self.state, after, reason=reason, now=utc_now(), phase=phase
            )
            self.state = after

    async def note(self, kind: str, text: str) -> None:
        await self._writer.do(journal.note_event, self.run.pk, self.fence, kind, text, utc_now())

    async def renew(self) -> bool:
        return await self._writer.do(journal.heartbeat, self.run.pk, self.holder, self.fence, utc_now())

    def keep(self, samples: list[Sample]) -> None:
        """Called in the loop by the generator: nothing slow here."""
        self._samples += samples

    async def flush(self, board: Board, server: Server, *, monotonic: float) -> None:
        """This second's samples and point."""
        at, samples = utc_now(), self._samples
        self._samples = []
        began = self.run.started_at or at
        point = {
            "t": round((at - began).total_seconds(), 2),
            **board.point(now=monotonic),
            "queue": server.waiting,
            "kv_use": server.kv_use,
        }
        await self._writer.do(journal.append, self.phase, self.run.pk, self.fence, samples=samples, point=point, now=at)

    async def begin_phase(self, phase: str) -> int:
        """The number of this attempt."""
        self.phase = await self._writer.do(journal.begin_phase, self.run.pk, self.fence, phase, utc_now())
        return self.phase.attempt

    async def end_phase(self, **facts: Any) -> None:
        if self.phase is not None:
            await self._writer.do(journal.end_phase, self.phase, self.fence, now=utc_now(), **facts)
        self.phase = None

    async def finish(self, after: State, reason: str, judgement: Mapping[str, Any] | None = None) -> None:
        async with self._order:
            await self._writer.do(
                journal.finish, self.run.pk, self.fence, self.state, after,
                reason=reason, now=utc_now(), judgement=judgement,
            )  # fmt: skip
            self.state = after
