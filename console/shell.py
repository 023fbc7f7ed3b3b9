"""What every page needs: environment name, who may do what, the sections of the rail."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from console.permissions import Capability, may


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the rail. `narrow` ones stay visible on a phone."""

    name: str
    url: str
    icon: str
    narrow: bool = False


SECTIONS = (
    Section("Overview", "console:overview", "overview", narrow=True),
    Section("Engines", "console:engines", "engines", narrow=True),
    Section("Traffic", "console:traffic", "traffic", narrow=True),
    Section("Playground", "console:playground", "chat", narrow=True),
)
FOOT = (Section("Audit", "console:audit", "history"),)


def shell(request: HttpRequest) -> dict[str, Any]:
    user = getattr(request, "user", None)
    return {
        "environment": settings.ENVIRONMENT_NAME,
        "gateway_url": settings.GATEWAY_URL,
        "sections": SECTIONS,
        "foot_sections": FOOT,
        "may_operate": may(user, Capability.OPERATE),
        "may_approve": may(user, Capability.APPROVE),
        "may_administer": may(user, Capability.ADMINISTER),
    }
