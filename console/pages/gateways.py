"""Who carries the routing table: what each gateway last said, against the table in force."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from routing.models import GatewayReport
from routing.publish import table_in_force
from routing.reports import FORGOTTEN, LIVE


@dataclass(frozen=True, slots=True)
class Gateway:
    name: str
    at: datetime
    version: int
    present: bool
    current: bool


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """`version` is the table in force; None before the first publication."""

    version: int | None
    published_at: datetime | None
    gateways: tuple[Gateway, ...]

    @property
    def present(self) -> int:
        return sum(gateway.present for gateway in self.gateways)

    @property
    def current(self) -> int:
        return sum(gateway.present and gateway.current for gateway in self.gateways)

    @property
    def last_heard(self) -> datetime | None:
        return max((gateway.at for gateway in self.gateways), default=None)

    @property
    def tone(self) -> str:
        if not self.present:
            return "fail"
        return "ok" if self.current == self.present else "run"

    @property
    def sentence(self) -> str:
        if self.version is None:
            return "No routing table has been published yet."
        if not self.gateways:
            return f"Table {self.version} is published; no gateway has reported yet."
        if not self.present:
            return f"Table {self.version} is published; no gateway reports at present."
        noun = "gateway" if self.present == 1 else "gateways"
        return f"Table {self.version} acknowledged by {self.current} of {self.present} {noun}."


def judge(
    reports: Iterable[tuple[str, datetime, int]], *, version: int | None, published_at: datetime | None, now: datetime
) -> Acknowledgement:
    """`reports` are (gateway, heard at, table version)."""
    gateways = tuple(
        Gateway(name, at, held, present=now - at < LIVE, current=version is not None and held >= version)
        for name, at, held in sorted(reports)
        if now - at <= FORGOTTEN
    )
    return Acknowledgement(version, published_at, gateways)


def acknowledgement(now: datetime) -> Acknowledgement:
    table = table_in_force()
    return judge(
        GatewayReport.objects.values_list("gateway_id", "at", "table_version"),
        version=table.version if table else None,
        published_at=table.at if table else None,
        now=now,
    )
