"""The controller: while it holds the lease, it probes replicas, walks releases, and reaps gate runs."""

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection

from console import leases, probing, retention
from console.notify import moments, outbox, send
from console.probing import Seen, Target
from engines import actions as engine_actions
from engines.client import FailureKind
from engines.http import new_session
from engines.models import Replica
from engines.sealing import SealBroken, unseal
from gates.reaper import reap
from gates.walk import Walk
from routing.publish import current_settings, publish_health, published_health

log = logging.getLogger(__name__)

LEASE = "controller"
LEASE_SECONDS = 10.0
TICK_SECONDS = 0.5
PROBE_EVERY = timedelta(seconds=5)
ABSENT_EVERY = timedelta(seconds=1)
PRUNE_EVERY = timedelta(minutes=10)
REAP_EVERY = timedelta(seconds=5)
WALK_EVERY = timedelta(seconds=2)
NOTIFY_EVERY = timedelta(seconds=2)
AT_ONCE = 16


class Controller:
    """`run` ends when `stop` is set. A tick that the database refuses is logged and tried again."""

    def __init__(self) -> None:
        self.holder = f"{socket.gethostname()}:{os.getpid()}"
        self.stop = asyncio.Event()
        self._looking: dict[int, asyncio.Task[Seen]] = {}
        self._begun: dict[int, datetime] = {}
        self._pruned = datetime.min.replace(tzinfo=UTC)
        self._reaped = datetime.min.replace(tzinfo=UTC)
        self._notified = datetime.min.replace(tzinfo=UTC)
        self._notifying: asyncio.Task[None] | None = None
        self._objectives = moments.Objectives()
        self._senders = send.OnePerChannel()
        self._walk = Walk()
        self._walked = datetime.min.replace(tzinfo=UTC)
        self._room = asyncio.Semaphore(AT_ONCE)
        # Half the lease is left then: a write each tick would keep SQLite's one writer busy for nothing.
        self._renew_at: datetime | None = None

    async def run(self) -> None:
        async with new_session(settings.ENGINE_NETWORKS, user_agent="engine-console-probe") as session:
            while not self.stop.is_set():
                try:
                    await self.tick(session, datetime.now(UTC))
                except DatabaseError:
                    log.exception("The database did not take this tick; trying again.")
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stop.wait(), TICK_SECONDS)
            for task in self._looking.values():
                task.cancel()
        await sync_to_async(leases.release)(LEASE, self.holder, now=datetime.now(UTC))

    async def tick(self, session: aiohttp.ClientSession, now: datetime) -> None:
        await self._store(now)
        if not await self._leads(now):
            return
        for target in await sync_to_async(self._due)(now):
            self._begun[target.replica_id] = now
            self._looking[target.replica_id] = asyncio.create_task(self._look(target, session, now))
        if now - self._walked >= WALK_EVERY:
            self._walked = now
            await sync_to_async(self._walk.tick)(now)
        self._notify(now)
        if now - self._reaped >= REAP_EVERY:
            self._reaped = now
            await sync_to_async(reap)(now)
        if now - self._pruned > PRUNE_EVERY:
            self._pruned = now
            await sync_to_async(retention.prune)(now)

    def _notify(self, now: datetime) -> None:
        """In a thread of its own: a slow receiver must not keep a canary from being watched."""
        if now - self._notified < NOTIFY_EVERY or (self._notifying is not None and not self._notifying.done()):
            return
        self._notified = now
        work = sync_to_async(notify, thread_sensitive=False)
        self._notifying = asyncio.create_task(work(self._objectives, self._senders, now))

    async def _leads(self, now: datetime) -> bool:
        close_stale = sync_to_async(close_old_connections)
        await close_stale()
        half = timedelta(seconds=LEASE_SECONDS / 2)
        # A clock that was set back leaves more than half: then the database is asked again.
        if self._renew_at is not None and timedelta(0) < self._renew_at - now <= half:
            return True
        fence = await sync_to_async(leases.hold)(LEASE, self.holder, now=now, seconds=LEASE_SECONDS)
        self._renew_at = None if fence is None else now + half
        return fence is not None

    def _due(self, now: datetime) -> list[Target]:
        """Replicas whose time has come, and at once those a gateway could not connect to."""
        suspects = set(Replica.objects.suspect_since_probe().values_list("pk", flat=True))
        due = [
            replica
            for replica in Replica.objects.to_probe()
            if replica.pk not in self._looking
            and (replica.pk in suspects or now - self._last_look(replica) >= interval(replica))
        ]
        return probing.targets(due, settings=current_settings(), now=now) if due else []

    def _last_look(self, replica: Replica) -> datetime:
        never = datetime.min.replace(tzinfo=UTC)
        return self._begun.get(replica.pk) or replica.probed_at or never

    async def _look(self, target: Target, session: aiohttp.ClientSession, now: datetime) -> Seen:
        async with self._room:
            try:
                api_key = unseal(target.sealed_key, settings.FERNET_KEY)
            except SealBroken as broken:
                log.warning("%s: %s", target.engine, broken)
                api_key = None
            limits = probing.limits_of(await sync_to_async(current_settings)())
            return await probing.look(target, session=session, api_key=api_key, limits=limits, now=now)

    async def _store(self, now: datetime) -> None:
        finished = [task for task in self._looking.values() if task.done()]
        self._looking = {key: task for key, task in self._looking.items() if not task.done()}
        seen = []
        for task in finished:
            failed = task.exception()
            if failed is None:
                seen.append(task.result())
            else:
                log.error("A probe failed in our own code.", exc_info=failed)
        if seen:
            await sync_to_async(store)(seen, now)


def interval(replica: Replica) -> timedelta:
    """An unreachable replica is asked every second: it costs nothing, and its return is waited for."""
    absent = replica.health.get("error_kind") in {FailureKind.REFUSED, FailureKind.UNAVAILABLE}
    return ABSENT_EVERY if absent else PROBE_EVERY


def notify(objectives: moments.Objectives, senders: send.Run, now: datetime) -> None:
    """One part that fails must not stop the others."""
    close_old_connections()
    try:
        for part in (objectives.look, outbox.collect, lambda at: send.due(at, senders)):
            try:
                part(now)
            except Exception:
                log.exception("Notifications wait for the next turn.")
    finally:
        connection.close()


def store(seen: Sequence[Seen], now: datetime) -> None:
    """Keep the probes and hand the newest health of every replica to the gateways."""
    flipped = engine_actions.record_probes(probing.record_of(one) for one in seen)
    for replica in flipped:
        way = "entered" if replica.in_rotation else "left"
        log.info("%s %s rotation with score %.2f", replica, way, replica.score or 0.0)
    moments.rotation(flipped, now)
    publish_health(published_health(), now=now)
