"""The last lines of a log as a person may read them: no control characters, no secrets. Pure apart from the file."""

import re
from pathlib import Path

LINES = 200
READ_BYTES = 256 * 1024
HIDDEN = "•••"
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07]*\x07|[\x00-\x08\x0b-\x1f\x7f]")
SECRETS = (
    # Authorization: Bearer x, with whatever scheme
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{6,}"), rf"\1 {HIDDEN}"),
    # api_key='x', "token": "x", --api-key x, PASSWORD=x; a word around the name belongs to it
    (
        re.compile(
            r"(?i)([\w-]*(?:api[_-]?key|secret|passw(?:or)?d|authorization|(?:auth|access|hf|hub)[_-]?token)[\w-]*"
            r"""["']?(?:\s*[:=]\s*|\s+)[\[("']*)(?!None\b|null\b|•)([^\s"',\])}]+)"""
        ),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\b(sk|ek|hf|gh[pousr]|xox[a-z]|nvapi)([-_])[A-Za-z0-9_-]{12,}"), rf"\1\2{HIDDEN}"),
    # user:password@ in an address
    (re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+@"), f"{HIDDEN}@"),
)


def tail(path: Path, lines: int = LINES) -> list[str]:
    """Oldest first; empty when there is no log."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - READ_BYTES))
            text = file.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    found = text.splitlines()
    if size > READ_BYTES:
        found = found[1:]  # it may begin in the middle of a secret
    return [scrub(line) for line in found[-lines:]]


def scrub(line: str) -> str:
    line = ESCAPES.sub("", line)
    for pattern, instead in SECRETS:
        line = pattern.sub(instead, line)
    return line
