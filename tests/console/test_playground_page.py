"""The playground page and its fragment that says why an engine was chosen."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from console.models import User
from console.playground_why import explain, find
from engines.models import Engine
from routing.models import OutcomeRecord, Route, RouteRevision

ClientOf = Callable[[User], Client]

DECISION = {
    "why": "Bucket 713 falls into the 10 % of hf-b.",
    "input_tokens": 1204,
    "tokens_estimated": True,
    "candidates": [
        {"engine": "hf-a", "role": "split", "weight": 90, "score": 0.93, "reasons": [], "detail": ""},
        {"engine": "hf-b", "role": "split", "weight": 10, "score": 0.98, "reasons": [], "detail": ""},
        {"engine": "vllm-a", "role": "standby", "weight": 0, "score": None, "reasons": ["never_probed"], "detail": ""},
    ],
}
BODY = {"engine": "hf-b", "rule": "split", "arm": "hf-b", "canary": True,
        "sticky_bucket": 713, "sticky_unit": "session",
        "table_version": 4, "health_sequence": 81, "attempts": [], "decision": DECISION}  # fmt: skip


def outcome(request_id: str = "req_1", *, source: str = "playground", age: float = 0, **body: Any) -> OutcomeRecord:
    at = timezone.now() - timedelta(seconds=age)
    return OutcomeRecord.objects.create(
        request_id=request_id, assigned_at=at, route="demo", engine="hf-b", source=source, result="ok",
        body={**BODY, **body},
    )  # fmt: skip


@pytest.fixture
def route(db: None) -> Route:
    engine = Engine.objects.create(name="hf-a", kind="custom", served_model="m", slot=1, state="active")
    engine.replicas.create(url="http://127.0.0.1:9", score=0.93, in_rotation=True)
    Engine.objects.create(name="hf-b", kind="custom", served_model="m", slot=2, state="draining")
    route = Route.objects.create(name="demo", salt="s")
    members = [{"engine": "hf-a", "role": "split", "weight": 100, "canary": False}]
    RouteRevision.objects.create(route=route, number=1, members=members, actor_kind="user", actor_id="1",
                                 actor_name="a", at=timezone.now())  # fmt: skip
    return route


def test_the_engine_select_says_the_state_and_which_routes_know_it(
    client_of: ClientOf, viewer: User, route: Route
) -> None:
    page = client_of(viewer).get("/playground/").content.decode()
    assert '<option value="hf-a" data-routes="demo">hf-a · healthy 0.93</option>' in page
    assert '<option value="hf-b" data-routes="">hf-b · draining</option>' in page
    assert "Prompts are not stored" in page
    assert " style=" not in page


def test_a_link_may_choose_the_engine_of_the_first_pane(client_of: ClientOf, viewer: User, route: Route) -> None:
    page = client_of(viewer).get("/playground/?engine=hf-a").content.decode()
    assert page.count('data-routes="demo" selected>') == 1
    assert "<option selected>demo</option>" in page
    page = client_of(viewer).get("/playground/?engine=hf-b").content.decode()
    assert "No route names <b>hf-b</b>" in page
    assert "No route names" not in client_of(viewer).get("/playground/?engine=nobody").content.decode()


def test_without_a_route_the_page_says_what_is_missing(client_of: ClientOf, viewer: User) -> None:
    page = client_of(viewer).get("/playground/").content.decode()
    assert "No route yet" in page
    assert "<textarea" not in page


def test_a_stranger_sees_neither_page_nor_reason(client: Client, db: None) -> None:
    outcome()
    for address in ("/playground/", "/playground/why/req_1/"):
        assert client.get(address).status_code == 302


def test_the_reason_names_rule_facts_and_candidates(client_of: ClientOf, viewer: User) -> None:
    outcome()
    page = client_of(viewer).get("/playground/why/req_1/").content.decode()
    assert 'Why hf-b: <span class="strong">split, canary</span>' in page
    assert "Bucket 713 falls into the 10 % of hf-b." in page
    assert "about 1\u202f204 input tokens · bucket 713 of 10\u202f000 by session · routing table 4" in page
    assert "hx-trigger" not in page


def test_a_decision_not_written_yet_is_asked_for_again_but_not_for_ever(client_of: ClientOf, viewer: User) -> None:
    client = client_of(viewer)
    assert "/playground/why/req_1/?tries=1" in client.get("/playground/why/req_1/").content.decode()
    assert "?tries=3" in client.get("/playground/why/req_1/?tries=2").content.decode()
    last = client.get("/playground/why/req_1/?tries=8").content.decode()
    assert "not recorded" in last
    assert "load delay" not in last
    assert "?tries=1" in client.get("/playground/why/req_1/?tries=x").content.decode()


def test_only_fresh_requests_of_the_playground_are_shown(db: None) -> None:
    outcome("req_1", source="client")
    outcome("req_2", age=3700)
    assert (find("req_1"), find("req_2")) == (None, None)


def test_a_request_is_found_by_the_id_that_we_gave_it(db: None) -> None:
    record = outcome("req_3", decision={"client_request_id": "pg-12"})
    assert find("pg-12") == record
    assert find("pg-13") is None


def test_the_engine_that_answered_comes_first_and_reasons_are_words() -> None:
    rows = explain(BODY, {"hf-a": 1, "hf-b": 2}).rows
    assert [(row.engine, row.slot, row.outcome) for row in rows] == [
        ("hf-b", 2, "answered · split 10 % · health 0.98"),
        ("hf-a", 1, "split 90 % · health 0.93"),
        ("vllm-a", None, "standby · not probed yet"),
    ]


def test_a_refusal_is_explained_with_what_was_recorded() -> None:
    why = explain({"decision": {"refused": "no_healthy_engine", "why": "No engine may answer."}}, {})
    assert (why.engine, why.rule, why.sentence) == ("no engine", "no healthy engine", "No engine may answer.")


def test_the_replica_is_explained_where_there_was_a_choice() -> None:
    chosen = {
        "policy": "prefix_affinity",
        "policy_why": "Replica 7 was sent the first 1,024 bytes of this prompt before.",
    }
    why = explain({**BODY, "decision": {**DECISION, **chosen}}, {})
    assert why.sentence == f"{DECISION['why']} {chosen['policy_why']}"
    assert "· replica by prefix affinity ·" in why.facts
    only = explain({**BODY, "decision": {**DECISION, "policy": "only_replica", "policy_why": ""}}, {})
    assert (only.sentence, "replica by" in only.facts) == (DECISION["why"], False)


def test_a_retry_names_both_attempts() -> None:
    attempts = [{"engine": "hf-a", "result": "refused"}, {"engine": "hf-b", "result": "ok"}]
    assert "tried hf-a (refused), then hf-b (ok)" in explain({**BODY, "attempts": attempts}, {}).facts
