"""The one word for the state of an engine."""

from datetime import UTC, datetime, timedelta

import pytest

from console.pages.states import ReplicaSeen, Word, engine_state

NOW = datetime(2026, 11, 23, 14, 32, tzinfo=UTC)


def seen(
    score: float | None = 1.0, *, rotating: bool = True, answered: bool = True, age: float | None = 2
) -> ReplicaSeen:
    at = None if age is None else NOW - timedelta(seconds=age)
    return ReplicaSeen(score=score, in_rotation=rotating, probed_at=at, answered=answered)


@pytest.mark.parametrize(
    ("declared", "replicas", "word"),
    [
        ("active", [seen(0.93)], Word.HEALTHY),
        ("active", [seen(0.8)], Word.HEALTHY),
        ("active", [seen(0.79)], Word.DEGRADED),
        ("active", [seen(), seen(0.2, rotating=False)], Word.DEGRADED),
        ("active", [seen(0.5, rotating=False)], Word.OUT),
        ("active", [seen(0.0, rotating=False, answered=False)], Word.UNREACHABLE),
        ("active", [seen(None, rotating=False, age=None)], Word.UNPROBED),
        ("active", [], Word.UNPROBED),
        ("draining", [seen()], Word.DRAINING),
        ("disabled", [seen()], Word.DISABLED),
        ("disabled", [], Word.DISABLED),
    ],
)
def test_each_state_has_one_word(declared: str, replicas: list[ReplicaSeen], word: Word) -> None:
    assert engine_state(declared=declared, replicas=replicas, now=NOW).word is word


def test_a_state_that_three_probes_missed_is_stale() -> None:
    assert engine_state(declared="active", replicas=[seen(age=16)], now=NOW).stale
    assert not engine_state(declared="active", replicas=[seen(age=14)], now=NOW).stale


def test_one_fresh_replica_keeps_an_engine_fresh() -> None:
    assert not engine_state(declared="active", replicas=[seen(age=300), seen(age=1)], now=NOW).stale
