"""Who did something, as text: the lower apps know no user model."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """`kind` is user, key or process; `id` is stable within the kind; `name` is for people."""

    kind: str
    id: str
    name: str


CONTROLLER = Actor("process", "controller", "controller")
BOOTSTRAP = Actor("process", "bootstrap", "first start")
