"""Do two engines answer alike? A ladder from finish reasons to logprobs, each rung against self-match. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from gates.pairs import Pair
from gates.wording import percent

POINTS = 0.05  # how much rarer than the baseline matches itself the candidate may match it
LENGTHS = (0.9, 1.1)
RESAMPLES = 2000
FEWEST = 20  # prompts: below, the bootstrap is too sure of itself
NO_LOGPROBS = "Not measured: no logprobs."


class Rung(StrEnum):
    HOLDS = "holds"
    BROKEN = "broken"
    UNRESOLVED = "unresolved"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """`own` is the same figure of the baseline against itself."""

    name: str
    rung: Rung
    value: float | None
    own: float | None
    sentence: str


def ladder(pairs: Sequence[Pair], own: Sequence[Pair], *, seed: int) -> tuple[Level, ...]:
    """`own`: the baseline against itself, with prompts of the same number."""
    return (
        _parity(pairs, own),
        _length(pairs, own),
        _match(pairs, own, seed),
        Level(name="L3 first divergence", rung=Rung.NOT_MEASURED, value=None, own=None, sentence=NO_LOGPROBS),
        Level(name="L4 logprob gap", rung=Rung.NOT_MEASURED, value=None, own=None, sentence=NO_LOGPROBS),
    )


def same_end(pair: Pair) -> bool:
    return bool(pair.base.error) == bool(pair.cand.error) and pair.base.finish_reason == pair.cand.finish_reason


def same_text(pair: Pair) -> bool:
    return not pair.base.error and not pair.cand.error and pair.base.text == pair.cand.text


def share(flags: Sequence[bool]) -> float | None:
    return sum(flags) / len(flags) if flags else None


def _parity(pairs: Sequence[Pair], own: Sequence[Pair]) -> Level:
    value, floor = share([same_end(pair) for pair in pairs]), share([same_end(pair) for pair in own])
    broke = sum(bool(pair.cand.error) and not pair.base.error for pair in pairs)
    if value is None or floor is None:
        rung = Rung.NOT_MEASURED
    else:
        rung = Rung.BROKEN if broke or value < floor - POINTS else Rung.HOLDS
    words = f"{_percent(value)} end alike, the baseline with itself {_percent(floor)}."
    if broke:
        words += f" {broke} prompts that the baseline answered failed on the candidate."
    return Level(name="L0 finish and errors", rung=rung, value=value, own=floor, sentence=words)


def _length(pairs: Sequence[Pair], own: Sequence[Pair]) -> Level:
    value, floor = mean_length_ratio(pairs), mean_length_ratio(own)
    low, high = LENGTHS
    rung = Rung.NOT_MEASURED if value is None else Rung.HOLDS if low <= value <= high else Rung.BROKEN
    shown = f"{value:.3f}" if value is not None else "not known"
    words = f"Mean output length is {shown} times the baseline's; {low} to {high} holds."
    return Level(name="L1 length", rung=rung, value=value, own=floor, sentence=words)


def mean_length_ratio(pairs: Sequence[Pair]) -> float | None:
    """Of the answers whose lengths both engines state."""
    lengths = [(pair.base.output_tokens, pair.cand.output_tokens) for pair in pairs]
    known = [(base, cand) for base, cand in lengths if base is not None and cand is not None]
    whole = sum(base for base, _ in known)
    return sum(cand for _, cand in known) / whole if whole else None


def _match(pairs: Sequence[Pair], own: Sequence[Pair], seed: int) -> Level:
    value, floor = share([same_text(pair) for pair in pairs]), share([same_text(pair) for pair in own])
    itself = {pair.prompt: same_text(pair) for pair in own}
    losses = [itself[pair.prompt] - same_text(pair) for pair in pairs if pair.prompt in itself]
    words = f"{_percent(value)} of texts match exactly, the baseline with itself {_percent(floor)}"
    if not losses:
        return Level(name="L2 exact text", rung=Rung.NOT_MEASURED, value=value, own=floor, sentence=f"{words}.")
    low, high = bootstrap(losses, seed)
    decided = Rung.HOLDS if high <= POINTS else Rung.BROKEN if low > POINTS else Rung.UNRESOLVED
    rung = decided if len(losses) >= FEWEST else Rung.UNRESOLVED
    words += f"; rarer by {low * 100:.0f} to {high * 100:.0f} points, {POINTS * 100:.0f} are allowed."
    return Level(name="L2 exact text", rung=rung, value=value, own=floor, sentence=words)


def bootstrap(values: Sequence[float], seed: int) -> tuple[float, float]:
    """The 95 % percentile interval of the mean, by prompt; the same for the same seed."""
    random, n = Random(f"{seed}:bootstrap"), len(values)  # noqa: S311 - resampling, not a secret
    means = sorted(sum(random.choices(values, k=n)) / n for _ in range(RESAMPLES))
    return means[round(0.025 * RESAMPLES)], means[round(0.975 * RESAMPLES) - 1]


def _percent(value: float | None) -> str:
    return "—" if value is None else percent(value)
