"""Outcomes on their way out: a bounded queue in memory, saved in batches by a thread, never in the way of traffic."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from routing.outcomes import Outcome, to_json

log = logging.getLogger(__name__)

BATCH = 500
STOP_SECONDS = 5.0


class Recorder:
    """`add` is called on the event loop; everything else happens in one thread. The oldest are dropped when full."""

    def __init__(self, save: Callable[[list[dict[str, Any]]], None], *, size: int, flush_seconds: float) -> None:
        self._save = save
        self._flush_seconds = flush_seconds
        self._queue: deque[Outcome] = deque(maxlen=size)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._in_hand: list[Outcome] = []
        self.dropped = 0
        self.failed_batches = 0

    @property
    def depth(self) -> int:
        """Outcomes not saved yet, those being saved included."""
        return len(self._queue) + len(self._in_hand)

    def add(self, outcome: Outcome) -> None:
        if len(self._queue) == self._queue.maxlen:
            self.dropped += 1
        self._queue.append(outcome)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="outcomes", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Save what is queued, for at most STOP_SECONDS. Blocks: call it off the event loop."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.wait(self._flush_seconds):
            self.flush()
        self.flush()

    def flush(self) -> None:
        """Save batches until the queue is empty or a save fails; a failed batch goes back to the front."""
        while self._queue:
            batch = self._take()
            try:
                self._save([to_json(outcome) for outcome in batch])
            except Exception:
                # The store may be gone in any way: keep what fits and try again at the next flush.
                log.exception("%d outcomes could not be saved; they stay queued.", len(batch))
                self.failed_batches += 1
                self._put_back(batch)
                return
            finally:
                self._in_hand = []

    def unsaved(self) -> list[Outcome]:
        """Everything that the store does not have yet. Called on the event loop, while the thread may take."""
        with self._lock:
            return [*self._in_hand, *self._queue]

    def _take(self) -> list[Outcome]:
        with self._lock:
            batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
            self._in_hand = batch
        return batch

    def _put_back(self, batch: list[Outcome]) -> None:
        room = (self._queue.maxlen or 0) - len(self._queue)
        self.dropped += max(len(batch) - room, 0)
        self._queue.extendleft(reversed(batch[-room:] if room else []))
