"""A tuning sweep on its page: table, chart data, the best marked, and what has not been measured."""

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from console.models import User
from engines import profiles
from engines.models import TuningSweep
from gates import sweep, sweeps
from gates.policy import Objectives, Workload
from gates.sweep import Options, Point, parse_grid
from tests.console.makers import TESTER

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]


@pytest.fixture
def row() -> TuningSweep:
    profiles.ensure_built_in()
    options = Options(grid=parse_grid(["max_num_seqs=4,8,16"]), objectives=Objectives(ttft_p95=1, e2e_p95=2))
    return sweeps.create(profiles.newest("hf"), options, actor=TESTER)


def point(running: int, tokens: float | None, ttft: float | None, **how: Any) -> Point:
    figures = {"ttft_p95": ttft, "e2e_p95": ttft, "requests": 50} if ttft else {}
    return Point(settings={"max_num_seqs": running}, tokens=tokens, **figures, **how)


def page_of(client: Client, row: TuningSweep) -> str:
    return client.get(reverse("console:sweep", args=[row.pk])).content.decode()


def test_the_best_that_keeps_the_objectives_is_marked(client_of: ClientOf, viewer: User, row: TuningSweep) -> None:
    points = [point(4, 100, 0.2), point(8, 300, 0.5, doubts=("The loop was held up.",)), point(16, 400, 1.5)]
    sweeps.keep(row, points)
    sweeps.finish(row, sweeps.State.DONE, "Best that keeps the objectives: max_num_seqs=8.")
    page = page_of(client_of(viewer), row)
    assert page.count('<span class="tag">best</span>') == 1
    assert re.search(r"max_num_seqs=8 <span class=\"tag\">best", page)
    assert "TTFT P95 1.5 s, limit 1 s" in page
    assert "The loop was held up." in page
    assert 'hx-trigger="console:tick-5' not in page.split('id="sweep"')[1][:200]
    data = json.loads(re.search(r'id="sweep-data"[^>]*>(.*?)</script>', page)[1])
    assert [(one["best"], one["kept"]) for one in data["points"]] == [(False, True), (True, True), (False, False)]
    assert data["limits"] == {"ttft_p95": 1, "e2e_p95": 2}


def test_a_point_that_did_not_start_says_so_and_has_no_figure(
    client_of: ClientOf, viewer: User, row: TuningSweep
) -> None:
    sweeps.keep(row, [point(4, None, None, words="The engine ended with code 1.")])
    page = page_of(client_of(viewer), row)
    assert "The engine ended with code 1." in page
    assert "1 of 3 points" in page
    assert "missed" not in page.split("<tbody>")[1]


def test_a_sweep_that_runs_is_looked_at_again_until_it_falls_silent(
    client_of: ClientOf, viewer: User, row: TuningSweep
) -> None:
    assert "console:tick-5" in page_of(client_of(viewer), row)
    TuningSweep.objects.update(touched_at=timezone.now() - timedelta(hours=1))
    page = page_of(client_of(viewer), row)
    assert "No word for ten minutes" in page
    assert 'hx-target="#sweep"' not in page


def test_the_page_gives_the_command_that_measures_it_again(client_of: ClientOf, viewer: User, row: TuningSweep) -> None:
    page = page_of(client_of(viewer), row)
    assert "manage.py sweep hf --grid max_num_seqs=4,8,16 --workload synthetic --input-tokens 64" in page
    assert "--ttft-p95 1 --e2e-p95 2 --seed 1" in page


def test_the_profile_lists_its_sweeps(client_of: ClientOf, viewer: User, row: TuningSweep) -> None:
    page = client_of(viewer).get(reverse("console:profile", args=["hf"])).content.decode()
    assert f"Sweep {row.pk} of v1" in page
    other = client_of(viewer).get(reverse("console:profile", args=["vllm"])).content.decode()
    assert "manage.py sweep vllm --grid" in other


def test_a_sweep_that_is_not_there_is_not_found(client_of: ClientOf, viewer: User, row: TuningSweep) -> None:
    assert client_of(viewer).get(reverse("console:sweep", args=[row.pk + 1])).status_code == 404


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("nothing", {"grid": ["max_num_seqs=4"]}, "No profile is named nothing"),
        ("hf", {"grid": ["max_num_seqs=0"]}, "Concurrency: a whole number"),
        ("hf", {"grid": ["max_num_seqs=4"], "seconds": -1}, "the length of a level"),
        ("hf", {"grid": ["max_num_seqs=4"], "concurrency": 1000}, "concurrencies from 1 to 256"),
    ],
)
def test_the_command_refuses_what_cannot_be_run(name: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(CommandError, match=words):
        call_command("sweep", name, **options)
    assert not TuningSweep.objects.exists()


def test_the_command_hands_its_options_to_the_sweep(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setattr("console.management.commands.sweep.conduct", lambda *_, **__: True)
    file = tmp_path / "sweep.json"
    with pytest.raises(SystemExit) as ended:
        call_command(
            "sweep", "hf", "--grid", "max_num_seqs=4,8", "--grid", "batched_tokens=64", "--workload", "demo",
            "--shared-prefix", "--ttft-p95", "0.5", "--json", str(file),
        )  # fmt: skip
    assert ended.value.code == 0
    made = sweep.options_from_json(json.loads(file.read_text())["options"])
    assert made.objectives.ttft_p95 == 0.5
    assert made.workload == Workload(source="demo", input_tokens=64, output_tokens=32, salted=False)
    assert dict(made.grid) == {"max_num_seqs": (4, 8), "batched_tokens": (64,)}
