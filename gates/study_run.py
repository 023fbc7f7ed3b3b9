"""Brings one study to its end in this process: claims it, runs it, and says how it ended, whatever happens."""

import asyncio
import logging
import signal
from contextlib import suppress

from django.conf import settings

from engines.http import new_session
from engines.sealing import SealBroken
from gates import capacity_run, pairs_run, study_journal
from gates.actions import newest
from gates.desk import Cancelled, Desk, Say
from gates.holder import this_process
from gates.ledger import utc_now
from gates.models import GateStudy
from gates.policy import InvalidPolicy, Policy, from_json
from gates.preflight import Unreachable
from gates.study_states import State
from gates.subject import TargetGone
from gates.writer import Writer

log = logging.getLogger(__name__)


async def conduct(study_id: int, say: Say = log.info) -> bool:
    """False when it could not be claimed: not queued, or its engines are under load."""
    writer, holder = Writer(), this_process()
    try:
        if not await writer.do(study_journal.claim, study_id, holder, utc_now()):
            return False
        study = await writer.do(GateStudy.objects.get, pk=study_id)
        desk = Desk(study, holder, writer, say)
        with suppress(ValueError, RuntimeError, NotImplementedError):  # only a main thread hears signals
            for number in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(number, desk.stop.set)
        state, reason = await _run(desk)
        await writer.do(study_journal.finish, study_id, holder, state, reason=reason, now=utc_now(), body=desk.body)
        return True
    finally:
        writer.close()


async def _run(desk: Desk) -> tuple[State, str]:
    watching = asyncio.create_task(desk.watch())
    try:
        policy = await desk.writer.do(policy_of, desk.study)
        work = capacity_run.run if desk.study.kind == GateStudy.Kind.CAPACITY else pairs_run.run
        async with new_session(settings.ENGINE_NETWORKS, user_agent="engine-console-gate") as session:
            return State.DONE, await work(desk, policy, session)
    except Cancelled:
        return State.CANCELLED, "Cancelled; the load has stopped. What was measured until then is kept."
    except (TargetGone, SealBroken, InvalidPolicy, Unreachable) as failure:
        return State.ERRORED, str(failure)
    except Exception as failure:  # whatever breaks here is ours: the study says so, the log has the rest
        log.exception("Study %s broke.", desk.study.pk)
        return State.ERRORED, f"It broke in our own code ({type(failure).__name__}): see the worker's log."
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


def policy_of(study: GateStudy) -> Policy:
    """The newest version of the policy that was chosen: objectives, prompts and time limits. Raises InvalidPolicy."""
    name = study.body["options"].get("policy", "standard")
    row = newest(name)
    if row is None:
        raise InvalidPolicy(f"No policy is named {name}.")
    policy = from_json(row.body)
    if policy.workload.source == "replay":
        raise InvalidPolicy("A study takes no recorded traffic; choose a policy with other prompts.")
    return policy
