"""Launch profiles in versions: create, look up, the built-in ones."""

from pathlib import Path

from django.db import IntegrityError, transaction
from django.utils import timezone

from engines.actors import BOOTSTRAP, Actor
from engines.hf.demo import MODEL_DIR, SERVED_MODEL
from engines.launch import profile as launch
from engines.launch.profile import Profile
from engines.models import Engine, LaunchProfile
from engines.signals import noted

# Engines are started in the product's folder: a path from there is the same on every machine.
DEMO_MODEL = str(MODEL_DIR.relative_to(Path(__file__).resolve().parent.parent))
# Both serve the demo model; a 16,384-token context and 1 GiB of cache are what two cores bear.
BUILT_IN = {
    "hf": Profile(kind=Engine.Kind.CUSTOM.value, model=DEMO_MODEL, settings={"served_name": SERVED_MODEL}),
    "vllm": Profile(
        kind=Engine.Kind.VLLM.value,
        model=DEMO_MODEL,
        settings={
            "served_name": SERVED_MODEL, "context_length": 16384, "max_num_seqs": 32, "cpu_cache": 1, "eager": True,
            "drain_seconds": 20,
        },
    ),
}  # fmt: skip


class ProfileConflict(Exception):
    """Somebody saved the profile since the form was opened. `current` is the newest version."""

    def __init__(self, current: LaunchProfile | None) -> None:
        super().__init__(f"The profile is at version {current.number if current else 0}.")
        self.current = current


@transaction.atomic
def create(name: str, profile: Profile, *, actor: Actor, reason: str, expected: int | None = None) -> LaunchProfile:
    """The next version. `expected` is the version the editor began with. Raises ProfileConflict, InvalidProfile."""
    launch.check(profile)
    current = newest(name)
    number = current.number if current else 0
    if expected is not None and expected != number:
        raise ProfileConflict(current)
    try:
        with transaction.atomic():
            version = LaunchProfile.objects.create(
                name=name, number=number + 1, body=launch.to_json(profile), digest=launch.digest(profile),
                actor_name=actor.name, reason=reason, at=timezone.now(),
            )  # fmt: skip
    except IntegrityError as taken:
        raise ProfileConflict(newest(name)) from taken
    before = {"version": number, **current.body, "digest": current.digest} if current else {}
    noted.send(
        LaunchProfile, action="profile.save", subject=f"profile:{name}", actor=actor, reason=reason,
        before=before, after={"version": version.number, **version.body, "digest": version.digest},
    )  # fmt: skip
    return version


@transaction.atomic
def ensure_built_in() -> None:
    """`hf` and `vllm` exist; what operators made of them since is left alone."""
    for name, profile in BUILT_IN.items():
        if newest(name) is None:
            create(name, profile, actor=BOOTSTRAP, reason="built in")


def newest(name: str) -> LaunchProfile | None:
    return LaunchProfile.objects.filter(name=name).order_by("-number").first()


def newest_versions() -> list[LaunchProfile]:
    """The version in force of every profile, by name."""
    found: dict[str, LaunchProfile] = {}
    for row in LaunchProfile.objects.order_by("name", "number"):
        found[row.name] = row
    return list(found.values())


def with_digest(digest: str) -> LaunchProfile | None:
    """The newest version that starts the same engine as this digest says."""
    return LaunchProfile.objects.filter(digest=digest).order_by("-pk").first() if digest else None


def value_of(version: LaunchProfile) -> Profile:
    return launch.from_json(version.body)
