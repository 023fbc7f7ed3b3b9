"""The numbers that docs/gates.md prints are those of the code."""

import re
from pathlib import Path

from gates import stats
from gates.operating import fewest, window_curve
from gates.policy import QUICK, STANDARD, Phase
from gates.rules import failures_allowed, slow_allowed
from gates.verdict import Grade, ObjectiveName, Verdict

TEXT = (Path(__file__).parents[2] / "docs" / "gates.md").read_text()
PROSE = " ".join(TEXT.split())


def rows(name: str) -> list[list[str]]:
    block = TEXT.split(f"<!-- {name} -->")[1].split(f"<!-- /{name} -->")[0]
    lines = [line.strip("|").split("|") for line in block.strip().splitlines()[2:]]
    return [[cell.strip() for cell in line] for line in lines]


def whole(cell: str) -> int:
    return int(re.sub(r"\D", "", cell.split("(", maxsplit=1)[0]))


def test_the_table_of_proofs_is_computed() -> None:
    assert len(rows("proof")) == 7
    for cells in rows("proof"):
        n = whole(cells[0])
        expected = [
            slow_allowed(n), stats.most_proven(n, 0.05), stats.fewest_refuted(n, 0.05),
            failures_allowed(n, 0.005), stats.most_proven(n, 0.005), stats.fewest_refuted(n, 0.005),
        ]  # fmt: skip
        assert cells[1:] == ["never" if value is None else str(value) for value in expected]


def test_the_chances_to_pass_are_computed() -> None:
    for cells in rows("chances"):
        rate = float(cells[0].removesuffix(" %")) / 100
        chances = [100 * stats.at_most(failures_allowed(n, 0.005), n, rate) for n in (120, 300, 3600)]
        assert cells[1:] == [f"{chance:.1f}" for chance in chances]


def test_the_sentences_quote_the_same_numbers() -> None:
    assert f"only show under {stats.upper(0, 300):.2%}".replace("%", " %") in PROSE
    assert f"shows under {stats.upper(0, 120):.2%}".replace("%", " %") in PROSE
    assert f"proof takes {stats.floor(0.005)} clean" in PROSE
    assert f"A P95 takes at least {stats.floor(0.05)} requests" in PROSE
    implied = re.search(r"at most ([\d.]+) %", window_curve(STANDARD).sentences[0])
    assert implied is not None
    assert f"{implied[1]} %, where P95 alone allows 5 %" in PROSE


def test_the_phases_are_those_of_the_built_in_policies() -> None:
    for policy in (STANDARD, QUICK):
        for phase in (Phase.SPIKE, Phase.SOAK):
            assert f"= {fewest(policy, phase, pooled=True):,}" in TEXT


def test_every_word_of_judging_is_explained() -> None:
    for word in (*Verdict, *Grade):
        assert f"| {word.upper()} |" in TEXT
    for name in ObjectiveName:
        assert f"`{name}`" in TEXT
