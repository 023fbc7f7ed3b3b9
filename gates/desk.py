"""A study in this process: its row is kept alive and filled in beside the load, a cancel stops the load."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import aiohttp
from django.conf import settings

from engines.http import HttpEngineClient
from gates import study_journal, subject
from gates.ledger import utc_now
from gates.load.generator import warm_up
from gates.load.target import EngineTarget, Target
from gates.load.workload import PromptSource
from gates.models import GateRun, GateStudy
from gates.policy import Policy
from gates.preflight import Spread, Unreachable
from gates.writer import Writer

BEAT_SECONDS = 1.0

Say = Callable[[str], object]


class Cancelled(Exception):
    """The study was cancelled, or is no longer this process's."""


class Desk:
    def __init__(self, study: GateStudy, holder: str, writer: Writer, say: Say) -> None:
        self.study, self.holder, self.writer, self.say = study, holder, writer, say
        self.body: dict[str, Any] = dict(study.body)
        self.stop = asyncio.Event()

    @property
    def options(self) -> dict[str, Any]:
        options: dict[str, Any] = self.body["options"]
        return options

    async def keep(self, **parts: Any) -> None:
        """Store what was measured. Raises Cancelled."""
        self.body |= parts
        if not await self.writer.do(study_journal.beat, self.study.pk, self.holder, utc_now(), self.body):
            self.stop.set()
        self.check()

    def check(self) -> None:
        if self.stop.is_set():
            raise Cancelled

    async def watch(self) -> None:
        while not self.stop.is_set():
            if not await self.writer.do(study_journal.beat, self.study.pk, self.holder, utc_now()):
                self.stop.set()
            await asyncio.sleep(BEAT_SECONDS)

    async def clients(self, engine: str, session: aiohttp.ClientSession) -> list[HttpEngineClient]:
        """Of the replicas in rotation. Raises TargetGone or SealBroken."""
        found = await self.writer.do(subject.load, GateRun(target_kind=GateRun.Target.ENGINE, target=engine))
        await self.keep(subjects={**self.body.get("subjects", {}), engine: dict(found.fingerprint)})
        return subject.clients(found, session)

    async def warm(self, policy: Policy, prompts: PromptSource, target: Target, seed: int) -> None:
        """With prompts of their own. Raises Unreachable when nothing is answered."""
        try:
            samples = await warm_up(policy, prompts=prompts, target=target, seed=seed, stop=self.stop)
        finally:
            target.close()
        self.check()
        if samples and all(sample.failed for sample in samples):
            raise Unreachable(f"No warm-up request was answered: {samples[0].error or samples[0].outcome}")


def target_of(clients: list[HttpEngineClient]) -> Target:
    targets = [EngineTarget(client, networks=settings.ENGINE_NETWORKS) for client in clients]
    return targets[0] if len(targets) == 1 else Spread(targets)


def as_json(value: Any) -> dict[str, Any]:
    """A dataclass for a JSON column, which knows no infinity."""
    return {name: _finite(part) for name, part in asdict(value).items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    return None if isinstance(value, float) and value in (float("inf"), float("-inf")) else value
