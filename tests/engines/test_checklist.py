"""engines.checklist: each line says what was found, on a real socket."""

import pytest

from engines.checklist import State, Target, checklist, detected_features
from engines.network import DEFAULT_NETWORKS
from tests.fakes.engine import serve

NAMES = ["DNS", "TCP", "TLS", "Health", "Models", "Streamed completion", "Tokenize", "Metrics", "Features"]


async def run(session, url, *, kind="vllm", model="m", **options):
    target = Target(kind=kind, url=url, served_model=model, **options)
    return [check async for check in checklist(target, session=session, networks=DEFAULT_NETWORKS)]


def states(checks):
    return {check.name: check.state for check in checks}


def detail(checks, name):
    return next(check.detail for check in checks if check.name == name)


async def test_a_good_engine_passes_every_line_but_tls(session):
    with serve(tokens=9, first_delay=0.03) as fake:
        checks = await run(session, fake.url)
    assert [check.name for check in checks] == NAMES
    assert states(checks) == {**dict.fromkeys(NAMES, State.OK), "TLS": State.SKIP}
    assert "5 tokens" in detail(checks, "Streamed completion")
    assert "4096" in detail(checks, "Models")
    assert "not known: priority, tools" in detail(checks, "Features")
    assert detected_features(checks) == {"tokenize": "yes:detected", "metrics": "yes:detected"}


async def test_a_closed_port_fails_at_tcp_and_skips_the_rest(session):
    with serve() as fake:
        fake.stop()
        checks = await run(session, fake.url)
    assert states(checks) == {**dict.fromkeys(NAMES, State.SKIP), "DNS": State.OK, "TCP": State.FAIL}


@pytest.mark.parametrize("url", ["http://169.254.169.254:80", "http://8.8.8.8:80", "http://x@h:1", "nonsense"])
async def test_a_forbidden_address_is_refused_before_any_connection(session, url):
    checks = await run(session, url)
    assert states(checks) == {**dict.fromkeys(NAMES, State.SKIP), "DNS": State.FAIL}


async def test_plain_http_on_a_tls_address_fails_with_a_reason(session):
    with serve() as fake:
        checks = await run(session, fake.url.replace("http:", "https:"))
    assert states(checks)["TLS"] is State.FAIL
    assert states(checks)["Health"] is State.SKIP


async def test_a_wrong_model_names_what_is_served(session):
    with serve(models=("other",)) as fake:
        checks = await run(session, fake.url)
    assert states(checks)["Models"] is State.FAIL
    assert "Served: other." in detail(checks, "Models")


async def test_a_missing_key_and_a_broken_generation_say_so(session):
    with serve(api_key="sk-right", mode="500") as fake:
        locked = await run(session, fake.url, api_key="sk-wrong")
        broken = await run(session, fake.url, api_key="sk-right")
    assert "key" in detail(locked, "Models")
    assert states(broken)["Streamed completion"] is State.FAIL
    assert not any("sk-" in check.detail for check in locked + broken)


async def test_absent_extras_are_warnings(session):
    missing = (404, {"detail": "Not Found"})
    with serve(extra_paths={"/tokenize": missing, "/metrics": missing}) as fake:
        checks = await run(session, fake.url)
        trt = await run(session, fake.url, kind="trtllm")
    assert states(checks)["Tokenize"] is states(checks)["Metrics"] is State.WARN
    assert states(trt)["Tokenize"] is State.WARN
    assert detected_features(checks) == {"tokenize": "no:detected", "metrics": "no:detected"}
