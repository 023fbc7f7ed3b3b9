"""Who calls the control API: a client key with a scope that carries a role's permissions."""

from django.http import HttpRequest
from django.utils import timezone
from ninja.security import HttpBearer

from console.api.errors import ApiError, Unauthorized
from console.models import Role
from console.permissions import MAY, Capability
from engines.actors import Actor
from routing import keys
from routing.models import ApiKey

# What a scope permits, in the words that people's roles have. Keys never get more than an operator.
PERMITTED = {keys.CONTROL: MAY[Role.OPERATOR]}
NO_KEY = "No API key was given. Send it as 'Authorization: Bearer KEY'."


class ControlKey(HttpBearer):
    """Looked up in the database at each call, so that a revoked key stops at once."""

    def authenticate(self, _request: HttpRequest, token: str) -> ApiKey:
        key = keys.find_key(token.strip())
        if key is None or key.revoked_at is not None:
            raise Unauthorized("The API key is not valid.")
        if key.expires_at is not None and key.expires_at <= timezone.now():
            raise Unauthorized("The API key has expired.")
        if not any(scope in PERMITTED for scope in key.scopes):
            raise ApiError(403, "scope_missing", f"This API key lacks the scope '{keys.CONTROL}'.")
        return key


def require(request: HttpRequest, capability: Capability) -> Actor:
    """The key as an actor of the audit. Raises ApiError 403."""
    key: ApiKey = request.auth  # type: ignore[attr-defined]  # ninja puts there what ControlKey returned
    if not any(capability in PERMITTED.get(scope, frozenset()) for scope in key.scopes):
        raise ApiError(403, "scope_missing", f"The scopes of this API key do not permit '{capability}'.")
    return Actor("key", str(key.pk), key.name)
