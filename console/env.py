"""Read the environment: typed values with clear errors, and secrets that are made once under DATA_DIR."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


class BadEnvironment(Exception):
    """A variable has a value that cannot be used; the message names it."""


def text(name: str, default: str = "") -> str:
    return os.environ.get(name, "").strip() or default


def number(name: str, default: int, *, low: int = 1, high: int = 65535) -> int:
    raw = text(name)
    if not raw:
        return default
    if not raw.isdigit() or not low <= int(raw) <= high:
        raise BadEnvironment(f"{name} is {raw!r}; it must be a whole number from {low} to {high}.")
    return int(raw)


def decimal(name: str, default: float, *, high: float = 86400) -> float:
    raw = text(name)
    if not raw:
        return default
    try:
        value = float(raw)
    except ValueError:
        value = -1
    if not 0 < value <= high:
        raise BadEnvironment(f"{name} is {raw!r}; it must be a number above 0 and at most {high:g}.")
    return value


def choice(name: str, allowed: tuple[str, ...], default: str) -> str:
    raw = text(name, default)
    if raw not in allowed:
        raise BadEnvironment(f"{name} is {raw!r}; use one of {', '.join(allowed)}.")
    return raw


def flag(name: str, *, default: bool = False) -> bool:
    raw = text(name).lower()
    if raw not in {"", "0", "1", "true", "false", "yes", "no"}:
        raise BadEnvironment(f"{name} is {raw!r}; use 1 or 0.")
    return raw in {"1", "true", "yes"} if raw else default


def listing(name: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Comma-separated values."""
    return tuple(part.strip() for part in text(name).split(",") if part.strip()) or default


def data_dir(base: Path) -> Path:
    folder = Path(text("DATA_DIR", str(base / ".data"))).resolve()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def secret(name: str, folder: Path, *, make: Callable[[], str] = lambda: secrets.token_urlsafe(50)) -> str:
    """The variable, else the file made for it at first start (0600)."""
    given = text(name)
    if given:
        return given
    path = folder / "secrets" / name.lower()
    path.parent.mkdir(mode=0o700, exist_ok=True)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text().strip()
    value = make()
    with os.fdopen(handle, "w") as file:
        file.write(value)
    return value
