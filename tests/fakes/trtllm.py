"""A protocol double of TensorRT-LLM's `trtllm-serve` 1.2: its documented requests and answers, no model behind them.

Sources: engines.md §2 and, read there again, tensorrt_llm/serve/openai_server.py at 00057725 (flat errors, validation
errors as a string, a departed client noticed by polling, no look at the model's name). Nothing was seen on hardware.
"""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

# §2.2: unknown fields are refused. These are fields of ChatCompletionRequest, those that we never send among them.
KNOWN = frozenset({
    "messages", "model", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "max_completion_tokens",
    "max_tokens", "n", "presence_penalty", "response_format", "seed", "stop", "stream", "stream_options", "temperature",
    "top_p", "tools", "tool_choice", "user", "reasoning_effort", "best_of", "use_beam_search", "top_k", "min_p",
    "repetition_penalty", "min_tokens", "stop_token_ids", "ignore_eos", "skip_special_tokens", "truncate_prompt_tokens",
    "add_generation_prompt", "cache_salt",
})  # fmt: skip
CONTEXT = 2048
WORDS = ("A", "canary", "gets", "a", "small", "share", "of", "the", "traffic", "first.", "Größe", "🙂", "zählt")
POLL_SECONDS = 1.0  # §2.3: await_disconnected asks once a second


class TrtllmDouble:
    """Set the fields before a call. `pause` is seconds between tokens."""

    def __init__(self, *, guided: bool = True, pause: float = 0.002) -> None:
        self.guided = guided  # with guided_decoding_backend in the server's options
        self.pause = pause
        self.active = 0
        self.iterations = 0
        routes = [
            Route("/health", self._health),
            Route("/version", self._version),
            Route("/v1/models", self._models),
            Route("/metrics", self._metrics),
            Route("/v1/chat/completions", self._chat, methods=["POST"]),
        ]
        self.app = Starlette(routes=routes)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _health(self, _request: Request) -> Response:
        return Response(status_code=200)

    async def _version(self, _request: Request) -> Response:
        return JSONResponse({"version": "1.2.1"})

    async def _models(self, _request: Request) -> Response:
        """§2.1: one entry, the directory's name, no max_model_len."""
        entry = {"id": "m", "object": "model", "created": 1, "owned_by": "tensorrt_llm"}
        return JSONResponse({"object": "list", "data": [entry]})

    async def _metrics(self, _request: Request) -> Response:
        """§2.4: iteration statistics, drained by reading; an idle engine has none."""
        if not self.active:
            return JSONResponse([])
        cache = {"maxNumBlocks": 100, "freeNumBlocks": 90, "usedNumBlocks": 10, "tokensPerBlock": 32,
                 "reusedBlocks": 3, "missedBlocks": 1, "cacheHitRate": 0.75}  # fmt: skip
        return JSONResponse([{"iter": self.iterations, "numActiveRequests": self.active, "numQueuedRequests": 0,
                              "kvCacheStats": cache}])  # fmt: skip

    async def _chat(self, request: Request) -> Response:
        body = await request.json()
        if unknown := sorted(set(body) - KNOWN):
            return JSONResponse({"error": f"extra_forbidden: {', '.join(unknown)}"}, status_code=400)
        if not isinstance(body.get("messages"), list) or not body["messages"]:
            return JSONResponse({"error": "Input should be a valid list"}, status_code=400)
        if refusal := self._refusal(body):
            return flat_error(refusal)
        prompt = sum(len(str(message.get("content", "")).split()) for message in body["messages"])
        words, reason = self._answer(body)
        counts = {"prompt_tokens": prompt, "completion_tokens": len(words), "total_tokens": prompt + len(words),
                  "prompt_tokens_details": {"cached_tokens": 0}}  # fmt: skip
        if not body.get("stream"):
            text = self._text(body, words)
            choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": reason}
            if body.get("logprobs"):
                choice["logprobs"] = {
                    "content": [{"token": word, "logprob": -0.1, "top_logprobs": []} for word in words]
                }
            return JSONResponse({"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "m",
                                 "choices": [choice], "usage": counts})  # fmt: skip
        return StreamingResponse(self._stream(request, words, reason, counts), media_type="text/event-stream")

    def _refusal(self, body: dict[str, Any]) -> str:
        if sum(len(str(message.get("content", "")).split()) for message in body["messages"]) > CONTEXT:
            return "The sum of prompt length and max_tokens should not exceed max_num_tokens"
        if body.get("tools"):
            return "tools need --tool_parser"
        if body.get("response_format", {}).get("type") == "json_schema" and not self.guided:
            return "guided_decoding_backend must be set"
        return ""

    def _answer(self, body: dict[str, Any]) -> tuple[list[str], str]:
        most = body.get("max_completion_tokens") or body.get("max_tokens") or 16
        source = WORDS * (most // len(WORDS) + 1) if body.get("ignore_eos") else WORDS
        words = list(source[:most])
        for number, word in enumerate(words):
            if any(stop in word for stop in body.get("stop") or ()):
                return words[:number], "stop"
        return words, "length" if len(words) == most else "stop"

    def _text(self, body: dict[str, Any], words: list[str]) -> str:
        if body.get("response_format", {}).get("type") == "json_schema":
            return json.dumps({"city": "Paris"})
        return "".join(f"{word} " for word in words)

    async def _stream(
        self, request: Request, words: list[str], reason: str, counts: dict[str, Any]
    ) -> AsyncIterator[bytes]:
        """§2.3: a blank after the data; the id may differ from chunk to chunk."""
        self.active += 1
        polled = time.monotonic()
        try:
            for number, word in enumerate(words):
                await asyncio.sleep(self.pause)
                self.iterations += 1
                last = reason if number == len(words) - 1 else None
                yield chunk(number, {"content": f"{word} "}, last)
                if time.monotonic() - polled > POLL_SECONDS:
                    polled = time.monotonic()
                    if await request.is_disconnected():
                        return
            tail = {"id": "chatcmpl-u", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": []}
            yield event({**tail, "usage": counts})
            yield b"data: [DONE]\n\n"
        finally:
            self.active -= 1


def chunk(number: int, delta: dict[str, Any], reason: str | None) -> bytes:
    choice = {"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": reason}
    return event({"id": f"chatcmpl-{number}", "object": "chat.completion.chunk", "created": 1, "model": "m",
                  "choices": [choice]})  # fmt: skip


def event(data: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b" \n\n"


def flat_error(message: str) -> Response:
    """§2.3: nearly every error is a flat 400."""
    body = {"object": "error", "message": message, "type": "BadRequestError", "param": None, "code": 400}
    return JSONResponse(body, status_code=400)


@contextlib.contextmanager
def serve(**settings: Any) -> Iterator[TrtllmDouble]:
    double = TrtllmDouble(**settings)
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    double.port = sock.getsockname()[1]
    config = uvicorn.Config(double.app, lifespan="off", log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([sock],), name="trtllm-double", daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.002)
    try:
        yield double
    finally:
        server.should_exit = server.force_exit = True
        thread.join(10)
