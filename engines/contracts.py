"""Runs of the contract against registered engines: asked for, made, stored. They change nothing that has traffic."""

import asyncio
from collections.abc import Iterable

from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils import timezone

from engines import contract
from engines.adapters import get_adapter
from engines.contract import Finding
from engines.http import HttpEngineClient, new_session
from engines.models import ContractRun, Engine, Replica
from engines.sealing import SealBroken, unseal

RUN_SECONDS = 300.0


class NothingToTest(Exception):
    """The engine cannot be tested now; the message says why."""


def ask(engine: Engine, *, by: str) -> ContractRun:
    """A new run takes the place of the last one; its findings stay until the new ones are there."""
    found, _ = ContractRun.objects.update_or_create(
        engine=engine, defaults={"actor_name": by, "asked_at": timezone.now(), "finished_at": None, "error": ""}
    )
    return found


def close(run: ContractRun, findings: Iterable[Finding], *, url: str = "", error: str = "") -> None:
    """A run that could not be made keeps the findings of the last one."""
    rows = contract.findings_to_json(findings)
    run.finished_at, run.error = timezone.now(), error[:300]
    run.rows, run.url = (run.rows, run.url) if error else (rows, url)
    run.save(update_fields=["rows", "url", "finished_at", "error"])


async def carry_out(run: ContractRun) -> list[Finding]:
    """Raises NothingToTest; what the engine does wrong is among the findings."""
    try:
        replica = await sync_to_async(_replica)(run.engine)
        findings = await asyncio.wait_for(_findings(replica), RUN_SECONDS)
    except (NothingToTest, SealBroken, TimeoutError) as failure:
        words = str(failure) or f"Stopped after {RUN_SECONDS:.0f} s."
        await sync_to_async(close)(run, [], error=words)
        raise NothingToTest(words) from None
    await sync_to_async(close)(run, findings, url=replica.url)
    return findings


async def _findings(replica: Replica) -> list[Finding]:
    engine, key = replica.engine, unseal(replica.sealed_key, settings.FERNET_KEY)
    async with new_session(settings.ENGINE_NETWORKS) as session:
        client = HttpEngineClient(
            get_adapter(engine.kind), replica.url, session=session, served_model=engine.served_model, api_key=key,
            record=engine.features,
        )  # fmt: skip
        return [finding async for finding in contract.run(client, session=session, api_key=key)]


def _replica(engine: Engine) -> Replica:
    """The best one in rotation, else the first: one that is out may still be asked why."""
    found = (
        Replica.objects.select_related("engine").filter(engine=engine).order_by("-in_rotation", "-score", "pk").first()
    )
    if found is None:
        raise NothingToTest(f"{engine.name} has no replica.")
    return found
