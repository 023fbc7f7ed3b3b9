"""Policies in versions, the queue, cancel and resume: what people do to runs, each audited."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from celery import current_app
from django.utils import timezone
from kombu import pools

from console.models import AuditEvent
from engines.models import Engine
from gates import actions, journal
from gates.models import GatePolicy, GateRun
from gates.policy import InvalidPolicy
from gates.runs import State
from tests.gates.rows import OPERATOR, TINY, queue, states

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


@pytest.fixture
def engine(make_engine: Callable[..., Engine]) -> Engine:
    return make_engine("hf-demo")


@contextlib.contextmanager
def broker_at(url: str, **options: Any) -> Iterator[None]:
    """Messages go there for the length of the block."""
    before = {name: current_app.conf[name] for name in ("broker_url", "broker_transport_options")}
    _use(broker_url=url, broker_transport_options=options)
    try:
        yield
    finally:
        _use(**before)


def _use(**configuration: Any) -> None:
    current_app.conf.update(configuration)
    current_app._pool = current_app.amqp._producer_pool = None
    pools.reset()


def test_the_built_in_policies_are_made_once_and_an_edit_is_left_alone() -> None:
    actions.ensure_built_in()
    quick = actions.newest("quick")
    actions.create_policy("quick", replace(TINY, name="quick"), actor=OPERATOR, reason="shorter", expected=1)
    actions.ensure_built_in()
    assert quick is not None
    assert [(row.name, row.number) for row in actions.newest_versions()] == [("quick", 2), ("standard", 1)]
    assert GatePolicy.objects.get(pk=quick.pk).body["spike"]["rate"] == 5


def test_two_editors_of_one_version_do_not_overwrite_each_other() -> None:
    actions.create_policy("own", TINY, actor=OPERATOR, reason="", expected=0)
    with pytest.raises(actions.PolicyConflict) as conflict:
        actions.create_policy("own", TINY, actor=OPERATOR, reason="", expected=0)
    assert conflict.value.current is not None
    assert conflict.value.current.number == 1


def test_a_policy_that_cannot_run_is_refused() -> None:
    with pytest.raises(InvalidPolicy):
        actions.create_policy("none", replace(TINY, step=None, spike=None, soak=None), actor=OPERATOR, reason="")
    assert not GatePolicy.objects.exists()


def test_a_run_of_an_unknown_target_is_refused(engine: Engine) -> None:
    with pytest.raises(actions.UnknownTarget, match="No engine is named nobody"):
        queue("nobody")


def test_each_act_of_an_operator_is_audited(engine: Engine) -> None:
    run = queue(engine)
    actions.request_cancel(run, actor=OPERATOR)
    seen = AuditEvent.objects.filter(subject=f"gate:{run.pk}").order_by("sequence").values_list("action", flat=True)
    assert list(seen) == ["gate.create", "gate.cancel"]


def test_a_queued_run_is_cancelled_at_once_and_only_once(engine: Engine) -> None:
    run = actions.request_cancel(queue(engine), actor=OPERATOR)
    assert (run.state, run.verdict) == ("cancelled", "cancelled")
    assert journal.claim(run.pk, "a", timezone.now()) is None
    with pytest.raises(actions.WrongState):
        actions.request_cancel(run, actor=OPERATOR)


def test_only_an_interrupted_or_errored_run_is_resumed(engine: Engine) -> None:
    run = queue(engine)
    with pytest.raises(actions.WrongState):
        actions.resume(run, actor=OPERATOR)
    GateRun.objects.filter(pk=run.pk).update(state=State.INTERRUPTED)
    run = actions.resume(run, actor=OPERATOR, hand_to_worker=False)
    assert (run.state, states(run)) == ("queued", ["queued"])


def test_a_published_run_is_not_published_again_within_a_minute(engine: Engine, tmp_path: Path) -> None:
    run, now = queue(engine), timezone.now()
    GateRun.objects.update(published_at=None)
    folders = dict.fromkeys(("data_folder_in", "data_folder_out"), str(tmp_path))
    with broker_at("filesystem://localhost//", **folders, control_folder=str(tmp_path / "control")):
        assert [actions.publish(run, now + timedelta(seconds=after)) for after in (0, 30, 61)] == [True] * 3
    run.refresh_from_db()
    assert run.reason == actions.NO_WORKER
    assert len(list(tmp_path.glob("*.msg"))) == 2


def test_a_broker_that_is_down_leaves_the_run_queued_with_that_reason(engine: Engine) -> None:
    run = queue(engine)
    GateRun.objects.update(published_at=None)
    with broker_at("redis://127.0.0.1:9/0", socket_connect_timeout=1):
        assert actions.publish(run) is False
    run.refresh_from_db()
    assert (run.state, run.reason, run.published_at) == ("queued", actions.BROKER_DOWN, None)
