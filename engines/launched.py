"""Engines that were launched from a profile: their replicas, registered, moved, taken out of traffic. Audited."""

from django.db import transaction

from engines import actions
from engines.actions import EngineSpec
from engines.actors import Actor
from engines.launch.profile import Profile
from engines.models import Engine, LaunchProfile, Replica
from engines.profiles import value_of

PREFIX = "launched-"
LONGEST = 63  # of Replica.managed_by


class EngineTaken(Exception):
    """The engine of that name is something else; the message says what."""


def process_name(engine: str) -> str:
    """The name of the process that serves the engine, in supervisor and in Replica.managed_by."""
    return f"{PREFIX}{engine}"


def replicas() -> list[Replica]:
    return list(Replica.objects.filter(managed_by__startswith=PREFIX).select_related("engine").order_by("engine__name"))


def replica_of(engine: str) -> Replica | None:
    return Replica.objects.filter(managed_by=process_name(engine)).select_related("engine").first()


@transaction.atomic
def register(name: str, version: LaunchProfile, url: str, *, actor: Actor, reason: str) -> Replica:
    """The engine `name` has a replica at `url` by this profile, and is active. Raises EngineTaken.

    A new engine has no route, so it carries no traffic; one more replica of a known engine shares its traffic.
    """
    if len(process_name(name)) > LONGEST:
        raise EngineTaken(f"{name} is too long a name: at most {LONGEST - len(PREFIX)} characters.")
    profile = value_of(version)
    engine = Engine.objects.filter(name=name).first()
    if engine is None:
        spec = EngineSpec(name=name, kind=profile.kind, served_model=profile.served_name)
        engine = actions.register_engine(
            spec, replicas=[(url, "")], actor=actor, reason=reason, managed_by=process_name(name)
        )
    else:
        _require_same(engine, profile)
        _place(engine, url, actor=actor, reason=reason)
    Replica.objects.filter(engine=engine, url=url).update(
        profile_digest=version.digest, managed_by=process_name(name), health={}, score=None, in_rotation=False,
        probed_at=None, suspect_at=None,
    )  # fmt: skip
    if engine.state != Engine.State.ACTIVE:
        actions.set_state(engine, Engine.State.ACTIVE, actor=actor, reason=reason)
    return Replica.objects.select_related("engine").get(engine=engine, url=url)


def forget_probes() -> None:
    """The processes start anew with the product: unknown until they are probed."""
    actions.forget_probes(row.managed_by for row in replicas())


@transaction.atomic
def withdraw(replica: Replica, *, actor: Actor, reason: str) -> None:
    """New requests go elsewhere: an engine's only replica drains with it, one of several leaves the engine."""
    engine = replica.engine
    others = {row.url: row.sealed_key for row in engine.replicas.exclude(pk=replica.pk)}
    if others:
        actions.edit_engine(engine, _spec(engine), replicas=others, actor=actor, reason=reason)
    elif engine.state == Engine.State.ACTIVE:
        actions.set_state(engine, Engine.State.DRAINING, actor=actor, reason=reason)


@transaction.atomic
def gone(name: str, *, actor: Actor, reason: str) -> None:
    """The process has ended: a drained engine is disabled, so that nobody waits for it."""
    engine = Engine.objects.filter(name=name, state=Engine.State.DRAINING).first()
    if engine is not None:
        actions.set_state(engine, Engine.State.DISABLED, actor=actor, reason=reason)


def _require_same(engine: Engine, profile: Profile) -> None:
    if engine.kind != profile.kind:
        raise EngineTaken(f"Engine {engine.name} is of kind {engine.get_kind_display()}; choose another name.")
    if engine.served_model != profile.served_name:
        words = f"serves {engine.served_model}, the profile {profile.served_name}"
        raise EngineTaken(f"Engine {engine.name} {words}; choose another name.")


def _place(engine: Engine, url: str, *, actor: Actor, reason: str) -> None:
    """The process's replica moves to `url`; the others stay."""
    kept = {row.url: row.sealed_key for row in engine.replicas.exclude(managed_by=process_name(engine.name))}
    if set(engine.replicas.values_list("url", flat=True)) != {*kept, url}:
        actions.edit_engine(engine, _spec(engine), replicas={**kept, url: ""}, actor=actor, reason=reason)


def _spec(engine: Engine) -> EngineSpec:
    return EngineSpec(
        name=engine.name, kind=engine.kind, served_model=engine.served_model, big_model=engine.big_model,
        context_length=engine.context_length, max_in_flight=engine.max_in_flight, features=engine.features,
    )  # fmt: skip


__all__ = ["EngineTaken", "gone", "process_name", "register", "replica_of", "replicas", "withdraw"]
