"""Numbers as people read them: one unit, few digits, "—" for a measurement that does not exist. Pure."""

import math
from datetime import timedelta

NONE = "—"
OVER = "∞"


def number(value: float | None) -> str:
    """Whole numbers with thin spaces between thousands."""
    return NONE if value is None else f"{value:,.0f}".replace(",", "\u2009")


def ms(seconds: float | None) -> str:
    """Seconds as milliseconds, with the unit."""
    if seconds is None:
        return NONE
    if math.isinf(seconds):
        return OVER
    return "< 1 ms" if 0 < seconds < 0.001 else f"{number(seconds * 1000)} ms"


def seconds(value: float | None) -> str:
    if value is None:
        return NONE
    return OVER if math.isinf(value) else f"{value:,.2f} s"


def duration(value: timedelta | float | None) -> str:
    """“4 min 12 s”, “3 h 5 min”, “2 d 4 h”: the two largest units."""
    if value is None:
        return NONE
    left = max(0, int(value.total_seconds() if isinstance(value, timedelta) else value))
    parts = []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        amount, left = divmod(left, size)
        parts.append((amount, unit))
    first = next((i for i, (amount, _) in enumerate(parts) if amount), len(parts) - 1)
    shown = [part for part in parts[first : first + 2] if part[0]] or [parts[-1]]
    return " ".join(f"{amount} {unit}" for amount, unit in shown)


def rate(value: float | None) -> str:
    """Per second: two significant digits below 10."""
    if value is None:
        return NONE
    if value == 0:
        return "0"
    if value < 0.01:
        return "< 0.01"
    return f"{value:.2g}" if value < 10 else f"{value:.1f}"


def percent(share: float | None) -> str:
    """A share of 1 as percent: one decimal below 10."""
    if share is None:
        return NONE
    points = share * 100
    if points in (0, 100) or points >= 10:
        return f"{points:.0f} %"
    return "< 0.1 %" if 0 < points < 0.1 else f"{points:.1f} %"


def score(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def burn(value: float | None) -> str:
    """How many times faster than allowed the error budget is spent."""
    if value is None:
        return NONE
    return f"{value:.1f}×" if value < 100 else f"{value:.0f}×"
