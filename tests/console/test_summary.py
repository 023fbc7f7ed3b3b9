"""The state of everything in one sentence."""

from datetime import UTC, datetime, timedelta

from console.pages.states import Word
from console.pages.summary import Burning, EngineNow, incident, plain, sentence, title

NOW = datetime(2026, 11, 23, 14, 32, 7, tzinfo=UTC)
HEALTHY = EngineNow(name="hf-demo", word=Word.HEALTHY, shares=(("demo", 90),))
CANARY = EngineNow(name="vllm-a", word=Word.HEALTHY, shares=(("demo", 10),), canary_of=(("demo", 10),))
LOST = EngineNow(name="hf-demo", word=Word.UNREACHABLE, since=NOW - timedelta(seconds=65), shares=(("demo", 90),))
BURNS = Burning("demo", "TTFT P95", 15.0, "page")


def say(*engines: EngineNow, burning: tuple[Burning, ...] = (), measured: bool = True, last_known: bool = False) -> str:
    return plain(sentence(engines, burning, measured=measured, last_known=last_known, now=NOW))


def trouble(*engines: EngineNow, burning: tuple[Burning, ...] = (), probes: datetime | None = None):
    return incident(engines, burning, probes_stale_since=probes, gateways_silent_since=None, now=NOW)


def test_all_well_is_said_in_one_sentence() -> None:
    assert say(HEALTHY, CANARY) == (
        "2 of 2 engines healthy. Canary vllm-a holds 10 % of demo. No objective is burning."
    )


def test_trouble_names_the_engine_and_since_when() -> None:
    assert say(LOST) == (
        "0 of 1 engine healthy; hf-demo unreachable since 14:31:02 UTC (1 min 5 s). No objective is burning."
    )


def test_without_requests_nothing_is_called_fine() -> None:
    assert "No client request in the last 5 min." in say(HEALTHY, measured=False)


def test_old_probes_are_called_last_known() -> None:
    assert say(HEALTHY, last_known=True).startswith("Last known: 1 of 1")


def test_no_engine_is_a_state_of_its_own() -> None:
    assert say() == "No engine is registered yet."


def test_a_disabled_engine_counts_neither_way() -> None:
    assert say(HEALTHY, EngineNow(name="old", word=Word.DISABLED)).startswith("1 of 1 engine healthy.")


def test_the_tab_shows_the_worst_state_first() -> None:
    degraded = EngineNow(name="b", word=Word.DEGRADED)
    assert title([HEALTHY, degraded, LOST]) == "1 unreachable"
    assert title([HEALTHY, degraded]) == "1 degraded"
    assert title([HEALTHY, CANARY]) == "2 healthy"
    assert title([]) == "No engine yet"


def test_a_lost_engine_with_weight_is_an_incident_that_says_who_covers() -> None:
    standing_in = EngineNow(name="hf-demo-b", word=Word.HEALTHY, standby_of=("demo",))
    found = trouble(LOST, standing_in)
    assert found is not None
    assert "hf-demo is unreachable since 14:31:02 UTC (1 min 5 s) and holds 90 % of demo." in found.text
    assert "hf-demo-b can answer" in found.still_works


def test_a_canary_is_never_named_as_cover() -> None:
    found = trouble(LOST, CANARY)
    assert found is not None
    assert "vllm-a" not in found.still_works


def test_an_engine_of_weight_zero_is_never_named_as_cover() -> None:
    found = trouble(LOST, EngineNow(name="b", word=Word.HEALTHY, shares=(("demo", 0),)))
    assert found is not None
    assert found.still_works == "No other engine of the route is in rotation: requests may fail."


def test_a_lost_engine_without_weight_is_no_incident() -> None:
    assert trouble(HEALTHY, EngineNow(name="b", word=Word.OUT, shares=(("demo", 0),))) is None


def test_probes_that_stopped_are_said_with_what_still_works() -> None:
    found = trouble(HEALTHY, probes=NOW - timedelta(seconds=47))
    assert found is not None
    assert found.text.startswith("No engine was probed for 47 s")


def test_a_paging_burn_is_an_incident_and_a_slow_one_is_not() -> None:
    assert trouble(HEALTHY, burning=(BURNS,)) is not None
    assert trouble(HEALTHY, burning=(Burning("demo", "TTFT P95", 1.2, "watch"),)) is None
