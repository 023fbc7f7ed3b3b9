"""The editor of a policy: versions, conflicts, the drawing while typing, and what cannot be proved."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.forms.gates import PolicyForm, values
from console.models import User
from gates import actions
from gates.models import GatePolicy
from gates.policy import QUICK, STANDARD, Policy, from_json
from tests.console.makers import TESTER

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
WHY = "a shorter soak for the night"


@pytest.fixture(autouse=True)
def built_in() -> None:
    actions.ensure_built_in()


def sent(policy: Policy, **changed: Any) -> dict[str, Any]:
    """The form as a browser would send it: a box that is not ticked is not there."""
    filled = {**values(policy), "expected": 1, "reason": WHY, **changed}
    return {name: value for name, value in filled.items() if value is not False and value is not None}


def address(name: str = "quick") -> str:
    return reverse("console:gate-policy", args=[name])


@pytest.mark.parametrize("policy", [STANDARD, QUICK], ids=lambda policy: policy.name)
def test_a_policy_goes_through_the_form_unchanged(policy: Policy) -> None:
    form = PolicyForm(sent(policy), policy=policy, expected=1)
    assert form.is_valid(), form.errors
    assert form.policy == policy


def test_saving_makes_the_next_version_and_keeps_the_old(client_of: ClientOf, operator: User) -> None:
    client_of(operator).post(address(), sent(QUICK, ttft_p95=5, soak_seconds=120))
    numbers = GatePolicy.objects.filter(name="quick").order_by("number")
    assert [row.number for row in numbers] == [1, 2]
    newest = from_json(numbers[1].body)
    assert (newest.objectives.ttft_p95, newest.soak.seconds) == (5, 120)
    page = client_of(operator).get(address()).content.decode()
    assert "objectives.ttft_p95" in page
    assert WHY in page


def test_a_form_that_changes_nothing_makes_no_version(client_of: ClientOf, operator: User) -> None:
    answer = client_of(operator).post(address(), sent(QUICK), follow=True)
    assert "Nothing changed" in answer.content.decode()
    assert GatePolicy.objects.filter(name="quick").count() == 1


def test_two_editors_do_not_overwrite_each_other(client_of: ClientOf, operator: User) -> None:
    theirs = Policy(**{**{name: getattr(QUICK, name) for name in QUICK.__slots__}, "in_flight_cap": 99})
    actions.create_policy("quick", theirs, actor=TESTER, reason="their reason", expected=1)
    answer = client_of(operator).post(address(), sent(QUICK, ttft_p95=5))
    page = answer.content.decode()
    assert answer.status_code == 409
    for words in ("nothing was saved", "tester-1", "in_flight_cap 256 → 99", "objectives.ttft_p95 7.0 → 5.0"):
        assert words in page
    assert answer.context["form"]["expected"].value() == "2"
    assert GatePolicy.objects.filter(name="quick").count() == 2


def test_a_phase_that_is_ticked_needs_its_fields(client_of: ClientOf, operator: User) -> None:
    answer = client_of(operator).post(address(), sent(QUICK, soak_rate="", step_levels="8, 4"))
    assert answer.status_code == 422
    assert "SOAK needs this." in answer.content.decode()


def test_a_policy_without_phases_is_refused_in_words(client_of: ClientOf, operator: User) -> None:
    answer = client_of(operator).post(address(), sent(QUICK, step_on=False, spike_on=False, soak_on=False))
    assert "A policy needs at least one phase." in answer.content.decode()


def test_the_shape_is_drawn_from_what_is_typed(client_of: ClientOf, operator: User) -> None:
    answer = client_of(operator).post(reverse("console:gate-policy-shape"), sent(QUICK, spike_rate=9, soak_on=False))
    page = answer.content.decode()
    assert "9/s" in page
    assert "SOAK" not in page


def test_while_a_field_is_wrong_the_drawing_names_it(client_of: ClientOf, operator: User) -> None:
    answer = client_of(operator).post(reverse("console:gate-policy-shape"), sent(QUICK, spike_rate="many"))
    assert answer.status_code == 200
    assert "Not drawn" in answer.content.decode()


def test_the_editor_says_what_spike_can_never_prove(client_of: ClientOf, viewer: User) -> None:
    page = client_of(viewer).get(address("standard")).content.decode()
    assert "SPIKE alone can never prove an error rate under 0.5 %" in page


def test_a_viewer_reads_the_fields_and_cannot_save(client_of: ClientOf, viewer: User) -> None:
    client = client_of(viewer)
    page = client.get(address()).content.decode()
    assert "1 → 2 → 4 → 8 in flight" in page
    assert "Save as version" not in page
    assert client.post(address(), sent(QUICK, ttft_p95=5)).status_code == 403


def test_a_new_policy_starts_from_another_and_needs_a_name_of_its_own(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    new = reverse("console:gate-policy-new")
    data = sent(QUICK, expected=0)
    assert client.post(new, {**data, "name": "quick"}).status_code == 422
    assert client.post(new, {**data, "name": "new"}).status_code == 422
    assert client.post(new, {**data, "name": "nightly"}).status_code == 302
    assert from_json(actions.newest("nightly").body).name == "nightly"


def test_an_old_version_can_be_looked_at(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    client.post(address(), sent(QUICK, ttft_p95=5))
    page = client.get(address(), {"version": 1}).content.decode()
    assert "This is version 1." in page
    assert client.get(reverse("console:gate-policy", args=["nobody"])).status_code == 404
