"""Two engines asked the same: paired log ratios, their Hodges–Lehmann ratio with an exact interval, verdicts. Pure.

Sources: gates.md 2.9; the interval inverts Wilcoxon's signed-rank test through the ordered Walsh averages.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations_with_replacement
from random import Random

from gates.wording import percent

CONFIDENCE = 0.95
MARGIN = 1.10
EXACT_UP_TO = 60  # pairs; above, the normal approximation of the signed-rank sum
FEWEST = 6  # pairs: with fewer no 95 % interval is finite
MOST_MORE = 100_000


class Word(StrEnum):
    """Of the candidate against the baseline. NON_INFERIOR: not slower by more than the margin."""

    WORSE = "worse"
    NON_INFERIOR = "non-inferior"
    BETTER = "better"
    UNRESOLVED = "unresolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One answer of one engine. Times in seconds; None where nothing came. `error` is empty when it was answered."""

    text: str = ""
    finish_reason: str | None = None
    output_tokens: int | None = None
    ttft: float | None = None
    e2e: float | None = None
    tpot: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Pair:
    """The same prompt on both; `first` is the one that was asked first."""

    prompt: int
    base: Answered
    cand: Answered
    first: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """Candidate over baseline; low and high are a 95 % interval, 0 and infinite when n is too small for one."""

    n: int
    value: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """`noise` is the baseline against itself. `more`: about how many further pairs would decide it, None if unknown."""

    metric: str
    ratio: Ratio
    noise: Ratio
    word: Word
    more: int | None
    sentence: str


METRICS = {"ttft": "time to first token", "e2e": "whole answer", "tpot": "time per output token"}


def order(count: int, *, seed: int, shared: bool) -> list[bool]:
    """Per prompt whether the baseline goes first. On one machine in blocks of two, so that drift cancels (ABBA)."""
    random = Random(f"{seed}:order")  # noqa: S311 - an order, not a secret
    if not shared:
        return [random.random() < 0.5 for _ in range(count)]
    return [first for _ in range((count + 1) // 2) for first in _block(random)][:count]


def _block(random: Random) -> tuple[bool, bool]:
    first = random.random() < 0.5
    return first, not first


def log_ratios(pairs: Sequence[Pair], metric: str) -> list[float]:
    """Of the pairs in which both have the figure."""
    both = [(getattr(pair.base, metric), getattr(pair.cand, metric)) for pair in pairs]
    return [math.log(cand / base) for base, cand in both if base and cand]


def ratio(differences: Sequence[float]) -> Ratio:
    """The Hodges–Lehmann estimate of log ratios and its signed-rank interval, as ratios."""
    n = len(differences)
    walsh = sorted((a + b) / 2 for a, b in combinations_with_replacement(differences, 2))
    if not walsh:
        return Ratio(n=0, value=None, low=0.0, high=math.inf)
    middle = (walsh[(len(walsh) - 1) // 2] + walsh[len(walsh) // 2]) / 2
    k = critical(n)
    if k is None:
        return Ratio(n=n, value=math.exp(middle), low=0.0, high=math.inf)
    return Ratio(n=n, value=math.exp(middle), low=math.exp(walsh[k]), high=math.exp(walsh[-1 - k]))


def critical(n: int) -> int | None:
    """Walsh averages cut from each end: the largest k with P(W ≤ k) ≤ 2.5 %; None when there is none."""
    tail = (1 - CONFIDENCE) / 2
    if n < FEWEST:
        return None
    if n > EXACT_UP_TO:
        mean, spread = n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
        return max(0, math.floor(mean - 1.959964 * spread - 0.5))
    counts = [1] + [0] * (n * (n + 1) // 2)
    for rank in range(1, n + 1):
        for total in range(len(counts) - 1, rank - 1, -1):
            counts[total] += counts[total - rank]
    below, k = 0, 0
    while (below + counts[k]) / 2**n <= tail:
        below += counts[k]
        k += 1
    return k - 1 if k else None


def compare(metric: str, pairs: Sequence[Pair], noise_pairs: Sequence[Pair], *, margin: float = MARGIN) -> Compared:
    """`noise_pairs`: the baseline against itself, measured first. If its interval leaves out 1, nothing is decided."""
    found, noise = ratio(log_ratios(pairs, metric)), ratio(log_ratios(noise_pairs, metric))
    fit = noise.value is not None and noise.low <= 1 <= noise.high
    word = verdict(found, margin) if fit else Word.UNRESOLVED
    more = more_needed(found, margin) if fit and word is Word.UNRESOLVED else None
    return Compared(
        metric=metric, ratio=found, noise=noise, word=word, more=more,
        sentence=_sentence(metric, found, noise, word, more, fit=fit, margin=margin),
    )  # fmt: skip


def verdict(found: Ratio, margin: float = MARGIN) -> Word:
    if found.low > 1:
        return Word.WORSE
    if found.high < 1:
        return Word.BETTER
    return Word.NON_INFERIOR if found.high <= margin else Word.UNRESOLVED


def more_needed(found: Ratio, margin: float = MARGIN) -> int | None:
    """Further pairs if they go as these did: an interval narrows with the root of n. None without an interval."""
    if found.value is None or not math.isfinite(found.high) or found.low <= 0:
        return None
    middle, half = math.log(found.value), (math.log(found.high) - math.log(found.low)) / 2
    rooms = [room for room in (math.log(margin) - middle, abs(middle)) if room > 0]
    needed = math.ceil(found.n * (half / max(rooms)) ** 2) if rooms else MOST_MORE
    return min(MOST_MORE, max(1, needed - found.n))


def overall(compared: Sequence[Compared]) -> Word:
    """WORSE in one figure is worse; without a decision on all of them there is none."""
    words = {one.word for one in compared if one.ratio.n}
    ranked = (Word.WORSE, Word.UNRESOLVED, Word.NON_INFERIOR, Word.BETTER)
    return next((word for word in ranked if word in words), Word.UNRESOLVED)


def _sentence(
    metric: str, found: Ratio, noise: Ratio, word: Word, more: int | None, *, fit: bool, margin: float
) -> str:
    name = METRICS[metric].capitalize()
    if found.value is None:
        return f"{name}: no pair has this figure."
    shown = f"{name}: {found.value:.3f} times the baseline's, 95 % interval {found.low:.3f} to {found.high:.3f}"
    if not fit:
        own = f"{noise.low:.3f} to {noise.high:.3f}" if noise.value is not None else "not measured"
        return f"{shown}. The baseline differs from itself ({own}): nothing can be decided here."
    if word is Word.WORSE:
        small = f", by less than the margin of {percent(margin - 1)}" if found.high <= margin else ""
        return f"{shown}: slower{small}."
    if word is Word.BETTER:
        return f"{shown}: faster."
    if word is Word.NON_INFERIOR:
        return f"{shown}: not slower by more than {percent(margin - 1)}."
    return f"{shown}: undecided" + (f"; about {more:,} more prompts would decide it." if more else ".")
