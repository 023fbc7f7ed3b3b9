"""What every page needs: environment name, who may do what, the sections of the rail."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from console.permissions import Capability, may
from gates.models import Approval


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the rail. `narrow` ones stay visible on a phone."""

    name: str
    url: str
    icon: str
    narrow: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A section as drawn: where it leads, and whether the reader is in it."""

    name: str
    icon: str
    narrow: bool
    address: str
    current: bool


SECTIONS = (
    Section("Overview", "console:overview", "overview", narrow=True),
    Section("Engines", "console:engines", "engines", narrow=True),
    Section("Traffic", "console:traffic", "traffic", narrow=True),
    Section("Playground", "console:playground", "chat", narrow=True),
    Section("Gates", "console:gates", "flag"),
    Section("Releases", "console:releases", "stairs"),
    Section("Approvals", "console:approvals", "stamp"),
)
FOOT = (
    Section("Audit", "console:audit", "history"),
    Section("Notifications", "console:notifications", "send"),
)


def shell(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    return {
        "environment": settings.ENVIRONMENT_NAME,
        "gateway_url": settings.GATEWAY_URL,
        "sections": entries(SECTIONS, request.path),
        "foot_sections": entries(FOOT, request.path),
        "may_operate": may(user, Capability.OPERATE),
        "may_approve": may(user, Capability.APPROVE),
        "may_administer": may(user, Capability.ADMINISTER),
        "waiting": waiting(user),
    }


def waiting(user: Any) -> int:
    """Requests that this person may approve."""
    if not may(user, Capability.APPROVE):
        return 0
    return Approval.objects.filter(state=Approval.State.PENDING).exclude(requester_id=str(user.pk)).count()


def entries(sections: tuple[Section, ...], path: str) -> list[Entry]:
    drawn = []
    for section in sections:
        try:
            address = reverse(section.url)
        except NoReverseMatch:  # the page is not part of this build
            continue
        current = path == address or (address != "/" and path.startswith(address))
        drawn.append(Entry(section.name, section.icon, section.narrow, address, current))
    return drawn
