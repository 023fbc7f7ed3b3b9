"""One streamed answer on its way through: raw events forwarded, only those that matter parsed.

Events are held until the first content. From then on an event that plainly is one more piece of content passes as
the bytes it came in; errors, finish reasons, usage, [DONE] and anything of unusual form take the careful way.
"""

from typing import Any

import orjson

from engines.adapters.base import Adapter
from engines.client import EngineFailure, Failure, FailureKind, Operation, Usage
from engines.sse import DONE, MAX_STREAM_BYTES, EventTooLarge, Splitter, payload
from routing.gateway.upstream import failure

HELD_BYTES = 256 * 1024
DONE_EVENT = b"data: [DONE]\n\n"
UNTRUSTED = b'"error"', b"[DONE]", b'"finish_reason":"', b'"finish_reason": "', b'"usage":{', b'"usage": {'


class EventStream:
    """Bytes of an engine in, bytes for the client out. Raises EngineFailure for what is no good answer."""

    __slots__ = (
        "_adapter", "_aligned", "_changes", "_engine", "_first", "_held", "_operation", "_public", "_splitter",
        "_wants_usage", "done", "finish_reason", "has_content", "pieces", "usage",
    )  # fmt: skip

    def __init__(self, adapter: Adapter, operation: Operation, *, engine: str, public: str, wants_usage: bool) -> None:
        self._adapter = adapter
        self._operation = operation
        self._engine = engine
        self._public = public
        self._wants_usage = wants_usage
        self._splitter = Splitter()
        self._changes: tuple[tuple[bytes, bytes], ...] = ()
        self._first = True
        self._aligned = False  # the last bytes ended an event, so the splitter holds nothing back
        self._held: list[bytes] = []
        self.has_content = False
        self.done = False
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.pieces = 0

    @property
    def complete(self) -> bool:
        """[DONE] or a finish reason was seen; the end of the connection alone proves nothing."""
        return self.done or self.finish_reason is not None

    def hold(self, data: bytes) -> bool:
        """Before the first content: keep what is to be sent. True once there is content, or a regular end."""
        self._held.extend(self._careful(block) for block in self._blocks(data))
        if sum(map(len, self._held)) > HELD_BYTES and not self.has_content:
            raise failure(FailureKind.MALFORMED, "The engine sent too much before any content.")
        return self.has_content or self.complete

    def take(self) -> bytes:
        held, self._held = b"".join(self._held), []
        return held

    def forward(self, data: bytes) -> bytes:
        """After the first content: what the client gets for `data`."""
        if self._aligned and data.endswith(b"}\n\n") and data.count(b"\n\n") == 1 and b"\r" not in data:
            self._splitter.bytes_seen += len(data)  # one whole event: nothing to cut
            if self._splitter.bytes_seen > MAX_STREAM_BYTES:
                raise failure(FailureKind.MALFORMED, "The engine's answer is too large.")
            return self._pass(data[:-2])
        blocks = self._blocks(data)
        self._aligned = data.endswith(b"\n\n")
        return b"".join([self._pass(block) for block in blocks])

    def close(self) -> bytes:
        """The engine's answer has ended: what the client still has to get."""
        if not self.complete:
            raise failure(FailureKind.TRUNCATED, "The engine ended the answer before it was complete.")
        if self.done:
            return b""
        self.done = True
        return DONE_EVENT

    def _blocks(self, data: bytes) -> list[bytes]:
        try:
            return self._splitter.blocks(data)
        except EventTooLarge:
            raise failure(FailureKind.MALFORMED, "The engine's answer is too large.") from None

    def _pass(self, block: bytes) -> bytes:
        if block.startswith(b"data: {") and block.endswith(b"}") and not self.done:
            for mark in UNTRUSTED:
                if mark in block:
                    return self._careful(block)
            self.pieces += 1
            for old, new in self._changes:
                block = block.replace(old, new, 1)
            return block + b"\n\n"
        return self._careful(block)

    def _careful(self, block: bytes) -> bytes:
        data = payload(block)
        if data is None or self.done:
            return b""
        if data == DONE:
            self.done = True
            return DONE_EVENT
        event = _parse(data)
        chunk = self._adapter.parse_event(self._operation, event)
        if isinstance(chunk, Failure):
            raise EngineFailure(chunk)
        if chunk.usage is not None:
            self.usage = chunk.usage
            if not event.get("choices") and not self._wants_usage:
                return b""
        if chunk.has_content:
            self.has_content = True
            self.pieces += 1
        self.finish_reason = chunk.finish_reason or self.finish_reason
        return self._encode(event)

    def _encode(self, event: dict[str, Any]) -> bytes:
        if self._first:
            self._changes = _model_changes(event.get("model"), self._public)
            event["chosen_engine"] = self._engine
            self._first = False
        event["model"] = self._public
        return b"data: " + orjson.dumps(event) + b"\n\n"


def _parse(data: bytes) -> dict[str, Any]:
    try:
        event = orjson.loads(data)
    except orjson.JSONDecodeError:
        event = None
    if type(event) is not dict:
        raise failure(FailureKind.MALFORMED, "The engine sent an event that is not a JSON object.")
    return event


def _model_changes(own: object, public: str) -> tuple[tuple[bytes, bytes], ...]:
    """What turns the engine's own name for the model, as its first event has it, into the public one."""
    if type(own) is not str or own == public:
        return ()
    old, new = orjson.dumps(own), orjson.dumps(public)
    return tuple((key + old, key + new) for key in (b'"model":', b'"model": '))
