"""Tasks of the worker: a message carries an id, the row carries the rest."""

import asyncio
import contextlib

from asgiref.sync import async_to_sync, sync_to_async
from celery import shared_task
from django.conf import settings

from engines.actions import close_check, note_check
from engines.checklist import Check, Target, checklist
from engines.contracts import NothingToTest, carry_out
from engines.http import new_session
from engines.models import ContractRun, EngineCheck
from engines.sealing import SealBroken, unseal

CHECK_SECONDS = 75.0

Row = dict[str, object]


@shared_task(name="engines.run_check", ignore_result=True)  # type: ignore[untyped-decorator]
def run_check(number: int) -> None:
    """Does nothing for a check that was deleted or has finished: a message may come twice."""
    check = EngineCheck.objects.filter(pk=number, finished_at=None).first()
    if check is None:
        return
    rows: list[Row] = []
    try:
        _fill(check, rows)
    finally:
        close_check(check, rows)


def _fill(check: EngineCheck, rows: list[Row]) -> None:
    try:
        async_to_sync(_run)(check, rows)
    except TimeoutError:
        rows.append({"name": "Time", "state": "fail", "detail": f"Stopped after {CHECK_SECONDS:.0f} s."})
    except SealBroken as broken:
        rows.append({"name": "Key", "state": "fail", "detail": str(broken)})


async def _run(check: EngineCheck, rows: list[Row]) -> None:
    key = unseal(check.sealed_key, settings.FERNET_KEY)
    target = Target(kind=check.kind, url=check.url, served_model=check.served_model, api_key=key)
    networks = settings.ENGINE_NETWORKS
    async with asyncio.timeout(CHECK_SECONDS), new_session(networks) as session:
        async for line in checklist(target, session=session, networks=networks):
            rows.append(row(line))
            await sync_to_async(note_check)(check, rows)


def row(line: Check) -> Row:
    return {"name": line.name, "state": line.state.value, "detail": line.detail, "seconds": line.seconds}


@shared_task(name="engines.run_contract", ignore_result=True)  # type: ignore[untyped-decorator]
def run_contract(engine: str) -> None:
    """Does nothing where no run is waited for: a message may come twice."""
    run = ContractRun.objects.select_related("engine").filter(engine__name=engine, finished_at=None).first()
    if run is not None:
        with contextlib.suppress(NothingToTest):  # the row says why
            async_to_sync(carry_out)(run)
