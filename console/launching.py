"""Launching, draining, stopping, sleeping: what the command and the pages do to local engines."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from console import processes, supervise
from console.processes import Process
from console.supervise import Supervisor
from engines import actions, launched, local
from engines.actors import Actor
from engines.adapters import get_adapter
from engines.draining import wait_idle
from engines.http import HttpEngineClient, new_session
from engines.launch.profile import launch_kind
from engines.models import Engine, LaunchProfile, Replica
from engines.profiles import value_of, with_digest
from engines.sealing import unseal

PORT_OFFSET = 20  # beyond those of the demo engines
STOP_SECONDS = 30.0
DRAIN_SECONDS = 60.0
SLEEP_SECONDS = 120.0

Say = Callable[[str], object]


class CannotLaunch(Exception):
    """The message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One launch, decided: what is executed, where it will listen, where it logs."""

    engine: str
    version: LaunchProfile
    port: int
    url: str
    words: tuple[str, ...]
    log: Path
    stop_seconds: float

    @property
    def process(self) -> str:
        return launched.process_name(self.engine)


def plan(version: LaunchProfile, *, engine: str = "", port: int | None = None) -> Plan:
    """Raises CannotLaunch, InvalidProfile, NotInstalled. `port` beats the profile's, else the first free one."""
    name, profile = engine or version.name, value_of(version)
    wanted = port or profile.settings.get("port")
    try:
        chosen = int(wanted) if wanted else local.free_port(settings.ENGINE_PORT + PORT_OFFSET)
        if wanted:
            local.free_port(chosen, tried=1)
    except OSError:
        raise CannotLaunch(f"Port {wanted} is taken; choose another one.") from None
    process = launched.process_name(name)
    options_file = processes.launched_dir() / f"{process}.yaml"
    command = local.local_command(profile, port=chosen, options_file=options_file)
    return Plan(
        engine=name, version=version, port=chosen, url=local.url_of(profile, chosen), words=tuple(local.words(command)),
        log=supervise.log_of(process), stop_seconds=STOP_SECONDS + float(profile.settings.get("drain_seconds", 0)),
    )  # fmt: skip


def start(made: Plan, supervisor: Supervisor, *, actor: Actor, reason: str) -> Replica:
    """Registered and handed to the supervisor, or neither. Raises CannotLaunch, EngineTaken, NoSupervisor."""
    state = supervisor.states().get(made.process)
    if state is not None and state.live:
        raise CannotLaunch(f"{made.engine} runs already; drain and stop it first.")
    program = Process(
        name=made.process, command=made.words, stop_seconds=int(made.stop_seconds), start_seconds=20, log=made.log
    )
    with transaction.atomic():
        replica = launched.register(made.engine, made.version, made.url, actor=actor, reason=reason)
        supervisor.add(program)
    return replica


async def drain(engine: str, kind: str, url: str, served_model: str, *, seconds: float, say: Say) -> bool:
    """Waits until the server at `url` has nothing to do. False when it gave up waiting."""
    async with client_at(kind, url, served_model) as client:
        idle = await wait_idle(client, seconds=seconds, say=say)
    say(f"{engine} is idle." if idle else f"{engine} is not idle, or does not say; going on.")
    return idle


def stop(engine: str, url: str, *, actor: Actor, reason: str, say: Say, seconds: float = DRAIN_SECONDS) -> None:
    """After `launched.withdraw`: wait until nothing is under way, stop the process, disable what drained."""
    row = Engine.objects.filter(name=engine).first()
    supervisor = supervise.running()
    if row is not None:
        asyncio.run(drain(engine, row.kind, url, row.served_model, seconds=seconds, say=say))
    process = launched.process_name(engine)
    if supervisor is not None and process in supervisor.states():
        supervisor.remove(process, STOP_SECONDS + seconds)
    else:
        say(f"The process of {engine} is not under supervisor: end it where it runs.")
    launched.gone(engine, actor=actor, reason=reason)


def put_to_sleep(replica: Replica, *, actor: Actor, reason: str, say: Say) -> None:
    """Drained first: an engine that sleeps lets requests hang. Raises CannotLaunch, EngineFailure."""
    path = launch_kind(replica.engine.kind).sleep if can_sleep(replica) else ""
    if not path:
        raise CannotLaunch(f"{replica.engine.name} was not launched with sleep mode.")
    if replica.engine.replicas.count() > 1:
        raise CannotLaunch(f"{replica.engine.name} has other replicas; stop this one instead.")
    launched.withdraw(replica, actor=actor, reason=reason)
    asyncio.run(_sleep(replica, path, say))


def wake(replica: Replica, *, actor: Actor, reason: str) -> None:
    """Raises CannotLaunch, EngineFailure."""
    path = launch_kind(replica.engine.kind).wake if can_sleep(replica) else ""
    if not path:
        raise CannotLaunch(f"{replica.engine.name} was not launched with sleep mode.")
    asyncio.run(_wake(replica, path))
    engine = Engine.objects.get(pk=replica.engine_id)
    if engine.state != Engine.State.ACTIVE:
        actions.set_state(engine, Engine.State.ACTIVE, actor=actor, reason=reason)


def can_sleep(replica: Replica) -> bool:
    version = with_digest(replica.profile_digest)
    return version is not None and value_of(version).settings.get("sleep_mode") is True


@asynccontextmanager
async def client_at(kind: str, url: str, served_model: str, key: str | None = None) -> AsyncIterator[HttpEngineClient]:
    async with new_session(settings.ENGINE_NETWORKS) as session:
        yield HttpEngineClient(get_adapter(kind), url, session=session, served_model=served_model, api_key=key)


async def _sleep(replica: Replica, path: str, say: Say) -> None:
    engine, key = replica.engine, unseal(replica.sealed_key, settings.FERNET_KEY)
    async with client_at(engine.kind, replica.url, engine.served_model, key) as client:
        if not await wait_idle(client, seconds=DRAIN_SECONDS, say=say):
            raise CannotLaunch(f"{engine.name} still has requests under way; it drains and does not sleep yet.")
        await client.post(path, seconds=SLEEP_SECONDS)


async def _wake(replica: Replica, path: str) -> None:
    engine, key = replica.engine, unseal(replica.sealed_key, settings.FERNET_KEY)
    async with client_at(engine.kind, replica.url, engine.served_model, key) as client:
        await client.post(path, seconds=SLEEP_SECONDS)
