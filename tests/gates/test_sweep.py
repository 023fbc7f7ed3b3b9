"""A tuning sweep: its grid, the figures of a point, which is best, and the run over fake and real engines."""

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.models import AuditEvent
from engines import profiles
from engines.launch.profile import Profile
from engines.local import PROGRAMS
from engines.models import TuningSweep
from gates import sweep, sweeps
from gates.load.samples import Sample, SampleOutcome
from gates.policy import Objectives, Workload, check
from gates.sweep import InvalidSweep, Options, Point, best, combinations, measured_point, misses, parse_grid
from gates.sweep_run import conduct
from tests.routing.rows import ANNA

PROFILE = Profile(kind="custom", model="engines/hf/demo/model", settings={"served_name": "demo", "max_num_seqs": 2})
SECOND = 1_000_000_000
LIMITS = Objectives(ttft_p95=1, e2e_p95=2, error_rate=0.05)


def sample(index: int, *, first: float = 0.1, end: float = 0.5, outcome: SampleOutcome = SampleOutcome.OK) -> Sample:
    good = outcome is SampleOutcome.OK
    return Sample(
        index=index, phase="step", level=4, attempt=1, intended_ns=0, sent_ns=0,
        first_token_ns=int(first * SECOND) if good else None, last_token_ns=int(end * SECOND) if good else None,
        end_ns=int(end * SECOND), outcome=outcome, output_tokens=9 if good else None,
    )  # fmt: skip


def test_a_grid_is_read_from_words() -> None:
    found = parse_grid(["max_num_seqs=4, 8,8", "prefix_caching=on,off", "memory_share=0.5", "kv_dtype=fp8"])
    assert found == (
        ("max_num_seqs", (4, 8)), ("prefix_caching", (True, False)), ("memory_share", (0.5,)), ("kv_dtype", ("fp8",)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "needs a grid"),
        (["colour=red"], "There is no setting colour"),
        (["max_num_seqs"], "give its values once"),
        (["max_num_seqs=4", "max_num_seqs=8"], "give its values once"),
        (["max_num_seqs=many"], "many is not a whole number"),
        (["prefix_caching=yes"], "yes is not on or off"),
        (["memory_share=half"], "half is not a number"),
    ],
)
def test_a_grid_that_cannot_be_read_says_why(texts: list[str], words: str) -> None:
    with pytest.raises(InvalidSweep, match=words):
        parse_grid(texts)


def test_a_grid_makes_every_combination_and_keeps_the_other_settings() -> None:
    found = combinations(PROFILE, parse_grid(["max_num_seqs=4,8", "batched_tokens=64,128,256"]))
    assert len(found) == 6
    assert [one.settings["max_num_seqs"] for one in found] == [4, 4, 4, 8, 8, 8]
    assert {one.settings["served_name"] for one in found} == {"demo"}


def test_a_point_that_cannot_start_is_refused_before_anything_runs() -> None:
    with pytest.raises(InvalidSweep, match=r"max_num_seqs=64, batched_tokens=32: Batched tokens"):
        combinations(PROFILE, parse_grid(["max_num_seqs=4,64", "batched_tokens=32"]))
    with pytest.raises(InvalidSweep, match="quantisation=fp8: Quantisation: The HuggingFace server"):
        combinations(PROFILE, parse_grid(["quantisation=fp8"]))
    with pytest.raises(InvalidSweep, match="at most 64"):
        combinations(PROFILE, parse_grid(["max_num_seqs=" + ",".join(map(str, range(1, 70)))]))


def test_rates_count_what_ended_in_time_and_latencies_count_everything() -> None:
    found = [*(sample(i) for i in range(8)), sample(8, end=12), sample(9, outcome=SampleOutcome.TIMEOUT)]
    point = measured_point(PROFILE, (("max_num_seqs", (2,)),), found, 10.0, ["late"])
    assert (point.requests, point.failed, point.answers, point.tokens) == (10, 1, 0.8, 7.2)
    assert (point.ttft_p50, point.e2e_p50) == (0.1, 0.5)
    assert point.ttft_p95 is None  # one of ten failed: the 95th of a hundred has no answer
    assert point.tpot_p50 == pytest.approx(0.05)
    assert (point.settings, point.doubts) == ({"max_num_seqs": 2}, ("late",))


def test_nothing_measured_is_no_figure() -> None:
    point = measured_point(PROFILE, (), [], 0.0, [])
    assert (point.tokens, point.ttft_p95, point.words) == (None, None, "Nothing was measured.")
    assert best([point], LIMITS) is None


def point(tokens: float | None, *, ttft: float | None = 0.5, e2e: float | None = 1.0, failed: int = 0) -> Point:
    return Point(settings={}, requests=100, failed=failed, tokens=tokens, ttft_p95=ttft, e2e_p95=e2e)


def test_the_best_keeps_every_objective() -> None:
    points = [point(100), point(300, ttft=1.5), point(200), point(400, failed=5), point(500, e2e=None)]
    assert best(points, LIMITS) == 2
    assert misses(points[1], LIMITS) == ["TTFT P95 1.5 s, limit 1 s"]
    assert misses(points[3], LIMITS) == ["5 of 100 failed"]
    assert misses(points[4], LIMITS) == ["E2E P95 —, limit 2 s"]


@given(
    st.lists(
        st.builds(point, st.floats(0, 1e6) | st.none(), ttft=st.floats(0, 3) | st.none(), e2e=st.floats(0, 3)),
        max_size=8,
    )
)
def test_no_point_that_keeps_the_objectives_is_faster_than_the_best(points: list[Point]) -> None:
    place = best(points, LIMITS)
    good = [one.tokens for one in points if one.tokens is not None and not misses(one, LIMITS)]
    assert (points[place].tokens if place is not None else -math.inf) == max(good, default=-math.inf)


def options(**how: object) -> Options:
    work = Workload(source="synthetic", input_tokens=8, output_tokens=4)
    return Options(**{"grid": parse_grid(["max_num_seqs=1,4"]), "concurrency": 4, "workload": work, **how})


def test_options_and_points_survive_a_trip_through_json() -> None:
    made = options(objectives=LIMITS)
    assert sweep.options_from_json(sweep.options_to_json(made)) == made
    check(made.policy)
    one = measured_point(PROFILE, made.grid, [sample(1)], 5.0, ["late"])
    assert sweep.from_json(sweep.to_json(one)) == one


@pytest.fixture
def row(db: None) -> TuningSweep:
    version = profiles.create("small", PROFILE, actor=ANNA, reason="for a test")
    return sweeps.create(version, options(objectives=LIMITS), actor=ANNA)


def run(row: TuningSweep, tmp_path: Path, measure, said: list[str] | None = None) -> bool:
    return conduct(row, port=22390, folder=tmp_path, say=(said if said is not None else []).append, measure=measure)


def test_each_point_is_stored_and_the_end_names_the_best(row: TuningSweep, tmp_path: Path) -> None:
    stored, said = [], []

    def measure(profile: Profile, made: Options, _port: int, _folder: Path) -> Point:
        stored.append(len(TuningSweep.objects.get().points))
        found = [sample(i, end=0.5 if profile.settings["max_num_seqs"] == 4 else 3) for i in range(20)]
        return measured_point(profile, made.grid, found, 10.0, [])

    assert run(row, tmp_path, measure, said) is True
    row.refresh_from_db()
    assert (stored, row.state, len(row.points)) == ([0, 1], "done", 2)
    assert row.reason == "Best that keeps the objectives: max_num_seqs=4, 18 tokens/s."
    assert said[0] == "max_num_seqs=1: 18 tokens/s, TTFT P95 0.1 s, E2E P95 3 s; E2E P95 3 s, limit 2 s"
    assert AuditEvent.objects.get(action="sweep.start").subject == "profile:small"


def test_a_stop_keeps_what_was_measured(row: TuningSweep, tmp_path: Path) -> None:
    def measure(profile: Profile, made: Options, _port: int, _folder: Path) -> Point:
        if profile.settings["max_num_seqs"] == 4:
            raise KeyboardInterrupt
        return measured_point(profile, made.grid, [sample(1)], 10.0, [])

    with pytest.raises(KeyboardInterrupt):
        run(row, tmp_path, measure)
    row.refresh_from_db()
    assert (row.state, len(row.points), row.reason) == ("stopped", 1, "Stopped after 1 points.")


def test_a_fault_of_ours_is_told(row: TuningSweep, tmp_path: Path) -> None:
    def measure(*_: object) -> Point:
        raise OSError("No port is free.")

    with pytest.raises(OSError, match="No port"):
        run(row, tmp_path, measure)
    row.refresh_from_db()
    assert (row.state, row.reason) == ("failed", "OSError: No port is free.")


def test_an_engine_that_ends_at_its_start_is_a_point_without_figures(
    row: TuningSweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(PROGRAMS, "custom", lambda: ("sh", "-c", "echo broken; exit 4"))
    assert run(row, tmp_path, None) is False
    row.refresh_from_db()
    assert "ended with code 4" in row.points[0]["words"]
    assert row.reason == "No setting keeps the objectives."
    assert "broken" in (tmp_path / "engine.log").read_text()


def test_a_real_engine_is_started_loaded_and_stopped_for_each_point(row: TuningSweep, tmp_path: Path) -> None:
    made = options(objectives=Objectives(ttft_p95=60, e2e_p95=60, error_rate=0.05), seconds=0.5, requests=4)
    row.options = sweep.options_to_json(made)
    assert run(row, tmp_path, None) is True
    points = sweeps.points_of(TuningSweep.objects.get())
    assert [one.settings["max_num_seqs"] for one in points] == [1, 4]
    for one in points:
        assert one.failed == 0
        assert one.requests >= 4
        assert one.tokens is not None
        assert 0 < one.ttft_p50 <= one.e2e_p50
