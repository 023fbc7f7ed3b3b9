"""The overview: state, changes with their way back, objectives, data of the charts."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from console.models import User
from console.pages import cards, objectives
from console.pages.states import Word
from routing.models import GatewayReport
from routing.outcomes import Source
from routing.publish import table_in_force
from tests.console import makers

ClientOf = Callable[[User], Client]


@pytest.fixture(autouse=True)
def _forgotten_counts() -> None:
    cache.clear()


def test_an_empty_console_says_what_to_do_first(client_of: ClientOf, operator: User, viewer: User) -> None:
    assert "Register engine" in client_of(operator).get("/").content.decode()
    page = client_of(viewer).get("/").content.decode()
    assert "Register engine</a>" not in page
    assert "An operator can register one." in page


def test_a_killed_engine_is_in_the_title_and_in_the_incident_line(client_of: ClientOf, viewer: User) -> None:
    engine = makers.engine()
    makers.route("demo", {"hf-demo": 100})
    now = timezone.now()
    makers.probe(engine, now - timedelta(seconds=9), score=1.0)
    makers.probe(engine, now, score=0.0, good=False)
    page = client_of(viewer).get("/").content.decode()
    assert "<title>1 unreachable · Overview" in page
    assert "hf-demo is unreachable" in page
    assert "holds 100 % of demo" in page


def test_an_engine_without_requests_shows_dashes_and_no_zero(client_of: ClientOf, viewer: User) -> None:
    makers.probe(makers.engine(), timezone.now(), score=1.0)
    page = client_of(viewer).get("/overview/state/").content.decode()
    assert "<dt>req/s</dt><dd>—</dd><dt>TTFT P95</dt><dd>—</dd><dt>errors</dt><dd>—</dd>" in page


def test_a_card_names_the_input_that_costs_most(db: None) -> None:
    rows = ({"name": "waiting", "points_lost": 0.01}, {"name": "kv_use", "points_lost": 0.13})
    makers.probe(makers.engine(), timezone.now(), score=0.86, rows=rows)
    (card,) = cards.cards(timezone.now())
    assert card.worst == ("KV cache used", 0.13)


def test_a_card_that_nobody_probed_lately_is_called_stale(db: None) -> None:
    makers.probe(makers.engine(), timezone.now() - timedelta(seconds=40), score=1.0)
    (card,) = cards.cards(timezone.now())
    assert card.state.word is Word.HEALTHY
    assert card.chip == ("idle", "Stale")


@pytest.mark.parametrize(("last_score", "age"), [(0.75, 15), (0.4, 5)])
def test_trouble_dates_from_the_first_probe_of_that_state(db: None, last_score: float, age: int) -> None:
    engine, now = makers.engine(), timezone.now()
    for seconds, score in ((20, 1.0), (15, 0.75), (10, 0.75), (5, last_score)):
        makers.probe(engine, now - timedelta(seconds=seconds), score=score)
    (card,) = cards.cards(now)
    assert card.since == now - timedelta(seconds=age)


def test_playground_traffic_counts_for_the_engine_but_not_for_objectives(db: None) -> None:
    makers.engine()
    makers.route("demo", {"hf-demo": 100})
    now = timezone.now()
    makers.requests(4, now - timedelta(seconds=20), source=Source.PLAYGROUND)
    assert cards.cards(now)[0].figures.total == 4
    assert {row.n for row in objectives.rows(now)} == {0}


def test_objectives_burn_and_mark_the_windows_they_missed(db: None) -> None:
    makers.engine()
    makers.route("demo", {"hf-demo": 100})
    now = timezone.now()
    makers.requests(40, now - timedelta(minutes=2), failed=20)
    ttft, _e2e, errors = objectives.rows(now)
    assert errors.now == 0.5
    assert errors.burns[0].word == "page"
    assert errors.marks.count("missed") == 1
    assert errors.judged_windows == 1
    assert ttft.target == "≤ 7 s"
    assert [row.objective for row in objectives.burning([errors])] == ["error rate"]


def test_one_failure_among_a_handful_is_too_few_to_burn(db: None) -> None:
    makers.engine()
    makers.route("demo", {"hf-demo": 100})
    now = timezone.now()
    makers.requests(12, now - timedelta(minutes=2), failed=1)
    errors = objectives.rows(now)[-1]
    assert errors.burns[0].times is None
    assert errors.burns[0].word == "too few, n = 12"


def test_the_newest_split_offers_its_way_back_to_operators_only(
    client_of: ClientOf, operator: User, viewer: User
) -> None:
    makers.engine("a")
    makers.engine("b")
    makers.route("demo", {"a": 100, "b": 0})
    makers.change("demo", {"a": 90, "b": 10}, expected=1)
    makers.change("demo", {"a": 70, "b": 30}, expected=2)
    page = client_of(operator).get("/overview/changes/").content.decode()
    assert "Roll back</button>" in page
    assert 'name="number" value="2"' in page
    assert 'name="expected" value="3"' in page
    assert "Restore 1</button>" in page
    assert "<button" not in client_of(viewer).get("/overview/changes/").content.decode()


def test_gateways_that_hold_the_table_are_counted(client_of: ClientOf, viewer: User) -> None:
    makers.engine()
    makers.route("demo", {"hf-demo": 100})
    version, now = table_in_force().version, timezone.now()
    GatewayReport.objects.create(gateway_id="gw-1", at=now, table_version=version)
    GatewayReport.objects.create(gateway_id="gw-2", at=now, table_version=version - 1)
    GatewayReport.objects.create(gateway_id="gw-3", at=now - timedelta(minutes=5), table_version=version)
    page = client_of(viewer).get("/overview/state/").content.decode()
    assert f"Table {version} acknowledged by 1 of 2 gateways." in page
    assert "Silent" in page


def test_the_charts_have_one_series_per_engine_with_requests(client_of: ClientOf, viewer: User) -> None:
    makers.engine("hf-demo")
    makers.engine("idle")
    makers.requests(5, timezone.now() - timedelta(minutes=3))
    body = client_of(viewer).get("/overview/charts.json").json()
    ttft = body["charts"]["ttft"]
    assert [one["name"] for one in ttft["series"]] == ["hf-demo"]
    assert len(ttft["x"]) == len(ttft["series"][0]["y"]) == 60
    assert [y for y in ttft["series"][0]["y"] if y is not None] == [pytest.approx(0.5, rel=0.02)]
    assert ttft["limit"] == 7.0
    assert {"at", "text", "href"} == set(ttft["marks"][0])


def test_the_summary_to_copy_is_plain_text_with_utc(client_of: ClientOf, viewer: User) -> None:
    makers.probe(makers.engine(), timezone.now(), score=1.0)
    page = client_of(viewer).get("/").content.decode()
    text = page.partition('<textarea id="summary"')[2].partition("</textarea>")[0]
    assert "LOCAL, " in text
    assert " UTC" in text
    assert "hf-demo: Healthy, health 1.00, share —, — req/s" in text
