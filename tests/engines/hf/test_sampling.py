"""The sampler draws from what temperature, top_k and top_p leave, and nothing else."""

from __future__ import annotations

import pytest
import torch

from engines.hf.sampling import draw

DRAWS = 4000


def shares(logits: list[float], *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> torch.Tensor:
    """How often each token is drawn."""
    torch.manual_seed(0)
    tokens = draw(
        torch.tensor([logits] * DRAWS),
        temperatures=torch.full((DRAWS,), temperature),
        top_ks=(top_k,) * DRAWS,
        top_ps=torch.full((DRAWS,), top_p),
    )
    return torch.bincount(tokens, minlength=len(logits)) / DRAWS


ODDS = torch.tensor([0.5, 0.3, 0.15, 0.05])


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [0.5, 0.3, 0.15, 0.05]),
        ({"top_k": 2}, [0.625, 0.375, 0.0, 0.0]),
        ({"top_p": 0.7}, [0.625, 0.375, 0.0, 0.0]),
        ({"top_p": 0.01}, [1.0, 0.0, 0.0, 0.0]),
        ({"top_k": 3, "top_p": 0.6}, [0.625, 0.375, 0.0, 0.0]),
        ({"top_k": 99}, [0.5, 0.3, 0.15, 0.05]),
    ],
)
def test_tokens_come_as_often_as_the_limits_say(limits: dict[str, float], expected: list[float]) -> None:
    assert shares(ODDS.log().tolist(), **limits) == pytest.approx(expected, abs=0.03)


def test_temperature_sharpens_and_flattens() -> None:
    logits = ODDS.log().tolist()
    assert shares(logits, temperature=0.5)[0] == pytest.approx(0.25 / 0.365, abs=0.03)
    assert shares(logits, temperature=100.0) == pytest.approx([0.25] * 4, abs=0.03)


def test_a_wide_nucleus_over_a_large_vocabulary_is_exact() -> None:
    """A flat distribution needs more candidates than the short list holds; the full sort must take over."""
    found = shares([0.0] * 1000, top_p=0.9)
    assert 800 < int((found > 0).sum()) <= 900


def test_each_row_obeys_its_own_limits() -> None:
    scores = ODDS.log().repeat(2, 1)
    for _ in range(50):
        tokens = draw(
            scores.clone(), temperatures=torch.tensor([1.0, 1.0]), top_ks=(1, 0), top_ps=torch.tensor([1.0, 1.0])
        )
        assert int(tokens[0]) == 0
