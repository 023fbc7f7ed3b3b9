"""What is asked: prompts by id, so that a plan can name them without holding text. Pure.

An id is a kind, a number and, where prompts are salted, the salt: `q17.3f9a0c1b2d4e5f60`. Kinds: q built-in question,
h built-in wording kept for warm-up, s synthetic text, w synthetic text for warm-up, u a line of the upload.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import exp
from random import Random
from statistics import NormalDist
from typing import Any

import orjson

from engines.hf.demo.text import load_questions
from gates.policy import InvalidPolicy, Workload

LENGTH_CUT = 4  # a lognormal length is at most so many times its mean
VARIANTS = 16  # different synthetic texts; the salt makes each request unique on top
# short everyday words: about one token each in the vocabularies of served models
_TEXT = (
    "time year people way day man thing woman life child world school state family student group country problem hand "
    "part place case week company system program question work number night point home water room mother area money "
    "story fact month lot right study book eye job word business issue side kind head house service friend father "
    "power hour game line end member law car city name team minute idea body back face others level office door health"
)
WORDS = tuple(_TEXT.split())

Message = dict[str, Any]
Shape = Sequence[tuple[float, int, int]]


class InvalidWorkload(InvalidPolicy):
    """The workload cannot be asked; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One prompt as the plan names it."""

    prompt_id: str
    max_tokens: int


def unit(*key: object) -> float:
    """A number in (0, 1) that depends on the key alone: the deterministic draw behind prompts, lengths and seeds."""
    digest = hashlib.blake2b(":".join(map(str, key)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2.0**64


def length(mean: int, sigma: float, share: float) -> int:
    """The `share` quantile of a lognormal length with this mean, cut at four times it; fixed when sigma is 0."""
    if sigma <= 0:
        return max(1, mean)
    value = mean * exp(sigma * NormalDist().inv_cdf(share) - sigma * sigma / 2)
    return max(1, min(round(value), LENGTH_CUT * mean))


class PromptSource:
    """Prompts of one workload. `shape` is recorded traffic: (offset in seconds, input tokens, output tokens)."""

    def __init__(self, workload: Workload, seed: int, shape: Shape = ()) -> None:
        self.workload = workload
        self.seed = seed
        self.shape = tuple(sorted(shape))
        self._measured, self._held_out = _questions(workload)
        self._uploaded = tuple(_line(number, text) for number, text in enumerate(workload.lines, start=1))
        self._texts = {kind: _texts(kind, self._longest()) for kind in "sw"}
        if workload.source not in ("demo", "synthetic", "upload", "replay"):
            raise InvalidWorkload(f"workload: “{workload.source}” is no source of prompts.")
        if workload.source == "upload" and not self._uploaded:
            raise InvalidWorkload("workload: upload at least one line of prompts.")
        if workload.source == "replay" and not self.shape:
            raise InvalidWorkload("workload: no recorded traffic of this route; choose another source.")

    @property
    def digest(self) -> str:
        """SHA-256 over everything that an id stands for."""
        held = (self.workload.source, self._measured, self._held_out, self._uploaded, self.shape, WORDS, self.seed)
        return hashlib.sha256(orjson.dumps(held)).hexdigest()

    def choose(self, stream: str, index: int) -> Choice:
        """The prompt of request `index` of a stream (a phase, a level of STEP)."""
        key = (self.seed, "prompts", stream, index)
        share = unit(*key, "which")
        work = self.workload
        output = length(work.output_tokens, work.output_sigma, unit(*key, "output"))
        if work.source == "demo":
            name = f"q{int(share * len(self._measured))}"
        elif work.source == "upload":
            number = int(share * len(self._uploaded))
            name, output = f"u{number}", self._uploaded[number][1] or output
        elif work.source == "replay":
            _, words, output = self.shape[index % len(self.shape)]
            name = self._synthetic("s", max(1, words), share)
        else:
            name = self._synthetic("s", length(work.input_tokens, work.input_sigma, unit(*key, "input")), share)
        return Choice(self._salted(name, key), max(1, output))

    def choose_warm_up(self, index: int) -> Choice:
        """Never a measured prompt, at the lengths of the measured ones."""
        key = (self.seed, "warm-up", index)
        like = self.choose("warm-up", index)
        if self.workload.source == "demo":
            return Choice(self._salted(f"h{int(unit(*key) * len(self._held_out))}", key), like.max_tokens)
        words = int(like.prompt_id[1:].partition("-")[0]) if like.prompt_id[0] == "s" else self.workload.input_tokens
        return Choice(self._salted(self._synthetic("w", words, unit(*key)), key), like.max_tokens)

    def messages(self, prompt_id: str, attempt: int = 1) -> list[Message]:
        """The chat messages of an id. A second attempt at a phase is salted anew, so that it finds no warm cache."""
        name, _, salt = prompt_id.partition(".")
        found = self._unsalted(name[0], name[1:])
        if not salt:
            return found
        mark = f"[{salt}]" if attempt == 1 else f"[{hashlib.sha256(f'{attempt}:{salt}'.encode()).hexdigest()[:16]}]"
        first, content = found[0], found[0].get("content")
        marked = [{"type": "text", "text": mark}, *content] if isinstance(content, list) else f"{mark} {content}"
        return [{**first, "content": marked}, *found[1:]]

    def _unsalted(self, kind: str, number: str) -> list[Message]:
        if kind == "u":
            return list(self._uploaded[int(number)][0])
        if kind in "qh":
            return [{"role": "user", "content": (self._measured if kind == "q" else self._held_out)[int(number)]}]
        words, _, variant = number.partition("-")
        text = " ".join(self._texts[kind][int(variant)][: int(words)])
        return [{"role": "user", "content": text}]

    def _salted(self, name: str, key: tuple[object, ...]) -> str:
        if not self.workload.salted:
            return name
        return f"{name}.{hashlib.sha256(':'.join(map(str, key)).encode()).hexdigest()[:16]}"

    def _synthetic(self, kind: str, words: int, share: float) -> str:
        return f"{kind}{words}-{int(share * VARIANTS)}"

    def _longest(self) -> int:
        work = self.workload
        if work.source == "replay":
            return max((max(1, words) for _, words, _ in self.shape), default=1)
        return max(1, work.input_tokens) * (LENGTH_CUT if work.input_sigma > 0 else 1)


def _questions(workload: Workload) -> tuple[tuple[str, ...], tuple[str, ...]]:
    if workload.source != "demo":
        return (), ()
    found = load_questions()
    measured = tuple(dict.fromkeys(wording for question in found for wording in question.wordings))
    held_out = dict.fromkeys(wording for question in found for wording in question.held_out)
    return measured, tuple(wording for wording in held_out if wording not in set(measured))


def _texts(kind: str, longest: int) -> tuple[list[str], ...]:
    return tuple(Random(f"{kind}:{variant}").choices(WORDS, k=longest) for variant in range(VARIANTS))  # noqa: S311


def _line(number: int, text: str) -> tuple[tuple[Message, ...], int | None]:
    """One JSON line: {"messages": […]} or {"prompt": "…"}, with an optional "max_tokens"."""
    try:
        body = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidWorkload(f"workload: line {number} is not JSON.") from None
    body = body if isinstance(body, Mapping) else {}
    messages, prompt = body.get("messages"), body.get("prompt")
    if isinstance(prompt, str) and prompt and messages is None:
        messages = [{"role": "user", "content": prompt}]
    good = isinstance(messages, list) and messages and all(isinstance(one, dict) and "role" in one for one in messages)
    limit = body.get("max_tokens")
    if not good or not (limit is None or (isinstance(limit, int) and not isinstance(limit, bool) and limit >= 1)):
        raise InvalidWorkload(f"workload: line {number} needs “messages” or “prompt”; “max_tokens” is 1 or more.")
    return tuple(messages or ()), limit
