"""engines.probe: one look at a replica, on a real socket."""

import pytest

from engines import health
from engines.adapters import ADAPTERS
from engines.client import FailureKind
from engines.health import Limits, score
from engines.http import HttpEngineClient
from engines.probe import Identity, heartbeat, identity_from_json, identity_to_json, is_restart, probe
from tests.fakes.engine import serve


def client(fake, session, **options):
    options = {"served_model": "m", "probe_seconds": 0.4, **options}
    return HttpEngineClient(ADAPTERS["vllm"], fake.url, session=session, **options)


def generations(fake):
    return fake.paths.count("/v1/chat/completions")


async def test_first_contact_generates_for_real_and_the_second_look_does_not(session):
    with serve(tokens=50, first_delay=0.05) as fake:
        first = await probe(client(fake, session), None, now=100.0)
        second = await probe(client(fake, session), first.identity, now=105.0)
    assert first.restarted
    assert first.generation.tokens == 4
    assert first.generation.ttft >= 0.05
    assert first.identity.version == "0.32.0-fake"
    assert (second.restarted, second.generation, generations(fake)) == (False, None, 1)
    assert second.value("generation") == 1


async def test_its_inputs_make_a_whole_score(session):
    with serve() as fake:
        seen = await probe(client(fake, session), None, now=100.0)
    result = score(seen.inputs, None, seen.at, Limits())
    assert (result.score, result.in_rotation) == (1, True)
    assert seen.detected == {"metrics": "yes:detected", "prefix_cache": "yes:detected"}


async def test_a_restart_is_seen_and_proved_by_another_generation(session):
    with serve() as fake:
        first = await probe(client(fake, session), None, now=100.0)
        fake.stop()
        gone = await probe(client(fake, session), first.identity, now=105.0)
        fake.start()
        back = await probe(client(fake, session), gone.identity, now=110.0)
    assert (gone.value("reachable"), gone.identity.generated) == (0, False)
    assert (back.restarted, back.value("generation"), generations(fake)) == (True, 1, 2)


async def test_a_restart_between_two_probes_shows_by_the_start_time(session):
    with serve() as fake:
        first = await probe(client(fake, session), None, now=100.0)
        fake.started_at += 60
        again = await probe(client(fake, session), first.identity, now=105.0)
    assert (again.restarted, again.generation is not None) == (True, True)


async def test_a_replica_that_cannot_generate_is_not_admitted_and_tried_again(session):
    with serve(mode="500") as fake:
        broken = await probe(client(fake, session), None, now=100.0)
        fake.mode = "normal"
        mended = await probe(client(fake, session), broken.identity, now=105.0)
    assert broken.value("generation") == 0
    assert broken.generation.failure.kind is FailureKind.INTERNAL
    assert not score(broken.inputs, None, 100.0, Limits()).in_rotation
    assert mended.value("generation") == 1


async def test_a_full_engine_proves_nothing_by_refusing_the_generation(session):
    with serve(mode="429") as fake:
        seen = await probe(client(fake, session), None, now=100.0)
    assert seen.value("generation") is None


async def test_another_model_at_the_address_closes_the_gate(session):
    with serve(models=("other",)) as fake:
        seen = await probe(client(fake, session), None, now=100.0)
    assert seen.value("served_model") == 0
    assert score(seen.inputs, None, 100.0, Limits()).worst == health.MODEL


async def test_a_probe_that_times_out_while_tokens_flow_changes_nothing(session):
    with serve() as fake:
        first = await probe(client(fake, session), None, now=100.0)
        state = score(first.inputs, None, 100.0, Limits()).state
        fake.health_delay = 2
        busy = await probe(client(fake, session), first.identity, now=105.0, tokens_age=0.5)
        idle = await probe(client(fake, session), first.identity, now=105.0)
    assert score(busy.inputs, state, 105.0, Limits()).in_rotation
    assert busy.identity.generated
    assert not score(idle.inputs, state, 105.0, Limits()).in_rotation


async def test_missing_metrics_do_not_keep_a_replica_out(session):
    with serve(metrics_status=404) as fake:
        seen = await probe(client(fake, session), None, now=100.0)
        again = await probe(client(fake, session), seen.identity, now=105.0)
    assert seen.value("heartbeat") is None
    assert score(seen.inputs, None, 100.0, Limits()).in_rotation
    assert not again.restarted


@pytest.mark.parametrize(
    ("running", "steps", "seconds"), [(2, 10, 15), (0, 10, 0), (2, 11, 0), (None, 10, None), (2, None, None)]
)
def test_the_heartbeat_counts_only_while_requests_run_without_a_step(running, steps, seconds):
    before = Identity(reachable=True, steps=10, steps_at=100.0)
    after = Identity(reachable=True, steps=steps, steps_at=100.0)
    assert heartbeat(before, after, {"running": running, "steps": steps}, 115.0) == seconds


async def test_a_still_engine_is_found_by_its_step_counter(session):
    stuck = b"vllm:num_requests_running 2\nvllm:iteration_tokens_total_count 7\nprocess_start_time_seconds 5\n"
    identity = None
    with serve(metrics_body=stuck) as fake:
        for now in (100.0, 105.0, 110.0, 140.0):
            seen = await probe(client(fake, session), identity, now=now)
            identity = seen.identity
    assert seen.value("heartbeat") == 40
    assert score(seen.inputs, None, 140.0, Limits()).worst == health.HEARTBEAT


def test_a_step_counter_that_fell_is_a_restart_where_no_start_time_is_told():
    assert is_restart(Identity(reachable=True, steps=10), {"steps": 3})
    assert not is_restart(Identity(reachable=True, steps=10), {"steps": 10})
    assert not is_restart(Identity(reachable=True), {})


def test_an_identity_survives_storage():
    identity = Identity(reachable=True, started_at=1.5, generated=True, steps=3, steps_at=2.0, version="1")
    assert identity_from_json(identity_to_json(identity)) == identity
    assert identity_from_json({}) is None
