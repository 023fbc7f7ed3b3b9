"""A canary's weight lives only while somebody watches it, by this gateway's own clock."""

from hypothesis import given
from hypothesis import strategies as st

from routing.lease import EXPIRED, LEASE_SECONDS, TRIPPED, effective, follow, withheld
from routing.outage import CONSECUTIVE, OutageWatch
from routing.table import Member, Role, RouteEntry, Table

OLD = Member("old", Role.SPLIT, 90)
NEW = Member("new", Role.SPLIT, 10, canary=True)
ENTRY = RouteEntry(name="demo", revision=1, salt="s", members=(OLD, NEW), owner="release:1")
TABLE = Table(version=1, routes={"demo": ENTRY})


def test_a_stamp_lasts_a_minute_by_the_monotonic_clock_whatever_the_wall_clock_says() -> None:
    seen = follow({}, {"demo": 1000.0}, ["demo"], wall=1000.0, clock=5.0)
    for wall in (1000.0, 0.0, 9e9):
        seen = follow(seen, {"demo": 1000.0}, ["demo"], wall=wall, clock=60.0)
        assert withheld(seen, [], 5.0 + LEASE_SECONDS - 0.001) == {}
        assert withheld(seen, [], 5.0 + LEASE_SECONDS) == {"demo": EXPIRED}


def test_a_new_stamp_renews_and_an_unowned_route_has_no_lease() -> None:
    seen = follow({}, {"demo": 1000.0}, ["demo"], wall=1000.0, clock=5.0)
    seen = follow(seen, {"demo": 1030.0}, ["demo"], wall=1030.0, clock=35.0)
    assert withheld(seen, [], 35.0 + LEASE_SECONDS - 0.1) == {}
    assert follow(seen, {"demo": 1030.0}, [], wall=1030.0, clock=35.0) == {}


def test_a_gateway_that_starts_while_nobody_watches_gives_the_canary_nothing() -> None:
    seen = follow({}, {"demo": 1000.0}, ["demo"], wall=1000.0 + 600, clock=5.0)
    assert withheld(seen, [], 5.0) == {"demo": EXPIRED}


def test_a_route_just_taken_over_has_a_whole_lease_to_be_renewed_in() -> None:
    seen = follow({}, {}, ["demo"], wall=1000.0, clock=5.0)
    assert withheld(seen, [], 5.0 + LEASE_SECONDS - 0.1) == {}
    assert withheld(seen, [], 5.0 + LEASE_SECONDS) == {"demo": EXPIRED}


def test_what_is_withheld_is_the_canarys_weight_alone() -> None:
    members = effective(TABLE, {"demo": TRIPPED}).routes["demo"].members
    assert members[0] == OLD
    assert (members[1].weight, members[1].withheld) == (0, TRIPPED)
    assert effective(TABLE, {}) is TABLE


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_an_outage_is_five_canary_failures_in_a_row_with_a_baseline_answer_among_them(
    ends: list[tuple[bool, bool]],
) -> None:
    watch, fired = OutageWatch(), None
    for place, (canary, ok) in enumerate(ends):
        if watch.see(canary=canary, ok=ok):
            fired = place
            break
    assert fired == _by_brute_force(ends)


def _by_brute_force(ends: list[tuple[bool, bool]]) -> int | None:
    for place in range(len(ends)):
        canary = [(i, ok) for i, (is_canary, ok) in enumerate(ends[: place + 1]) if is_canary]
        run = []
        for i, ok in reversed(canary):
            if ok:
                break
            run.append(i)
        answered = run and any(ok for is_canary, ok in ends[run[-1] : place] if not is_canary)
        if ends[place] == (True, False) and len(run) >= CONSECUTIVE and answered:
            return place
    return None
