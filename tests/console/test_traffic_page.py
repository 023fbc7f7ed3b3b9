"""The split editor, its conflict card, history and the way back."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.models import AuditEvent, User
from engines.models import Engine
from routing import actions
from routing.models import Route, RouteRevision
from tests.routing.rows import BERT, WHY, make_engine, make_route, split

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


@pytest.fixture
def route() -> Route:
    make_engine("alpha")
    make_engine("beta")
    return make_route(alpha=90, beta=10)


def form(
    alpha: object = 75, beta: object = 25, *, expected: int = 1, reason: str = WHY, **more: str
) -> dict[str, object]:
    return {
        "role:alpha": "split",
        "weight:alpha": alpha,
        "role:beta": "split",
        "weight:beta": beta,
        "expected": expected,
        "reason": reason,
        **more,
    }


def weights(route: Route) -> dict[str, int]:
    route.refresh_from_db()
    return {row["engine"]: row["weight"] for row in route.current().members}


def address(name: str) -> str:
    return reverse(f"console:traffic-{name}", args=["demo"])


def test_an_operator_moves_the_split(client_of: ClientOf, operator: User, route: Route) -> None:
    answer = client_of(operator).post(address("split"), form())
    assert answer.status_code == 302
    assert weights(route) == {"alpha": 75, "beta": 25}
    assert AuditEvent.objects.order_by("-sequence").first().actor_name == "operator-1"


def test_a_stale_split_gets_a_409_with_theirs_yours_and_base(client_of: ClientOf, operator: User, route: Route) -> None:
    actions.change_split("demo", split(alpha=95, beta=5), expected=1, actor=BERT, reason="quieter for the demo")
    answer = client_of(operator).post(address("split"), form(reason="more samples before the evening"))
    page = answer.content.decode()
    assert answer.status_code == 409
    assert "bert changed this split" in page
    assert "quieter for the demo" in page
    for words in ("Base, revision 1", "Theirs, revision 2", "Yours", "beta 5 % → 25 %"):
        assert words in page
    assert weights(route) == {"alpha": 95, "beta": 5}


def test_after_a_conflict_the_form_stands_on_the_new_base(client_of: ClientOf, operator: User, route: Route) -> None:
    actions.change_split("demo", split(alpha=95, beta=5), expected=1, actor=BERT, reason=WHY)
    client = client_of(operator)
    answer = client.post(address("split"), form(reason="more samples before the evening"))
    kept = answer.context["form"]
    assert kept["reason"].value() == "more samples before the evening"
    assert (kept["expected"].value(), kept["weight:beta"].value()) == (2, 25)
    client.post(address("split"), form(expected=2))
    assert weights(route) == {"alpha": 75, "beta": 25}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (form(**{"canary:alpha": "on", "canary:beta": "on"}), "must be no canary"),
        (form(alpha=60), "add up to 85 %"),
        (form(alpha="x"), "whole number from 0 to 100"),
        (form(alpha=-1, beta=101), "whole number from 0 to 100"),
        (form(reason="short"), "at least 10 characters"),
        (form(alpha=90, beta=10), "Nothing changes"),
        (form(alpha="1e2", beta=0), "whole number"),
        (form(expected=10**30), "split-form"),
    ],
)
def test_bad_input_is_answered_beside_the_field(
    client_of: ClientOf, operator: User, route: Route, fields: dict[str, object], words: str
) -> None:
    answer = client_of(operator).post(address("split"), fields)
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert weights(route) == {"alpha": 90, "beta": 10}


def test_a_form_without_its_fields_changes_nothing(client_of: ClientOf, operator: User, route: Route) -> None:
    assert client_of(operator).post(address("split"), {}).status_code == 422
    assert weights(route) == {"alpha": 90, "beta": 10}


def test_a_disabled_engine_is_blocked_in_the_preview_and_on_apply(
    client_of: ClientOf, operator: User, route: Route
) -> None:
    Engine.objects.filter(name="beta").update(state=Engine.State.DISABLED)
    client = client_of(operator)
    preview = client.post(address("preview"), form(), headers={"HX-Request": "true"}).content.decode()
    assert "Block" in preview
    assert "beta is disabled" in preview
    assert client.post(address("split"), form()).status_code == 422
    assert weights(route) == {"alpha": 90, "beta": 10}


def test_the_preview_names_the_number_on_the_button(client_of: ClientOf, operator: User, route: Route) -> None:
    answer = client_of(operator).post(address("preview"), form(), headers={"HX-Request": "true"})
    assert "Apply beta 10 % → 25 %" in answer.content.decode()


def test_the_preview_says_that_an_engine_was_never_probed(client_of: ClientOf, operator: User, route: Route) -> None:
    answer = client_of(operator).post(address("preview"), form(), headers={"HX-Request": "true"})
    assert "beta was never probed" in answer.content.decode()


def test_one_click_goes_back_to_the_split_before(client_of: ClientOf, operator: User, route: Route) -> None:
    actions.change_split("demo", split(alpha=50, beta=50), expected=1, actor=BERT, reason=WHY)
    client = client_of(operator)
    page = client.get(reverse("console:traffic-route", args=["demo"])).content.decode()
    assert "Roll back to revision 1: alpha 90 %, beta 10 %" in page
    answer = client.post(address("restore"), {"number": 1, "expected": 2}, follow=True)
    assert weights(route) == {"alpha": 90, "beta": 10}
    assert "Back to revision 1 as 3: alpha 90 %, beta 10 %" in answer.content.decode()


def test_rollback_works_while_redis_is_down(client_of: ClientOf, operator: User, route: Route, settings) -> None:  # type: ignore[no-untyped-def]
    dead = "redis://127.0.0.1:1/0"
    settings.REDIS_URL = dead
    settings.CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": dead}}
    settings.CHANNEL_LAYERS = {
        "default": {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": {"hosts": [dead]}}
    }
    actions.change_split("demo", split(alpha=50, beta=50), expected=1, actor=BERT, reason=WHY)
    client = client_of(operator)
    assert client.get(reverse("console:traffic-route", args=["demo"])).status_code == 200
    assert client.post(address("restore"), {"number": 1, "expected": 2}).status_code == 302
    assert weights(route) == {"alpha": 90, "beta": 10}


def test_a_stale_restore_gets_the_conflict_card(client_of: ClientOf, operator: User, route: Route) -> None:
    actions.change_split("demo", split(alpha=50, beta=50), expected=1, actor=BERT, reason=WHY)
    actions.change_split("demo", split(alpha=40, beta=60), expected=2, actor=BERT, reason=WHY)
    answer = client_of(operator).post(address("restore"), {"number": 1, "expected": 2})
    assert answer.status_code == 409
    assert "bert changed this split" in answer.content.decode()
    assert weights(route) == {"alpha": 40, "beta": 60}


@pytest.mark.parametrize("number", ["9", "", "x", "99999999999999999999"])
def test_restoring_what_never_was_is_a_404(client_of: ClientOf, operator: User, route: Route, number: str) -> None:
    assert client_of(operator).post(address("restore"), {"number": number, "expected": 1}).status_code == 404


def test_one_click_sends_an_engine_to_zero(client_of: ClientOf, operator: User, route: Route) -> None:
    client_of(operator).post(address("lower"), {"engine": "beta", "expected": 1})
    assert weights(route) == {"alpha": 100, "beta": 0}


@pytest.mark.parametrize("engine", ["nobody", "", "\x00", "x" * 5000])
def test_an_engine_that_is_not_there_is_not_lowered(
    client_of: ClientOf, operator: User, route: Route, engine: str
) -> None:
    assert client_of(operator).post(address("lower"), {"engine": engine, "expected": 1}).status_code == 404


@pytest.mark.parametrize("path", ["/traffic/%00/", "/traffic/UPPER/", "/engines/a%20b/", "/traffic/nobody/"])
def test_what_is_no_name_is_a_404(client_of: ClientOf, operator: User, path: str) -> None:
    assert client_of(operator).get(path).status_code == 404


def test_a_viewer_reads_the_split_and_has_no_buttons(client_of: ClientOf, viewer: User, route: Route) -> None:
    page = client_of(viewer).get(reverse("console:traffic-route", args=["demo"])).content.decode()
    assert "90 %" in page
    for words in ("Apply", "Roll back", "Restore", "Send 0 %", "split-form"):
        assert words not in page


@pytest.mark.parametrize("name", ["split", "preview", "lower", "restore", "delete"])
def test_a_viewer_changes_nothing(client_of: ClientOf, viewer: User, route: Route, name: str) -> None:
    answer = client_of(viewer).post(address(name), form(number="1", engine="beta", typed="demo"))
    assert answer.status_code == 403
    assert weights(route) == {"alpha": 90, "beta": 10}


def test_the_truth_is_looked_at_each_second_until_it_is_acknowledged(
    client_of: ClientOf, viewer: User, route: Route
) -> None:
    client = client_of(viewer)
    assert "load delay:1s" in client.get(address("truth")).content.decode()
    RouteRevision.objects.update(at=timezone.now() - timedelta(seconds=20))
    assert "load delay:1s" not in client.get(address("truth")).content.decode()


def test_without_routes_the_page_offers_the_next_step(client_of: ClientOf, operator: User) -> None:
    page = client_of(operator).get(reverse("console:traffic")).content.decode()
    assert "No routes yet" in page
    assert reverse("console:engine-register") in page


def test_a_route_is_created_from_the_form(client_of: ClientOf, operator: User, route: Route) -> None:
    answer = client_of(operator).post(reverse("console:traffic-new"), form(name="second"))
    assert answer.status_code == 302
    assert weights(Route.objects.get(name="second")) == {"alpha": 75, "beta": 25}


@pytest.mark.parametrize("name", ["demo", "new", "Bad Name", "", "a/b"])
def test_a_route_name_that_cannot_be_is_refused(client_of: ClientOf, operator: User, route: Route, name: str) -> None:
    assert client_of(operator).post(reverse("console:traffic-new"), form(name=name)).status_code == 422
    assert Route.objects.count() == 1


def test_deleting_a_route_asks_for_its_name(client_of: ClientOf, operator: User, route: Route) -> None:
    client = client_of(operator)
    assert client.post(address("delete"), {"typed": "dem", "reason": WHY}).status_code == 422
    assert client.post(address("delete"), {"typed": "demo", "reason": WHY}).status_code == 302
    assert not Route.objects.exists()
