"""The list of engines, the health breakdown, and what changes an engine's state."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.models import User
from engines import health
from engines.actions import ProbeRecord, record_probes
from engines.client import HealthInput
from engines.models import Engine
from routing import actions
from tests.routing.rows import ANNA, WHY, make_engine, make_route, split

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


def probe(engine: Engine, *inputs: HealthInput, **stored: object) -> None:
    now = timezone.now()
    scored = health.score(inputs, None, now.timestamp(), health.Limits())
    for replica in engine.replicas.all():
        record = ProbeRecord(
            replica_id=replica.pk,
            at=now,
            score=scored.score,
            in_rotation=scored.in_rotation,
            worst=scored.worst,
            good=not stored,
            health={**health.to_json(scored), **stored},
        )
        record_probes([record])


def state(name: str) -> str:
    return str(Engine.objects.get(name=name).state)


def address(act: str, name: str = "alpha") -> str:
    return reverse(f"console:engine-{act}", args=[name])


def test_without_engines_the_list_says_what_to_do(client_of: ClientOf, operator: User) -> None:
    page = client_of(operator).get(reverse("console:engines")).content.decode()
    assert "No engines yet" in page
    assert reverse("console:engine-register") in page


def test_the_list_shows_every_engine_with_its_traffic(client_of: ClientOf, viewer: User) -> None:
    make_engine("alpha")
    make_engine("beta")
    make_route(alpha=90, beta=10)
    page = client_of(viewer).get(reverse("console:engines")).content.decode()
    assert "90 %" in page
    assert "Not probed yet" in page
    assert "Register" not in page


def test_the_breakdown_shows_value_threshold_and_points_lost(client_of: ClientOf, viewer: User) -> None:
    engine = make_engine("alpha")
    probe(
        engine,
        HealthInput("reachable", 1.0, "flag", 0.0),
        HealthInput("generation", 1.0, "flag", 0.0),
        HealthInput("ttft_p95", 10.5, "seconds", 1.0),
    )
    page = client_of(viewer).get(reverse("console:engine", args=["alpha"])).content.decode()
    for words in ("TTFT P95", "10.50", "7.00 · 14.00", "−0.25", "Would be healthy if TTFT P95 were ≤ 7.00 s"):
        assert words in page


def test_an_unknown_input_is_a_dash_and_no_zero(client_of: ClientOf, viewer: User) -> None:
    engine = make_engine("alpha")
    probe(engine, HealthInput("reachable", 1.0, "flag", 0.0))
    rows = client_of(viewer).get(reverse("console:engine", args=["alpha"])).context["breakdown"].rows
    queue = next(row for row in rows if row.name == "queue")
    assert (queue.value, queue.lost, queue.tone) == ("—", None, "idle")


def test_an_unreachable_engine_shows_the_error_class_and_the_raw_error(client_of: ClientOf, viewer: User) -> None:
    engine = make_engine("alpha")
    probe(engine, HealthInput("reachable", 0.0, "flag", 0.0), error="<b>connect failed</b>", error_kind="refused")
    page = client_of(viewer).get(reverse("console:engine", args=["alpha"])).content.decode()
    assert "refused the connection" in page
    assert "&lt;b&gt;connect failed&lt;/b&gt;" in page


def test_a_state_that_is_old_is_called_the_last_known(client_of: ClientOf, viewer: User) -> None:
    engine = make_engine("alpha")
    probe(engine, HealthInput("reachable", 1.0, "flag", 0.0))
    engine.replicas.update(probed_at=timezone.now() - timedelta(minutes=3))
    page = client_of(viewer).get(reverse("console:engine", args=["alpha"])).content.decode()
    assert "No probe for 3 min" in page


def test_draining_shows_that_nobody_else_would_answer(client_of: ClientOf, operator: User) -> None:
    probe(make_engine("alpha"), HealthInput("reachable", 1.0, "flag", 0.0), HealthInput("generation", 1.0, "flag", 0.0))
    make_route(alpha=100)
    page = client_of(operator).get(address("drain")).content.decode()
    assert "would get 503" in page
    assert "100 % → 0 %" in page


def test_draining_needs_a_reason(client_of: ClientOf, operator: User) -> None:
    make_engine("alpha")
    client = client_of(operator)
    assert client.post(address("drain"), {"reason": "no"}).status_code == 422
    assert state("alpha") == "active"
    client.post(address("drain"), {"reason": WHY})
    assert state("alpha") == "draining"
    client.post(address("undrain"))
    assert state("alpha") == "active"


def test_disabling_an_engine_with_traffic_is_blocked_and_offers_drain(client_of: ClientOf, operator: User) -> None:
    make_engine("alpha")
    make_route(alpha=100)
    client = client_of(operator)
    page = client.get(address("disable")).content.decode()
    assert "cannot be disabled" in page
    assert address("drain") in page
    assert client.post(address("disable"), {"reason": WHY}).status_code == 422
    assert state("alpha") == "active"


def test_an_engine_without_traffic_is_disabled_and_enabled_again(client_of: ClientOf, operator: User) -> None:
    make_engine("alpha")
    client = client_of(operator)
    client.post(address("disable"), {"reason": WHY})
    assert state("alpha") == "disabled"
    client.post(address("enable"))
    assert state("alpha") == "active"
    late = client.post(address("enable"), follow=True)
    assert "alpha is active. Nothing was changed." in late.content.decode()


def test_deleting_is_blocked_while_a_route_names_the_engine(client_of: ClientOf, operator: User) -> None:
    make_engine("alpha")
    make_engine("beta")
    make_route(alpha=100, beta=0)
    client = client_of(operator)
    page = client.get(address("delete", "beta")).content.decode()
    assert reverse("console:traffic-route", args=["demo"]) in page
    assert client.post(address("delete", "beta"), {"typed": "beta", "reason": WHY}).status_code == 422
    actions.change_split("demo", split(alpha=100), expected=1, actor=ANNA, reason=WHY)
    assert client.post(address("delete", "beta"), {"typed": "bet", "reason": WHY}).status_code == 422
    assert client.post(address("delete", "beta"), {"typed": "beta", "reason": WHY}).status_code == 302
    assert not Engine.objects.filter(name="beta").exists()


@pytest.mark.parametrize("act", ["drain", "undrain", "enable", "disable", "delete", "edit"])
def test_a_viewer_changes_no_engine(client_of: ClientOf, viewer: User, act: str) -> None:
    make_engine("alpha")
    assert client_of(viewer).post(address(act), {"reason": WHY, "typed": "alpha"}).status_code == 403
    assert state("alpha") == "active"


def test_an_engine_that_is_not_there_is_a_404(client_of: ClientOf, viewer: User) -> None:
    assert client_of(viewer).get(reverse("console:engine", args=["nobody"])).status_code == 404


def test_the_page_shows_how_much_the_prefix_cache_gives(client_of: ClientOf, viewer: User) -> None:
    engine = make_engine("alpha")
    probe(engine)
    page = client_of(viewer).get(reverse("console:engine", args=["alpha"])).content.decode()
    assert "not told by the engine" in page
    now = timezone.now().timestamp()
    probe(engine, lookups=[[now - 200, 100, 1000], [now - 5, 1000, 2000]])
    page = client_of(viewer).get(reverse("console:engine", args=["alpha"])).content.decode()
    assert "90 % in the last 5 min, n = 1\u2009000 looked up · 50 % since the start" in page
    assert '<td class="num">90 %</td>' in page
    probe(engine, lookups=[[now - 500, 1000, 2000], [now - 5, 1000, 2000]])
    page = client_of(viewer).get(reverse("console:engine", args=["alpha"])).content.decode()
    assert "nothing looked up in the last 5 min · 50 % since the start" in page
