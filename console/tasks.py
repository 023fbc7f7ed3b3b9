"""Tasks of the worker for local engines: what waits for requests to end must not hold up a page."""

import logging

from celery import shared_task

from console import launching
from console.launching import CannotLaunch
from engines import launched
from engines.actors import Actor
from engines.client import EngineFailure

log = logging.getLogger(__name__)


@shared_task(name="console.stop_launched", ignore_result=True)  # type: ignore[untyped-decorator]
def stop_launched(engine: str, url: str, actor: list[str], reason: str) -> None:
    """The page has taken it out of traffic already."""
    launching.stop(engine, url, actor=Actor(*actor), reason=reason, say=log.info)


@shared_task(name="console.sleep_launched", ignore_result=True)  # type: ignore[untyped-decorator]
def sleep_launched(engine: str, actor: list[str], reason: str) -> None:
    """What failed leaves the engine draining, which its page shows."""
    replica = launched.replica_of(engine)
    if replica is None:
        return
    try:
        launching.put_to_sleep(replica, actor=Actor(*actor), reason=reason, say=log.info)
    except (CannotLaunch, EngineFailure) as refused:
        log.error("%s does not sleep: %s", engine, refused)
