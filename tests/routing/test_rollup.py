"""Outcomes are stored and counted exactly once."""

from datetime import UTC, datetime
from typing import Any

import pytest

from engines.models import Replica
from routing.models import Bucket, OutcomeRecord, Route
from routing.outcomes import Attempt, Outcome, Result, Source, to_json
from routing.rollup import bucket_start, save_outcomes

pytestmark = [pytest.mark.django_db, pytest.mark.storage]

AT = 1_764_000_003.5


def outcome(request_id: str, **fields: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "request_id": request_id,
        "decision_id": request_id,
        "assigned_at": AT,
        "route": "demo",
        "operation": "chat",
        "source": Source.CLIENT,
        "key_id": 1,
        "stream": True,
        "arm": "hf-demo",
        "canary": False,
        "rule": "split",
        "engine": "hf-demo",
        "sticky_bucket": 5,
        "sticky_unit": "session",
        "result": Result.OK,
        "first_attempt": Result.OK,
        "status": 200,
        "ttft": 0.1,
        "e2e": 0.5,
        "tpot": 0.01,
        "input_tokens": 7,
        "output_tokens": 40,
    }
    return to_json(Outcome(**{**values, **fields}))


def test_a_bucket_holds_ten_seconds() -> None:
    assert bucket_start(AT) == datetime.fromtimestamp(1_764_000_000, UTC)


def test_a_batch_sent_twice_counts_once() -> None:
    batch = [outcome("a"), outcome("b")]
    assert save_outcomes(batch) == 2
    assert save_outcomes(batch) == 0
    bucket = Bucket.objects.get()
    assert (bucket.total, bucket.ok, bucket.input_tokens, bucket.output_tokens) == (2, 2, 14, 80)
    assert OutcomeRecord.objects.count() == 2


def test_the_same_id_twice_in_one_batch_counts_once() -> None:
    assert save_outcomes([outcome("a"), outcome("a")]) == 1


def test_a_cancelled_request_is_kept_and_judges_nobody() -> None:
    save_outcomes([outcome("a", result=Result.CANCELLED, ttft=None, e2e=None)])
    bucket = Bucket.objects.get()
    assert (bucket.total, bucket.blameless, bucket.ok, bucket.failed) == (1, 1, 0, 0)


def test_a_failure_counts_against_both_limits() -> None:
    save_outcomes([outcome("a"), outcome("b", result=Result.TRUNCATED), outcome("c", ttft_late=True)])
    bucket = Bucket.objects.get()
    assert (bucket.ok, bucket.failed, bucket.ttft_good, bucket.e2e_good) == (2, 1, 1, 2)


def test_gate_traffic_is_counted_apart_from_client_traffic() -> None:
    save_outcomes([outcome("a"), outcome("b", source=Source.GATE)])
    assert sorted(Bucket.objects.values_list("source", "total")) == [("client", 1), ("gate", 1)]


def test_a_refused_connection_makes_the_replica_suspect(demo_route: Route) -> None:
    replica = Replica.objects.get(engine__name="hf-demo")
    attempt = Attempt(engine="hf-demo", replica=replica.pk, result=Result.REFUSED, started=0.0)
    save_outcomes([outcome("a", attempts=(attempt,))])
    assert list(Replica.objects.suspect_since_probe()) == [replica]


def test_a_provisional_record_is_replaced_by_the_final_one_and_counted_once() -> None:
    early = outcome("a", result=Result.UNDECIDED, e2e=None, e2e_late=True)
    assert save_outcomes([early]) == 1
    assert not Bucket.objects.exists()
    assert save_outcomes([outcome("a", e2e_late=True)]) == 0
    assert OutcomeRecord.objects.get().result == "ok"
    save_outcomes([early, outcome("a")])
    assert OutcomeRecord.objects.get().result == "ok"
    assert Bucket.objects.get().total == 1
