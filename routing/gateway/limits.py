"""What bounds and steers traffic in this gateway: requests per key, and what each replica has in flight and cached."""

import math
from dataclasses import replace

from routing.decision import ReplicaLoad
from routing.gateway.errors import ApiError
from routing.table import KeyEntry

IDLE = ReplicaLoad()
PACE_MEMORY_SECONDS = 30.0
PACE_SAMPLES = 2.5  # fading ones: three in quick succession
INPUT_SHARE = 1 / 32  # what reading a token costs beside writing one
BEGINNINGS = 65_536


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
    """The gateway's own view of each replica, as the rules read it: `loads`, and `placed`: which beginnings it has."""

    def __init__(self) -> None:
        self.loads: dict[int, ReplicaLoad] = {}
        self.placed: dict[int, int] = {}
        self._answered: dict[int, tuple[float, float, float, float]] = {}  # fading samples, seconds, tokens; when

    def begin(self, replica: int, tokens: int) -> None:
        load = self.loads.get(replica, IDLE)
        self.loads[replica] = ReplicaLoad(
            load.in_flight + 1, load.in_flight_tokens + tokens, load.saturated_until, load.tripped,
            load.pace, load.paced_at,
        )  # fmt: skip

    def read(self, replica: int, tokens: int) -> None:
        """The prompt was read: only what is still to be written stays outstanding."""
        load = self.loads.get(replica, IDLE)
        self.loads[replica] = replace(load, in_flight_tokens=max(load.in_flight_tokens - tokens, 0))

    def end(self, replica: int, tokens: int) -> None:
        load = self.loads.get(replica, IDLE)
        self.loads[replica] = ReplicaLoad(
            max(load.in_flight - 1, 0), max(load.in_flight_tokens - tokens, 0), load.saturated_until, load.tripped,
            load.pace, load.paced_at,
        )  # fmt: skip

    def answered(self, replica: int, *, input_tokens: int, output_tokens: int, seconds: float, now: float) -> None:
        """A whole answer shows how fast the replica is. `input_tokens` without cached ones; `now` in Unix seconds."""
        samples, spent, tokens, seen = self._answered.get(replica, (0.0, 0.0, 0.0, now))
        kept = math.exp(min(seen - now, 0.0) / PACE_MEMORY_SECONDS)
        samples, spent = samples * kept + 1.0, spent * kept + seconds
        tokens = tokens * kept + output_tokens + input_tokens * INPUT_SHARE
        self._answered[replica] = samples, spent, tokens, now
        if samples >= PACE_SAMPLES and tokens:
            self.loads[replica] = replace(self.loads.get(replica, IDLE), pace=spent / tokens, paced_at=now)

    def place(self, beginnings: tuple[int, ...], replica: int) -> None:
        """The replica gets a prompt with these beginnings. Those not seen for longest are forgotten first."""
        placed = self.placed
        for beginning in beginnings:
            placed.pop(beginning, None)
            placed[beginning] = replica
        while len(placed) > BEGINNINGS:
            del placed[next(iter(placed))]

    def cool_down(self, replica: int, until: float) -> None:
        load = self.loads.get(replica, IDLE)
        self.loads[replica] = replace(load, saturated_until=max(load.saturated_until, until))
