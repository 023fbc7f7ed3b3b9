"""Requested, acknowledged, observed."""

from datetime import timedelta

import pytest
from django.utils import timezone

from console.pages.traffic_acts import without_share
from console.pages.traffic_effect import headline
from console.pages.traffic_truth import Acknowledged, Convergence, acknowledged, band, convergence, truth
from routing import actions
from routing.models import Bucket, GatewayReport, TableRevision
from routing.publish import table_in_force
from routing.table import Member, Role
from tests.routing.rows import ANNA, WHY, make_engine, make_route, split


@pytest.mark.parametrize(
    ("requested", "assigned", "answered", "total", "expected"),
    [
        (10, 0, 0, 0, Convergence.NONE),
        (10, 3, 3, 29, Convergence.WAITING),
        (10, 60, 60, 600, Convergence.CONVERGED),
        (10, 300, 300, 600, Convergence.DRIFTING),
        (10, 60, 0, 600, Convergence.DIVERTED),
        (0, 0, 0, 600, Convergence.CONVERGED),
        (100, 600, 600, 600, Convergence.CONVERGED),
    ],
)
def test_a_share_is_judged_by_its_sample(
    requested: int, assigned: int, answered: int, total: int, expected: Convergence
) -> None:
    assert convergence(requested, assigned, answered, total) is expected


def test_the_band_narrows_with_the_sample_down_to_two_points() -> None:
    assert band(10, 100) == pytest.approx(9.0)
    assert band(10, 1_000_000) == 2.0


def test_only_gateways_at_the_version_or_later_have_acknowledged() -> None:
    assert acknowledged(7, [6, 7, 9]) == Acknowledged(2, 3)


def test_no_gateway_is_never_complete() -> None:
    assert not acknowledged(7, []).complete


def test_the_button_names_the_canary_first() -> None:
    before = [Member("a", Role.SPLIT, 90), Member("b", Role.SPLIT, 10, True)]
    after = [Member("a", Role.SPLIT, 95), Member("b", Role.SPLIT, 5, True)]
    assert headline(after, before) == "b 10 % → 5 %"


def test_a_share_goes_to_the_baseline_not_to_a_canary() -> None:
    members = [
        Member("a", Role.SPLIT, 10),
        Member("b", Role.SPLIT, 60, True),
        Member("c", Role.SPLIT, 30),
    ]
    lowered = without_share(members, "c")
    assert lowered is not None
    assert [member.weight for member in lowered] == [40, 60, 0]


def test_no_click_lowers_the_baseline_onto_its_canary() -> None:
    assert without_share([Member("a", Role.SPLIT, 90), Member("b", Role.SPLIT, 10, True)], "a") is None


def test_nobody_takes_the_share_of_the_only_engine() -> None:
    assert without_share([Member("a", Role.SPLIT, 100), Member("b", Role.SPLIT, 0)], "a") is None


@pytest.mark.django_db
def test_a_gateway_acknowledges_a_revision_by_a_later_table_too() -> None:
    make_engine("alpha")
    make_engine("beta")
    route = make_route(alpha=90, beta=10)
    old = table_in_force().version
    actions.change_split("demo", split(alpha=50, beta=50), expected=1, actor=ANNA, reason=WHY)
    carrying = table_in_force().version
    make_engine("gamma")
    now = timezone.now()
    for gateway, version in (("one", old), ("two", carrying), ("three", table_in_force().version)):
        GatewayReport.objects.create(gateway_id=gateway, at=now, table_version=version)
    GatewayReport.objects.create(gateway_id="gone", at=now - timedelta(seconds=30), table_version=carrying)
    route.refresh_from_db()
    assert truth(route, now=now).acknowledged == Acknowledged(2, 3)


@pytest.mark.django_db
def test_a_revision_older_than_the_kept_tables_still_counts_as_carried() -> None:
    make_engine("alpha")
    route = make_route(alpha=100)
    make_engine("beta")
    newest = table_in_force().version
    TableRevision.objects.exclude(version=newest).delete()
    GatewayReport.objects.create(gateway_id="one", at=timezone.now(), table_version=newest)
    assert truth(route, now=timezone.now()).acknowledged.complete


@pytest.mark.django_db
def test_observed_shares_count_clients_since_the_revision_only() -> None:
    make_engine("alpha")
    make_engine("beta")
    route = make_route(alpha=90, beta=10)
    now = timezone.now() + timedelta(minutes=5)
    cells = [
        ("alpha", "client", 30, 90),
        ("beta", "client", 30, 10),
        ("beta", "gate", 30, 500),
        ("beta", "client", 400, 70),
    ]
    for engine, source, age, total in cells:
        Bucket.objects.create(
            start=now - timedelta(seconds=age),
            route="demo",
            engine=engine,
            arm=engine,
            source=source,
            total=total,
            ok=total,
        )
    seen = truth(route, now=now)
    assert [(row.engine.name, row.observed, row.n) for row in seen.rows] == [("alpha", 0.9, 90), ("beta", 0.1, 10)]
    assert seen.observed


@pytest.mark.django_db
def test_requests_beside_the_split_do_not_blur_what_it_was_asked_for() -> None:
    make_engine("alpha")
    make_engine("beta")
    route = make_route(alpha=100, beta=0)
    now = timezone.now() + timedelta(minutes=5)
    for engine, arm, total in (("alpha", "alpha", 90), ("beta", "", 60), ("", "", 7)):
        Bucket.objects.create(
            start=now - timedelta(seconds=30), route="demo", engine=engine, arm=arm, source="client", total=total
        )
    seen = truth(route, now=now)
    assert (seen.total, seen.beside, seen.observed) == (90, 60, True)
    assert [(row.observed, row.figures.total) for row in seen.rows] == [(1.0, 90), (0.0, 60)]
