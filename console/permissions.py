"""What each role may do, and the guard that views and consumers use."""

from collections.abc import Callable
from enum import StrEnum
from functools import wraps
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse

from console.models import Role, User


class Capability(StrEnum):
    VIEW = "view"
    CHAT = "chat"
    OPERATE = "operate"  # engines and splits
    APPROVE = "approve"
    ADMINISTER = "administer"  # people, keys, settings
    BREAK_GLASS = "break_glass"  # approve alone, in an emergency


MAY: dict[str, frozenset[Capability]] = {
    Role.VIEWER: frozenset({Capability.VIEW, Capability.CHAT}),
    Role.OPERATOR: frozenset({Capability.VIEW, Capability.CHAT, Capability.OPERATE}),
    Role.APPROVER: frozenset({Capability.VIEW, Capability.CHAT, Capability.OPERATE, Capability.APPROVE}),
    Role.ADMIN: frozenset(Capability),
}


def may(user: Any, capability: Capability) -> bool:
    return isinstance(user, User) and user.is_active and capability in MAY.get(user.role, frozenset())


def holders(capability: Capability) -> str:
    """The roles that have it, in words, for the 403 page."""
    return " or ".join(str(Role(role).label).lower() for role, held in MAY.items() if capability in held)


def requires(capability: Capability) -> Callable[[Callable[..., HttpResponse]], Callable[..., HttpResponse]]:
    """Refuses with a 403 that names the missing permission and who has it."""

    def decorate(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
        @wraps(view)
        def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not may(request.user, capability):
                raise PermissionDenied(f"This needs the permission “{capability}”: {holders(capability)}.")
            return view(request, *args, **kwargs)

        return guarded

    return decorate
