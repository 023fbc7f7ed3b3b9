"""One thread that does all database work of a run, in order, so that the generator's loop never waits for a disk."""

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from django.db import OperationalError, close_old_connections, connections

log = logging.getLogger(__name__)

PATIENCE_SECONDS = 20.0
PAUSE_SECONDS = 0.2

P = ParamSpec("P")
T = TypeVar("T")


class Writer:
    """`do` waits for the result; a database that is locked or away is tried again for 20 s."""

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self.patience = patience
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="gate-writer")

    async def do(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Raises OperationalError when the database stayed away."""
        call = partial(work, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._patiently, call)

    def close(self) -> None:
        self._pool.submit(connections.close_all)
        self._pool.shutdown(wait=True)

    def _patiently(self, call: Callable[[], T]) -> T:
        until = time.monotonic() + self.patience
        while True:
            close_old_connections()
            try:
                return call()
            except OperationalError as failure:
                if time.monotonic() > until:
                    raise
                log.warning("The database did not take a write of the run, trying again: %s", failure)
                time.sleep(PAUSE_SECONDS)
