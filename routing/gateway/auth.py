"""Who calls: client keys from the table, internal tokens by signature."""

import hashlib
from dataclasses import dataclass

from routing.gateway.errors import ApiError
from routing.gateway.tokens import PREFIX, verify_token
from routing.outcomes import Source
from routing.table import KeyEntry, Table

INFERENCE = "inference"
SELECT_ENGINE = "select-engine"


@dataclass(frozen=True, slots=True)
class Caller:
    """`key` is None for our own processes, which may do everything and have no rate."""

    source: Source
    key: KeyEntry | None

    def may(self, scope: str) -> bool:
        return self.key is None or scope in self.key.scopes or (scope == INFERENCE and not self.key.scopes)


def authenticate(authorization: bytes | None, table: Table, now: float, token_key: bytes) -> Caller:
    """Raises ApiError 401 for a key that is missing, unknown or expired."""
    if not authorization:
        raise _refused("No API key was given. Send it as 'Authorization: Bearer KEY'.")
    scheme, _, secret = authorization.decode("latin-1").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise _refused("The Authorization header must read 'Bearer KEY'.")
    if secret.startswith(PREFIX):
        internal = verify_token(secret, now, token_key)
        if internal is None:
            raise _refused("This internal token is not valid or has expired.")
        return Caller(internal.source, None)
    key = table.keys.get(hashlib.sha256(secret.encode()).hexdigest())
    if key is None:
        raise _refused("The API key is not valid.")
    if key.expires_at is not None and key.expires_at <= now:
        raise _refused("The API key has expired.")
    return Caller(Source.CLIENT, key)


def require(caller: Caller, scope: str) -> None:
    if not caller.may(scope):
        raise ApiError(403, "endpoint_not_allowed", f"This API key lacks the scope '{scope}'.", kind="permission_error")


def _refused(message: str) -> ApiError:
    return ApiError(401, "invalid_api_key", message, headers=((b"www-authenticate", b"Bearer"),))
