"""What all requests of one gateway share."""

import asyncio
import time

from routing.gateway.doors import Doors, Options
from routing.gateway.drains import Drains
from routing.gateway.follow import Follower
from routing.gateway.limits import KeyRates, Work
from routing.gateway.metrics import Metrics
from routing.gateway.recorder import Recorder
from routing.gateway.trips import Trips
from routing.gateway.upstream import Pool
from routing.gateway.watch import Watch


class Hub:
    """Made when the loop runs. `suspects` are replicas whose connection failed since the last report."""

    def __init__(self, doors: Doors, options: Options, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        self.options = options
        self.loop = loop
        self.metrics = metrics
        self.follower = Follower(doors, options.poll_seconds)
        self.pool = Pool(loop, address_allowed=options.address_allowed)
        self.rates = KeyRates()
        self.work = Work()
        self.recorder = Recorder(doors.save_outcomes, size=options.outcome_queue, flush_seconds=options.flush_seconds)
        self.watch = Watch(loop, self.pool.close_stale)
        self.trips = Trips(self.follower.withhold)
        self.drains = Drains()
        self.follower.tripped = self.trips.routes
        self.follower.polled = lambda table: self.drains.look(table, self.watch.active)
        self.suspects: set[int] = set()
        self._tokens_at: dict[int, float] = {}

    def saw_tokens(self, replica: int, at: float) -> None:
        """`at` in loop seconds. Called at an answer's end; running streams are asked when it is reported."""
        self._tokens_at[replica] = max(at, self._tokens_at.get(replica, at))

    def tokens_seen_at(self) -> dict[str, float]:
        """Replica → Unix seconds of its last token here."""
        for item in tuple(self.watch.active):
            seen = item.tokens_seen()
            if seen is not None:
                self.saw_tokens(*seen)
        offset = time.time() - time.monotonic()
        return {str(replica): at + offset for replica, at in self._tokens_at.items()}
