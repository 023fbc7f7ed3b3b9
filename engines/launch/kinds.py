"""The launch side of an engine kind: which settings it has, how each is written, why others are refused. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engines.launch.settings import Value

DRAFT_TOKENS, LOOKUP_TOKENS = 4, 4


@dataclass(slots=True)
class Parts:
    """A command line as it grows: arguments, environment, and the options of a YAML file where the kind has one."""

    arguments: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


Writer = Callable[[Parts, Value], None]
Finish = Callable[[Parts, Mapping[str, Value]], None]


def nothing_more(_parts: Parts, _settings: Mapping[str, Value]) -> None:
    """Most kinds write each setting by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchKind:
    """`model` are the arguments that name the model. `missing` says why a setting is refused.

    `composed` settings are written together by `finish`. `defaults` are words, for people. `sleep` and `wake` are
    POST addresses of engines that can be put to sleep. `key_variable` holds the bearer key that the server asks for.
    """

    kind: str
    title: str
    program: tuple[str, ...]
    remote_program: tuple[str, ...]
    model: Callable[[str], Sequence[str]]
    port: int
    key_variable: str
    writers: Mapping[str, Writer]
    defaults: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    composed: tuple[str, ...] = ()
    finish: Finish = nothing_more
    sleep: str = ""
    wake: str = ""

    def has(self, name: str) -> bool:
        return name in self.writers or name in self.composed


def text(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def flag(name: str) -> Writer:
    def write(parts: Parts, value: Value) -> None:
        parts.arguments += [name, text(value)]

    return write


def switch(on: str, off: str = "") -> Writer:
    """A flag without a value. Without `off`, switching it off is the engine's own default."""

    def write(parts: Parts, value: Value) -> None:
        parts.arguments += [word for word in [on if value else off] if word]

    return write


def variable(name: str) -> Writer:
    def write(parts: Parts, value: Value) -> None:
        parts.environment[name] = text(value)

    return write


def option(*path: str) -> Writer:
    """A key of the options file; `path` goes into nested maps."""

    def write(parts: Parts, value: Value) -> None:
        put(parts.options, path, value)

    return write


def put(options: dict[str, Any], path: Sequence[str], value: object) -> None:
    *folders, last = path
    for name in folders:
        options = options.setdefault(name, {})
    options[last] = value


def whole(settings: Mapping[str, Value], name: str, default: int) -> int:
    return int(settings.get(name, default))
