from datetime import UTC, datetime

import pytest
from django.db import IntegrityError, transaction

from console.models import AuditEvent
from engines import actions
from engines.actions import EngineSpec, ProbeRecord, StaleEngine
from engines.models import Engine, HealthSample
from routing.publish import table_in_force
from routing.table import from_json
from tests.routing.rows import ANNA, WHY, make_engine

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def spec(name: str = "alpha", **values: object) -> EngineSpec:
    return EngineSpec(**{"name": name, "kind": "custom", "served_model": "m", **values})


def test_a_registered_engine_is_disabled():
    engine = actions.register_engine(spec(), replicas=[("http://127.0.0.1:1", "")], actor=ANNA, reason=WHY)
    assert engine.state == Engine.State.DISABLED


def test_a_registered_engine_is_in_the_published_table():
    actions.register_engine(spec(), replicas=[("http://127.0.0.1:1", "sealed")], actor=ANNA, reason=WHY)
    entry = from_json(table_in_force().body).engines["alpha"]
    assert [replica.url for replica in entry.replicas] == ["http://127.0.0.1:1"]


def test_a_taken_name_writes_nothing():
    make_engine("alpha")
    rows = AuditEvent.objects.count()
    with pytest.raises(IntegrityError), transaction.atomic():
        actions.register_engine(spec(), replicas=[], actor=ANNA, reason=WHY)
    assert AuditEvent.objects.count() == rows
    assert Engine.objects.count() == 1


def test_the_audit_row_of_an_engine_has_no_key():
    actions.register_engine(spec(), replicas=[("http://127.0.0.1:1", "gAAAsealed")], actor=ANNA, reason=WHY)
    event = AuditEvent.objects.get(action="engine.register")
    assert "gAAAsealed" not in str(event.after)
    assert event.after["replicas"] == ["http://127.0.0.1:1"]


def test_six_engines_get_six_colours():
    slots = {make_engine(f"engine-{number}").slot for number in range(6)}
    assert slots == {1, 2, 3, 4, 5, 6}


def test_an_edit_keeps_the_health_of_a_replica_whose_url_stays():
    engine = make_engine("alpha")
    replica = engine.replicas.get()
    record = ProbeRecord(replica_id=replica.pk, at=NOW, score=0.9, in_rotation=True, worst="", good=True, health={})
    actions.record_probes([record])
    engine.refresh_from_db()
    actions.edit_engine(engine, spec(), replicas={replica.url: "", "http://127.0.0.1:2": ""}, actor=ANNA, reason=WHY)
    replica.refresh_from_db()
    assert replica.score == 0.9
    assert engine.replicas.count() == 2


def test_an_edit_removes_replicas_that_are_not_named():
    engine = make_engine("alpha")
    engine.refresh_from_db()
    actions.edit_engine(engine, spec(), replicas={"http://127.0.0.1:2": ""}, actor=ANNA, reason=WHY)
    assert [replica.url for replica in engine.replicas.all()] == ["http://127.0.0.1:2"]


def test_an_edit_of_an_older_version_is_refused():
    engine = make_engine("alpha")
    engine.refresh_from_db()
    stale = Engine.objects.get(pk=engine.pk)
    actions.edit_engine(engine, spec(max_in_flight=8), replicas={}, actor=ANNA, reason=WHY)
    with pytest.raises(StaleEngine):
        actions.edit_engine(stale, spec(max_in_flight=9), replicas={}, actor=ANNA, reason=WHY)
    engine.refresh_from_db()
    assert engine.max_in_flight == 8


def test_an_edit_never_renames():
    engine = make_engine("alpha")
    engine.refresh_from_db()
    actions.edit_engine(engine, spec("omega"), replicas={}, actor=ANNA, reason=WHY)
    assert Engine.objects.get().name == "alpha"


def test_a_state_that_moved_meanwhile_is_not_overwritten():
    engine = make_engine("alpha")
    first, second = Engine.objects.get(pk=engine.pk), Engine.objects.get(pk=engine.pk)
    actions.set_state(first, Engine.State.DRAINING, actor=ANNA, reason=WHY)
    with pytest.raises(StaleEngine):
        actions.set_state(second, Engine.State.DISABLED, actor=ANNA, reason=WHY)
    assert Engine.objects.get().state == Engine.State.DRAINING


def test_a_state_change_is_published_and_audited():
    engine = Engine.objects.get(pk=make_engine("alpha").pk)
    actions.set_state(engine, Engine.State.DRAINING, actor=ANNA, reason=WHY)
    assert from_json(table_in_force().body).engines["alpha"].state == "draining"
    event = AuditEvent.objects.order_by("-sequence").first()
    assert (event.before["state"], event.after["state"]) == ("active", "draining")


def test_probes_are_kept_as_samples_and_flips_are_told():
    replica = make_engine("alpha").replicas.get()
    record = ProbeRecord(
        replica_id=replica.pk, at=NOW, score=0.9, in_rotation=True, worst="queue", good=True, health={"a": 1}
    )
    assert actions.record_probes([record]) == [replica]
    assert actions.record_probes([record]) == []
    replica.refresh_from_db()
    assert (replica.score, replica.last_good_at, replica.health) == (0.9, NOW, {"a": 1})
    assert HealthSample.objects.count() == 2


def test_a_probe_of_a_deleted_replica_is_dropped():
    record = ProbeRecord(replica_id=99, at=NOW, score=0.9, in_rotation=True, worst="", good=True, health={})
    assert actions.record_probes([record]) == []


def test_a_managed_replica_moves_with_its_process():
    actions.register_engine(spec(), replicas=[("http://127.0.0.1:1", "")], managed_by="hf", actor=ANNA, reason=WHY)
    actions.set_managed_url("hf", "http://127.0.0.1:2", actor=ANNA)
    actions.set_managed_url("hf", "http://127.0.0.1:2", actor=ANNA)
    assert AuditEvent.objects.filter(action="engine.move").count() == 1
    entry = from_json(table_in_force().body).engines["alpha"]
    assert [replica.url for replica in entry.replicas] == ["http://127.0.0.1:2"]


def found(replica_id: int, **values: object) -> ProbeRecord:
    base = {"at": NOW, "score": 1.0, "in_rotation": True, "worst": "", "good": True, "health": {}}
    return ProbeRecord(replica_id=replica_id, **{**base, **values})


def test_what_a_probe_finds_out_reaches_the_table_once():
    replica = make_engine("alpha").replicas.get()
    record = found(replica.pk, context_length=4096, detected={"metrics": "yes:detected"})
    actions.record_probes([record])
    actions.record_probes([record])
    entry = from_json(table_in_force().body).engines["alpha"]
    assert (entry.context_length, entry.features) == (4096, {"metrics": "yes:detected"})
    assert AuditEvent.objects.filter(action="engine.detect").count() == 1


def test_a_probe_never_overrules_the_operator():
    engine = actions.register_engine(
        spec(context_length=1000, features={"metrics": "no:declared"}),
        replicas=[("http://127.0.0.1:1", "")],
        actor=ANNA,
        reason=WHY,
    )
    record = found(engine.replicas.get().pk, context_length=4096, detected={"metrics": "yes:detected"})
    actions.record_probes([record])
    engine.refresh_from_db()
    assert (engine.context_length, engine.features) == (1000, {"metrics": "no:declared"})


def test_a_closed_check_has_forgotten_its_key():
    check = actions.open_check(kind="custom", url="http://127.0.0.1:1", served_model="m", sealed_key="sealed")
    actions.close_check(check, [{"name": "DNS", "state": "ok"}])
    check.refresh_from_db()
    assert (check.sealed_key, check.rows) == ("", [{"name": "DNS", "state": "ok"}])
    assert check.finished_at is not None
