"""Release policies in versions: create, look up, the built-in ones."""

from dataclasses import replace

from django.db import IntegrityError, transaction
from django.utils import timezone

from engines.actors import BOOTSTRAP, Actor
from gates import release_policy
from gates.models import ReleasePolicyVersion
from gates.release_policy import ReleasePolicy
from gates.signals import changed


class ReleasePolicyConflict(Exception):
    """Somebody saved the policy since the form was opened. `current` is the newest version."""

    def __init__(self, current: ReleasePolicyVersion | None) -> None:
        super().__init__(f"The policy is at version {current.number if current else 0}.")
        self.current = current


@transaction.atomic
def create(
    name: str, policy: ReleasePolicy, *, actor: Actor, reason: str, expected: int | None = None
) -> ReleasePolicyVersion:
    """The next version. `expected` is the version the editor began with. Raises ReleasePolicyConflict,
    release_policy.InvalidReleasePolicy."""
    policy = replace(policy, name=name)
    release_policy.check(policy)
    current = newest(name)
    number = current.number if current else 0
    if expected is not None and expected != number:
        raise ReleasePolicyConflict(current)
    try:
        with transaction.atomic():
            version = ReleasePolicyVersion.objects.create(
                name=name, number=number + 1, body=release_policy.to_json(policy),
                digest=release_policy.digest(policy), actor_name=actor.name, reason=reason, at=timezone.now(),
            )  # fmt: skip
    except IntegrityError as taken:
        raise ReleasePolicyConflict(newest(name)) from taken
    before = {"version": number, "digest": current.digest} if current else {}
    changed.send(
        ReleasePolicyVersion, action="release_policy.save", subject=f"release_policy:{name}", actor=actor,
        reason=reason, before=before, after={"version": version.number, "digest": version.digest},
    )  # fmt: skip
    return version


@transaction.atomic
def ensure_built_in() -> None:
    """`standard`, `demo` and `migrate` exist; what operators made of them since is left alone."""
    for name, policy in release_policy.BUILT_IN.items():
        if newest(name) is None:
            create(name, policy, actor=BOOTSTRAP, reason="built in")


def newest(name: str) -> ReleasePolicyVersion | None:
    return ReleasePolicyVersion.objects.filter(name=name).order_by("-number").first()


def newest_versions() -> list[ReleasePolicyVersion]:
    """The version in force of every policy, by name."""
    found: dict[str, ReleasePolicyVersion] = {}
    for row in ReleasePolicyVersion.objects.order_by("name", "number"):
        found[row.name] = row
    return list(found.values())
