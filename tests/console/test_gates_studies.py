"""Studies on pages: the list, one of each kind, who may start and cancel, and what production asks for."""

from collections.abc import Callable

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.charts import study as drawing
from console.models import AuditEvent, User
from gates import actions, studies
from gates.capacity import Found, Probe, Search, State, Stop, found, to_json
from gates.desk import as_json
from gates.ladder import ladder
from gates.models import GateStudy
from gates.pairs import compare
from tests.console import makers
from tests.gates.test_pairs import pairs

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
ASKED = {"target": "one", "policy": "quick", "start": 1, "cap": 64, "probe_seconds": 20, "confirm_seconds": 0}


@pytest.fixture(autouse=True)
def engines() -> None:
    actions.ensure_built_in()
    makers.engine("one")
    makers.engine("two")


def create(kind: str = "capacity", **fields: str) -> GateStudy:
    return studies.create(kind, "one", actor=makers.TESTER, options={"seed": 1}, hand_to_worker=False, **fields)


def done(study: GateStudy, **body: object) -> GateStudy:
    GateStudy.objects.filter(pk=study.pk).update(
        state="done", reason="what was found", body={**study.body, **body}, finished_at=timezone.now()
    )
    return study


def searched() -> GateStudy:
    probes = [
        Probe(rate=rate, state=state, n=100, good=good, failures=0, low=0.9, high=1.0, effect=1.0, reason="because")
        for rate, state, good in ((4, State.PASS, 100), (8, State.FAIL, 40), (5.6, State.UNRESOLVED, 97))
    ]
    result: Found = found(Search(), probes, Stop.UNRESOLVED)
    return done(create(), probes=[to_json(probe) for probe in probes], result=as_json(result))


def page(client: Client, name: str, *args: object) -> str:
    answer = client.get(reverse(f"console:{name}", args=args))
    assert answer.status_code == 200
    return answer.content.decode()


def test_viewers_see_values_and_nothing_that_would_refuse(client_of: ClientOf, viewer: User) -> None:
    client, study = client_of(viewer), searched()
    assert "what was found" in page(client, "gate-studies")
    shown = page(client, "gate-study", study.pk)
    for words in ("4.00", "8.00", "because", "2.00 ×", "0.80 ×", "unresolved"):
        assert words in shown
    assert "Start it again" not in shown
    assert client.get(reverse("console:gate-study-start", args=["capacity"])).status_code == 403
    assert client.post(reverse("console:gate-study-cancel", args=[study.pk])).status_code == 403


def test_probes_are_drawn_with_their_intervals(client_of: ClientOf, viewer: User) -> None:
    shown = page(client_of(viewer), "gate-study", searched().pk)
    assert shown.count('<circle class="probe"') == 3
    assert "4.00 per second: pass" in shown
    assert drawing.probes([], 0.95) == {}


def test_a_comparison_shows_ratios_the_noise_floor_and_the_ladder(client_of: ClientOf, viewer: User) -> None:
    found_pairs, own = pairs(40, slower=1.5), pairs(40, seed=2)
    result = {
        "word": "worse",
        "metrics": [as_json(compare(name, found_pairs, own)) for name in ("ttft", "e2e")],
        "ladder": [as_json(level) for level in ladder(found_pairs, own, seed=1)],
    }
    shown = page(client_of(viewer), "gate-study", done(create("ab", baseline="two"), result=result).pk)
    for words in ("one against two", "time to first token", "slower", "L2 exact text", "Not measured: no logprobs."):
        assert words in shown


def test_a_study_of_few_pairs_has_an_open_interval(client_of: ClientOf, viewer: User) -> None:
    result = {"metrics": [as_json(compare("e2e", pairs(3), pairs(3)))], "ladder": []}
    assert "∞" in page(client_of(viewer), "gate-study", done(create("ab", baseline="two"), result=result).pk)


def test_an_operator_starts_a_search_and_it_is_in_the_audit(client_of: ClientOf, operator: User) -> None:
    answer = client_of(operator).post(reverse("console:gate-study-start", args=["capacity"]), ASKED)
    study = GateStudy.objects.get()
    assert answer.headers["Location"] == reverse("console:gate-study", args=[study.pk])
    assert (study.state, study.target, study.body["options"]["cap"]) == ("queued", "one", 64)
    assert AuditEvent.objects.filter(action="study.create", subject=f"study:{study.pk}").exists()


def test_an_engine_with_clients_is_loaded_only_when_that_is_meant(client_of: ClientOf, operator: User) -> None:
    makers.route("demo", {"one": 100})
    client, address = client_of(operator), reverse("console:gate-study-start", args=["capacity"])
    refused = client.post(address, ASKED)
    assert refused.status_code == 422
    assert "answers clients" in refused.content.decode()
    assert client.post(address, {**ASKED, "production": "on"}).status_code == 302


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("capacity", {"cap": 0.5}, "The first rate is above 0"),
        ("ab", {"baseline": "one", "prompts": 40}, "Choose another engine"),
        ("ab", {"baseline": "two", "prompts": 2}, "greater than or equal to 6"),
    ],
)
def test_what_cannot_be_studied_is_named(
    client_of: ClientOf, operator: User, kind: str, given: dict[str, object], words: str
) -> None:
    answer = client_of(operator).post(reverse("console:gate-study-start", args=[kind]), {**ASKED, **given})
    assert answer.status_code == 422
    assert words in answer.content.decode()
    assert not GateStudy.objects.exists()


def test_an_unknown_kind_or_study_is_not_found(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    assert client.get(reverse("console:gate-study-start", args=["other"])).status_code == 404
    assert client.get(reverse("console:gate-study", args=[99])).status_code == 404


def test_a_queued_study_is_cancelled_at_once_and_polls_until_then(client_of: ClientOf, operator: User) -> None:
    client, study = client_of(operator), create()
    assert "console:tick-5" in page(client, "gate-study-detail", study.pk)
    client.post(reverse("console:gate-study-cancel", args=[study.pk]))
    assert GateStudy.objects.get().state == "cancelled"
    assert "console:tick-5" not in page(client, "gate-study-detail", study.pk)
    client.post(reverse("console:gate-study-cancel", args=[study.pk]))
    assert "Cancelled by operator-1" in GateStudy.objects.get().reason


def test_an_empty_list_says_what_to_do(client_of: ClientOf, operator: User) -> None:
    assert "No study yet" in page(client_of(operator), "gate-studies")
    assert reverse("console:gate-studies") in page(client_of(operator), "gates")
