"""Checks of what an engine answers: text, streams, counts, ends, tokens, health, cancellation."""

import asyncio
import time
from collections.abc import Callable
from contextlib import aclosing

from engines.client import Chunk, GenerateRequest, Usage
from engines.contract.values import Bench, Broken, Found, Outcome

QUESTION = "What is a canary?"
TOKENS = 24
SHOWN_SECONDS = 3.0
GONE_SECONDS = 5.0
LONG_ANSWER = 1500
NOT_ASCII = "Repeat after me: naïve café — ñandú, 你好, 🙂🙂"
ENDS = frozenset({"stop", "length"})


def ask(text: str = QUESTION, *, tokens: int = TOKENS, **body: object) -> GenerateRequest:
    message = {"role": "user", "content": text}
    return GenerateRequest(messages=(message,), max_tokens=tokens, body={"temperature": 0, **body})


async def generate(bench: Bench) -> Found:
    done = await bench.client.generate(ask())
    if not (done.text or done.reasoning):
        raise Broken("The answer holds no text.")
    _ended(done.finish_reason)
    return Outcome.PASS, f"{len(done.text + done.reasoning)} characters, finish reason {done.finish_reason}."


async def stream(bench: Bench) -> Found:
    chunks = await streamed(bench, ask())
    pieces = [chunk for chunk in chunks if chunk.has_content]
    if not pieces:
        raise Broken("The stream held no text.")
    _ended(_finish(chunks))
    if len(pieces) < 2:
        raise Broken("The whole answer came in one piece: that is no stream.")
    return Outcome.PASS, f"{len(pieces)} pieces, then a finish reason and [DONE]."


async def usage(bench: Bench) -> Found:
    counted = _usage(await streamed(bench, ask()))
    if counted is None or counted.input_tokens is None or counted.output_tokens is None:
        raise Broken("The stream states no token counts.")
    whole = (await bench.client.generate(ask())).usage
    if whole.input_tokens != counted.input_tokens:
        raise Broken(f"The same prompt is {counted.input_tokens} tokens streamed and {whole.input_tokens} whole.")
    if not 0 < counted.output_tokens <= TOKENS:
        raise Broken(f"{counted.output_tokens} output tokens were counted where at most {TOKENS} were asked for.")
    return Outcome.PASS, f"{counted.input_tokens} tokens in, {counted.output_tokens} out."


async def stop_reasons(bench: Bench) -> Found:
    short = await bench.client.generate(ask(tokens=1))
    if short.finish_reason != "length":
        raise Broken(f"An answer cut at one token ends with {short.finish_reason}, not with length.")
    whole = (await bench.client.generate(ask())).text
    words = whole.split()
    if len(words) < 3:
        return Outcome.UNVERIFIED, "Cut at one token it ends with length; the answer is too short for a stop string."
    stopped = await bench.client.generate(ask(stop=[words[2]]))
    if words[2] in stopped.text or stopped.finish_reason != "stop":
        raise Broken(f"A stop string was not honoured: finish reason {stopped.finish_reason}.")
    return Outcome.PASS, "length where it was cut, stop at a stop string that is left out."


async def tokenize(bench: Bench) -> Found:
    if bench.client.adapter.tokenize_request("", served_model="") is None:
        return Outcome.UNSUPPORTED, f"{bench.client.adapter.title} has no such endpoint; lengths are estimated."
    one, two = await bench.client.tokenize(QUESTION), await bench.client.tokenize(f"{QUESTION} {QUESTION}")
    if not len(two) > len(one) > 0:
        raise Broken(f"{len(one)} tokens for a sentence and {len(two)} for it twice.")
    return Outcome.PASS, f"“{QUESTION}” is {len(one)} tokens."


async def health(bench: Bench) -> Found:
    seen = await bench.client.health()
    if not seen.reachable:
        raise Broken(seen.error)
    if bench.client.served_model not in seen.served_models:
        raise Broken(f"It does not list {bench.client.served_model}.")
    known = [item.name for item in seen.inputs if item.value is not None]
    if "running" not in known:
        return Outcome.UNVERIFIED, "It answers, but does not tell its load."
    return Outcome.PASS, f"It tells {', '.join(known)}."


async def cancel(bench: Bench) -> Found:
    """A client that leaves must free the engine. Other traffic may run beside, so what was there before is the mark."""
    before = await running(bench)
    request = ask("Tell a very long story.", tokens=LONG_ANSWER, ignore_eos=True)
    async with aclosing(bench.client.stream(request)) as chunks:
        async for chunk in chunks:
            if chunk.has_content:
                break
        if not await _until(bench, lambda now: now > before, SHOWN_SECONDS):
            return Outcome.UNVERIFIED, "The running request did not show in the engine's metrics."
    began = time.monotonic()
    if not await _until(bench, lambda now: now <= before, GONE_SECONDS):
        raise Broken(f"It still ran {GONE_SECONDS:g} s after the client had left.")
    return Outcome.PASS, f"The running count was back {time.monotonic() - began:.1f} s after the client had left."


async def unicode(bench: Bench) -> Found:
    """A character is often several tokens: in a stream it must not come in broken pieces."""
    whole = (await bench.client.generate(ask(NOT_ASCII, tokens=64))).text
    text = "".join(chunk.text for chunk in await streamed(bench, ask(NOT_ASCII, tokens=64)))
    if whole != text:
        raise Broken("The streamed text is not the whole one.")
    if text.isascii():
        return Outcome.UNVERIFIED, "Streamed and whole text are equal, but this model answered in ASCII only."
    return Outcome.PASS, "Characters beyond ASCII came through the stream unbroken."


async def running(bench: Bench) -> float:
    """0 where nothing is told: TensorRT-LLM has no statistics while it is idle."""
    return next((item.value for item in await bench.client.metrics() if item.name == "running"), None) or 0.0


async def _until(bench: Bench, holds: Callable[[float], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if holds(await running(bench)):
            return True
        await asyncio.sleep(0.1)
    return False


async def streamed(bench: Bench, request: GenerateRequest) -> list[Chunk]:
    async with aclosing(bench.client.stream(request)) as chunks:
        return [chunk async for chunk in chunks]


def _ended(reason: str | None) -> None:
    if reason not in ENDS:
        raise Broken(f"The finish reason is {reason}, not stop or length.")


def _finish(chunks: list[Chunk]) -> str | None:
    return next((chunk.finish_reason for chunk in reversed(chunks) if chunk.finish_reason), None)


def _usage(chunks: list[Chunk]) -> Usage | None:
    return next((chunk.usage for chunk in reversed(chunks) if chunk.usage is not None), None)
