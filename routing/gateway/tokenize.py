"""/tokenize: count and list the tokens of a text with the engine that the rules choose."""

import asyncio
from dataclasses import replace
from typing import Any

import orjson

from engines.client import FailureKind, Feature
from routing.decision import Decision
from routing.gateway.attempt import Attempt
from routing.gateway.exchange import Exchange
from routing.gateway.facts import tokenize
from routing.gateway.upstream import failure
from routing.gateway.validate import text_of

ANSWER_SECONDS = 10.0


class TokenizeExchange(Exchange):
    """The same way as a generation, but for the operation: text only, without a chat template."""

    operation_name = "tokenize"

    def _clean(self, body: dict[str, Any]) -> dict[str, Any]:
        if "messages" in body and "prompt" not in body:
            body = {**body, "prompt": text_of(body)} if _plain(body["messages"]) else body
        return super()._clean({name: body[name] for name in ("model", "prompt", "user") if name in body})

    def _decide(self) -> Decision:
        self.facts = replace(self.facts, features=frozenset({Feature.TOKENIZE}), required_context=0)
        return super()._decide()

    async def _run(self, attempt: Attempt, *, fresh: bool) -> None:
        target, text = attempt.target, self.request["prompt"]
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                tokens = await tokenize(self.hub, target, text, self.request_id)
        except TimeoutError:
            raise failure(FailureKind.TIMEOUT, "The engine did not answer in time.") from None
        answer = {
            "object": "tokens",
            "model": self.facts.route,
            "count": len(tokens),
            "tokens": tokens,
            "max_model_len": target.engine.context_length,
            "chosen_engine": target.engine.name,
        }
        attempt.status = 200
        await self.reply.json(200, orjson.dumps(answer), self.headers_for(attempt))


def _plain(messages: Any) -> bool:
    return type(messages) is list and all(
        type(message) is dict and type(message.get("content")) is str for message in messages
    )
