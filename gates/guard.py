"""Why a run has to end before its own end: watched twice a second beside the load, told to everyone by one event."""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypeVar

from django.db import OperationalError

from gates.journal import LEASE_SECONDS, RENEW_SECONDS
from gates.ledger import Ledger
from gates.models import GateRun
from gates.runs import State
from gates.watch import Watch
from gates.writer import Writer

log = logging.getLogger(__name__)

SILENT_SECONDS = 60.0
POLL_SECONDS = 0.4
# Gone before the reaper can think so: another process may hold the run from then on.
UNRENEWED_SECONDS = LEASE_SECONDS - 10

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ending:
    """`state` None: the run belongs to another process now, nothing may be written."""

    state: State | None
    reason: str


class Stopped(Exception):
    """The run has to end early; Guard.ending says why."""


class Guard:
    """`stop` is set with the first ending; the load generator watches the same event."""

    def __init__(self, *, silent_seconds: float = SILENT_SECONDS) -> None:
        self.stop = asyncio.Event()
        self.ending: Ending | None = None
        self.silent_seconds = silent_seconds
        self._parent = os.getppid()

    def end(self, state: State | None, reason: str) -> None:
        """The first reason counts, but a lost lease overrules it."""
        if self.ending is None or state is None:
            self.ending = Ending(state, reason)
        self.stop.set()

    def check(self) -> None:
        if self.ending is not None:
            raise Stopped

    async def within(self, work: Awaitable[T]) -> T:
        """The result, or Stopped as soon as the run has to end; the work is then cancelled."""
        task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(self.stop.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if self.stop.is_set():
                raise Stopped
            return task.result()
        finally:
            for one in (task, stopping):
                one.cancel()
            await asyncio.gather(task, stopping, return_exceptions=True)

    async def run(self, ledger: Ledger, watch: Watch, writer: Writer) -> None:
        renewed = time.monotonic()
        while True:
            try:
                await self._look(ledger, writer)
                if time.monotonic() - renewed >= RENEW_SECONDS:
                    if not await ledger.renew():
                        self.end(None, "lost the lease")
                    renewed = time.monotonic()
            except OperationalError:
                log.exception("The database is away.")
            if time.monotonic() - renewed > UNRENEWED_SECONDS:
                self.end(None, "could not renew the lease")
            if watch.silent_seconds > self.silent_seconds:
                self.end(State.ERRORED, f"The target did not answer for {self.silent_seconds:.0f} s.")
            if os.getppid() != self._parent:
                self.end(State.INTERRUPTED, "The process that started it is gone. Resume it; finished phases are kept.")
            await asyncio.sleep(POLL_SECONDS)

    async def _look(self, ledger: Ledger, writer: Writer) -> None:
        row = await writer.do(signals_of, ledger.run.pk)
        if row is None or row[0] != ledger.fence:
            self.end(None, "another process has the run")
        elif row[1]:
            self.end(State.CANCELLED, "Cancelled.")


def signals_of(run_id: int) -> tuple[int, bool] | None:
    """The fence in force, and whether somebody asked to cancel."""
    row = GateRun.objects.filter(pk=run_id).values_list("fence", "cancel_requested_at").first()
    return None if row is None else (row[0], row[1] is not None)
