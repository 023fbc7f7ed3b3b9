"""What bounds traffic in this gateway: requests per key, and the work that each replica has in flight."""

from dataclasses import replace

from routing.decision import ReplicaLoad
from routing.gateway.errors import ApiError
from routing.table import KeyEntry

IDLE = ReplicaLoad()


class KeyRates:
    """A token bucket per key: a minute's worth at once, refilled evenly."""

    def __init__(self) -> None:
        self._buckets: dict[int, tuple[float, float]] = {}  # key id → (tokens left, when)

    def take(self, key: KeyEntry, now: float) -> None:
        """`now` is monotonic seconds. Raises ApiError 429 when the key has spent its rate."""
        rate = key.requests_per_minute
        if rate is None:
            return
        left, seen = self._buckets.get(key.id, (float(rate), now))
        left = min(float(rate), left + (now - seen) * rate / 60.0)
        if left < 1.0:
            self._buckets[key.id] = (left, now)
            wait = (1.0 - left) * 60.0 / rate if rate else 60.0
            raise ApiError(
                429,
                "rate_limit_exceeded",
                f"This API key may send {rate} requests a minute.",
                kind="rate_limit_error",
                retry_after=wait,
            )
        self._buckets[key.id] = (left - 1.0, now)


class Work:
    """The gateway's own view of each replica, as the rules read it (`loads`)."""

    def __init__(self) -> None:
        self.loads: dict[int, ReplicaLoad] = {}

    def begin(self, replica: int, tokens: int) -> None:
        load = self.loads.get(replica, IDLE)
        self.loads[replica] = ReplicaLoad(
            load.in_flight + 1, load.in_flight_tokens + tokens, load.saturated_until, load.tripped
        )

    def end(self, replica: int, tokens: int) -> None:
        load = self.loads.get(replica, IDLE)
        self.loads[replica] = ReplicaLoad(
            max(load.in_flight - 1, 0), max(load.in_flight_tokens - tokens, 0), load.saturated_until, load.tripped
        )

    def cool_down(self, replica: int, until: float) -> None:
        load = self.loads.get(replica, IDLE)
        self.loads[replica] = replace(load, saturated_until=max(load.saturated_until, until))
