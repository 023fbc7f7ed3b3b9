"""Runs an A/B: the same prompts on two engines, one request at a time, greedy; first the baseline with itself."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from engines.client import EngineFailure, GenerateRequest
from engines.http import HttpEngineClient
from gates.desk import Desk, as_json, target_of
from gates.ladder import Level, Rung, ladder, same_text
from gates.load.workload import Choice, PromptSource
from gates.pairs import METRICS, Answered, Compared, Pair, Word, compare, order, overall
from gates.policy import Policy

STREAM = "pairs"
ITSELF, AGAINST = 1, 2  # each part has a salt of its own, so that no cache helps the second one
PROGRESS_EACH = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    prompts: int = 40
    margin: float = 1.10
    seed: int = 1


def options_of(body: Mapping[str, Any]) -> Options:
    return Options(**{name: body[name] for name in Options.__slots__ if name in body})


@dataclass(frozen=True, slots=True)
class Side:
    clients: Sequence[HttpEngineClient]

    @property
    def hosts(self) -> set[str | None]:
        return {urlsplit(client.base_url).hostname for client in self.clients}


class Asker:
    """Puts prompts to both sides in the order that was drawn."""

    def __init__(self, desk: Desk, policy: Policy, options: Options) -> None:
        self.desk, self.options, self.policy = desk, options, policy
        self.prompts = PromptSource(policy.workload, options.seed)

    async def pairs(self, base: Side, cand: Side, *, part: int, shared: bool) -> list[Pair]:
        """Raises Cancelled."""
        done: list[Pair] = []
        turns = order(self.options.prompts, seed=self.options.seed + part, shared=shared)
        for number, base_first in enumerate(turns):
            first, second = (base, cand) if base_first else (cand, base)
            answers = [await self._ask(side, number, part) for side in (first, second)]
            one, other = answers if base_first else reversed(answers)
            done.append(Pair(number, one, other, "base" if base_first else "cand"))
            if (number + 1) % PROGRESS_EACH == 0:
                await self.desk.keep(progress={"part": part, "done": number + 1, "of": len(turns)})
        return done

    async def _ask(self, side: Side, number: int, part: int) -> Answered:
        chosen = self.prompts.choose(STREAM, number)
        messages = self.prompts.messages(chosen.prompt_id, part)
        client = side.clients[number % len(side.clients)]
        asking = asyncio.ensure_future(ask(client, self._request(chosen, messages), self.policy.request_timeout))
        stopping = asyncio.ensure_future(self.desk.stop.wait())
        try:
            await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
            self.desk.check()
            return asking.result()
        finally:
            for task in (asking, stopping):
                task.cancel()
            await asyncio.gather(asking, stopping, return_exceptions=True)

    def _request(self, chosen: Choice, messages: Sequence[Mapping[str, Any]]) -> GenerateRequest:
        body = {"temperature": 0.0, "seed": self.options.seed}
        if self.policy.workload.ignore_eos:
            body["ignore_eos"] = True
        return GenerateRequest(messages=tuple(messages), max_tokens=chosen.max_tokens, body=body)


async def ask(client: HttpEngineClient, request: GenerateRequest, seconds: float) -> Answered:
    """One streamed answer; a failure of the engine is an answer with an error."""
    begun = perf_counter()
    first = last = finish = tokens = None
    text: list[str] = []
    try:
        async with asyncio.timeout(seconds), aclosing(client.stream(request)) as chunks:
            async for chunk in chunks:
                if chunk.has_content:
                    last = perf_counter() - begun
                    first = first or last
                    text.append(chunk.reasoning + chunk.text)
                finish = chunk.finish_reason or finish
                tokens = chunk.usage.output_tokens if chunk.usage else tokens
    except EngineFailure as failure:
        return Answered(error=failure.failure.kind.value)
    except TimeoutError:
        return Answered(error="timeout")
    return Answered(
        text="".join(text), finish_reason=finish, output_tokens=tokens, ttft=first, e2e=perf_counter() - begun,
        tpot=per_token(first, last, tokens),
    )  # fmt: skip


def per_token(first: float | None, last: float | None, tokens: int | None) -> float | None:
    """Undefined for at most one token."""
    known = first is not None and last is not None and tokens is not None and tokens > 1
    return (last - first) / (tokens - 1) if known else None  # type: ignore[operator]  # `known` says so


async def run(desk: Desk, policy: Policy, session: aiohttp.ClientSession) -> str:
    """The whole study; its result in words. Raises Cancelled, Unreachable, TargetGone."""
    options = options_of(desk.options)
    base, cand = [Side(await desk.clients(name, session)) for name in (desk.study.baseline, desk.study.target)]
    shared = bool(base.hosts & cand.hosts)
    asker = Asker(desk, policy, options)
    for side in (base, cand):
        await desk.warm(policy, asker.prompts, target_of(list(side.clients)), options.seed)
    own = await asker.pairs(base, base, part=ITSELF, shared=shared)
    desk.say(f"{len(own)} prompts were put to {desk.study.baseline} twice.")
    pairs = await asker.pairs(base, cand, part=AGAINST, shared=shared)
    compared = [compare(metric, pairs, own, margin=options.margin) for metric in METRICS]
    levels = ladder(pairs, own, seed=options.seed)
    sentence = in_words(compared, levels, desk.study.baseline, desk.study.target)
    result = {
        "word": overall(compared).value,
        "sentence": sentence,
        "order": "ABBA blocks, the engines share a machine" if shared else "drawn for each prompt",
        "metrics": [as_json(one) for one in compared],
        "ladder": [as_json(level) for level in levels],
    }
    await desk.keep(result=result, pairs=[row(pair) for pair in pairs], own_pairs=[row(pair) for pair in own])
    return sentence


def row(pair: Pair) -> dict[str, Any]:
    """What is stored of a pair: no text."""
    sides = {
        name: {key: value for key, value in as_json(side).items() if key != "text"}
        for name, side in (("base", pair.base), ("cand", pair.cand))
    }
    return {"prompt": pair.prompt, "first": pair.first, "same_text": same_text(pair), **sides}


def in_words(compared: Sequence[Compared], levels: Sequence[Level], baseline: str, candidate: str) -> str:
    words = {
        Word.WORSE: f"{candidate} is slower than {baseline}",
        Word.BETTER: f"{candidate} is faster than {baseline}",
        Word.NON_INFERIOR: f"{candidate} is not slower than {baseline} by more than the margin",
        Word.UNRESOLVED: f"Whether {candidate} is slower than {baseline} stays undecided",
    }
    broken = [level.name for level in levels if level.rung is Rung.BROKEN]
    alike = f"Answers differ: {', '.join(broken)}." if broken else "No rung of output equivalence is broken."
    return f"{words[overall(compared)]}. {alike}"
