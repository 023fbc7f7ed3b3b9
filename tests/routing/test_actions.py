import pytest

from console.models import AuditEvent
from engines.models import Engine
from routing import actions
from routing.actions import Conflict, EngineInUse, InvalidSplit
from routing.models import Route, RouteRevision, TableRevision
from routing.publish import table_in_force
from routing.table import Member, Role, from_json
from tests.routing.rows import ANNA, BERT, WHY, make_engine, make_route, split

pytestmark = pytest.mark.django_db


@pytest.fixture
def route() -> Route:
    make_engine("alpha")
    make_engine("beta")
    return make_route(alpha=90, beta=10)


def members_in_table(name: str = "demo") -> dict[str, int]:
    table = from_json(table_in_force().body)
    return {member.engine: member.weight for member in table.routes[name].members}


def test_a_change_is_published_in_the_newest_table(route):
    before = table_in_force().version
    actions.change_split("demo", split(alpha=75, beta=25), expected=1, actor=BERT, reason=WHY)
    assert table_in_force().version == before + 1
    assert members_in_table() == {"alpha": 75, "beta": 25}


def test_a_change_leaves_one_audit_row_with_before_and_after(route):
    actions.change_split("demo", split(alpha=75, beta=25), expected=1, actor=BERT, reason=WHY)
    event = AuditEvent.objects.order_by("-sequence").first()
    assert (event.action, event.subject, event.actor_name) == ("route.split", "route:demo", "bert")
    assert event.before == {"alpha": "90 %", "beta": "10 %"}
    assert event.after == {"alpha": "75 %", "beta": "25 %"}
    assert event.reason == WHY


def test_the_second_of_two_changes_from_one_base_is_refused(route):
    actions.change_split("demo", split(alpha=95, beta=5), expected=1, actor=ANNA, reason=WHY)
    with pytest.raises(Conflict) as caught:
        actions.change_split("demo", split(alpha=75, beta=25), expected=1, actor=BERT, reason=WHY)
    assert caught.value.current.number == 2
    assert caught.value.current.actor_name == "anna"


def test_a_refused_change_writes_nothing(route):
    actions.change_split("demo", split(alpha=95, beta=5), expected=1, actor=ANNA, reason=WHY)
    before = AuditEvent.objects.count(), TableRevision.objects.count(), RouteRevision.objects.count()
    with pytest.raises(Conflict):
        actions.change_split("demo", split(alpha=75, beta=25), expected=1, actor=BERT, reason=WHY)
    after = AuditEvent.objects.count(), TableRevision.objects.count(), RouteRevision.objects.count()
    assert after == before
    assert members_in_table() == {"alpha": 95, "beta": 5}


def test_a_change_of_one_route_does_not_make_another_stale(route):
    make_route("other", alpha=100)
    actions.change_split("demo", split(alpha=95, beta=5), expected=1, actor=ANNA, reason=WHY)
    revision = actions.change_split("other", split(alpha=50, beta=50), expected=1, actor=BERT, reason=WHY)
    assert revision.number == 2


def test_a_failing_listener_takes_the_change_back(route, monkeypatch):
    monkeypatch.setattr("console.audit.ATTEMPTS", 0)
    versions = TableRevision.objects.count()
    with pytest.raises(Exception, match="route:demo"):
        actions.change_split("demo", split(alpha=75, beta=25), expected=1, actor=BERT, reason=WHY)
    route.refresh_from_db()
    assert route.revision == 1
    assert TableRevision.objects.count() == versions


def test_restore_brings_back_the_members_as_a_new_revision(route):
    actions.change_split("demo", split(alpha=0, beta=100), expected=1, actor=ANNA, reason=WHY)
    revision = actions.restore("demo", 1, expected=2, actor=BERT, reason="back")
    assert (revision.number, revision.restores) == (3, 1)
    assert members_in_table() == {"alpha": 90, "beta": 10}
    assert AuditEvent.objects.order_by("-sequence").first().action == "route.restore"


def test_a_stale_restore_is_refused(route):
    actions.change_split("demo", split(alpha=95, beta=5), expected=1, actor=ANNA, reason=WHY)
    actions.change_split("demo", split(alpha=50, beta=50), expected=2, actor=ANNA, reason=WHY)
    with pytest.raises(Conflict):
        actions.restore("demo", 1, expected=2, actor=BERT, reason="back")


def test_a_revision_that_never_was_cannot_be_restored(route):
    with pytest.raises(RouteRevision.DoesNotExist):
        actions.restore("demo", 9, expected=1, actor=BERT, reason="back")


@pytest.mark.parametrize(
    ("members", "sentence"),
    [
        (split(alpha=60, beta=30), "add up to 90 %"),
        (split(alpha=101, beta=-1), "from 0 to 100"),
        (split(alpha=50, gamma=50), "No engine is named gamma"),
        ([Member("alpha", Role.STANDBY)], "at least one engine"),
        ([Member("alpha", Role.SPLIT, 100), Member("beta", Role.OUT, 5)], "Only engines in the split"),
        ([Member("alpha", Role.SPLIT, 50), Member("alpha", Role.SPLIT, 50)], "only once"),
    ],
)
def test_members_that_are_no_split_are_refused_in_words(route, members, sentence):
    with pytest.raises(InvalidSplit, match=sentence):
        actions.change_split("demo", members, expected=1, actor=ANNA, reason=WHY)


def test_a_disabled_engine_never_gains_weight(route):
    make_engine("gamma", enabled=False)
    with pytest.raises(InvalidSplit, match="gamma is disabled"):
        actions.change_split("demo", split(alpha=50, gamma=50), expected=1, actor=ANNA, reason=WHY)


def test_a_disabled_engine_may_lose_weight(route):
    Engine.objects.filter(name="beta").update(state=Engine.State.DISABLED)
    actions.change_split("demo", split(alpha=95, beta=5), expected=1, actor=ANNA, reason=WHY)
    assert members_in_table() == {"alpha": 95, "beta": 5}


def test_an_engine_with_weight_is_not_disabled(route):
    engine = Engine.objects.get(name="beta")
    with pytest.raises(EngineInUse) as caught:
        actions.disable_engine(engine, actor=ANNA, reason=WHY)
    assert caught.value.routes == ("demo",)
    engine.refresh_from_db()
    assert engine.state == Engine.State.ACTIVE


def test_an_engine_at_zero_weight_can_be_disabled(route):
    actions.change_split("demo", split(alpha=100, beta=0), expected=1, actor=ANNA, reason=WHY)
    engine = actions.disable_engine(Engine.objects.get(name="beta"), actor=ANNA, reason=WHY)
    assert engine.state == Engine.State.DISABLED


def test_an_engine_that_a_route_names_is_not_deleted(route):
    actions.change_split("demo", split(alpha=100, beta=0), expected=1, actor=ANNA, reason=WHY)
    with pytest.raises(EngineInUse):
        actions.remove_engine(Engine.objects.get(name="beta"), actor=ANNA, reason=WHY)


def test_an_engine_that_only_old_revisions_name_can_be_deleted(route):
    actions.change_split("demo", split(alpha=100), expected=1, actor=ANNA, reason=WHY)
    actions.remove_engine(Engine.objects.get(name="beta"), actor=ANNA, reason=WHY)
    assert "beta" not in from_json(table_in_force().body).engines


def test_a_revision_with_a_deleted_engine_cannot_be_restored(route):
    actions.change_split("demo", split(alpha=100), expected=1, actor=ANNA, reason=WHY)
    actions.remove_engine(Engine.objects.get(name="beta"), actor=ANNA, reason=WHY)
    with pytest.raises(InvalidSplit, match="No engine is named beta"):
        actions.restore("demo", 1, expected=2, actor=BERT, reason="back")


def test_a_deleted_route_leaves_the_table_and_an_audit_row(route):
    actions.delete_route(route, actor=ANNA, reason=WHY)
    assert "demo" not in from_json(table_in_force().body).routes
    event = AuditEvent.objects.order_by("-sequence").first()
    assert (event.action, event.before) == ("route.delete", {"alpha": "90 %", "beta": "10 %"})
