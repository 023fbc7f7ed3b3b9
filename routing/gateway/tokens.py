"""Short-lived tokens of our own processes (playground, gate runs), made and verified with one key. Pure."""

import base64
import hashlib
import hmac
from dataclasses import dataclass

from routing.outcomes import Source

PREFIX = "int1."
PURPOSES = {"playground": Source.PLAYGROUND, "gate": Source.GATE, "shadow": Source.SHADOW}


@dataclass(frozen=True, slots=True)
class InternalCaller:
    source: Source
    user: str


def make_token(purpose: str, user: str, expires_at: float, key: bytes) -> str:
    """A bearer token. `purpose` is one of PURPOSES, `expires_at` Unix seconds."""
    if purpose not in PURPOSES:
        raise ValueError(f"Not a purpose of an internal token: {purpose!r}.")
    name = base64.urlsafe_b64encode(user.encode()).decode().rstrip("=")
    payload = f"{PREFIX}{purpose}.{int(expires_at)}.{name}"
    return f"{payload}.{_signature(payload, key)}"


def verify_token(token: str, now: float, key: bytes) -> InternalCaller | None:
    """Who the token speaks for; None when it is not ours, altered or expired."""
    payload, _, signature = token.rpartition(".")
    if not hmac.compare_digest(signature.encode(), _signature(payload, key).encode()):
        return None
    parts = payload.removeprefix(PREFIX).split(".")
    if len(parts) != 3 or parts[0] not in PURPOSES or int(parts[1]) <= now:
        return None
    user = base64.urlsafe_b64decode(parts[2] + "=" * (-len(parts[2]) % 4)).decode()
    return InternalCaller(PURPOSES[parts[0]], user)


def _signature(payload: str, key: bytes) -> str:
    digest = hmac.new(key, b"internal-token:" + payload.encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
