"""From token ids to the text a client may see: incremental decoding and stop strings. Pure."""

from __future__ import annotations

import logging

from tokenizers import Tokenizer
from tokenizers.decoders import DecodeStream

log = logging.getLogger(__name__)


class Detokenizer:
    """Gives out only whole characters; what is left incomplete at the end comes from `flush`."""

    def __init__(self, tokenizer: Tokenizer, hidden: frozenset[int]) -> None:
        self._tokenizer = tokenizer
        self._hidden = hidden
        self._stream = DecodeStream(skip_special_tokens=True)
        self._pending: list[int] = []

    def push(self, tokens: list[int]) -> str:
        pieces = []
        for token in tokens:
            if token in self._hidden:
                continue
            self._pending.append(token)
            piece = self._step(token)
            if piece is not None:
                pieces.append(piece)
                self._pending.clear()
        return "".join(pieces)

    def flush(self) -> str:
        text = self._tokenizer.decode(self._pending, skip_special_tokens=True) if self._pending else ""
        self._pending.clear()
        return text

    def _step(self, token: int) -> str | None:
        try:
            return self._stream.step(self._tokenizer, token)
        except Exception:  # noqa: BLE001 - the library raises a bare one when a decoder rewrites earlier text
            log.warning("the decoder lost its place; going on with a fresh one")
            self._stream = DecodeStream(skip_special_tokens=True)
            return self._tokenizer.decode(self._pending, skip_special_tokens=True)


class StopFinder:
    """Lets text through up to the first stop string, holding back what may be the beginning of one."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops = stops
        self._held = ""
        self.found: str | None = None

    def push(self, text: str) -> str:
        if not self._stops or self.found is not None:
            return "" if self.found is not None else text
        self._held += text
        hits = [(self._held.find(stop), stop) for stop in self._stops if stop in self._held]
        if hits:
            at, self.found = min(hits)
            return self._release(at)
        return self._release(len(self._held) - self._partial())

    def flush(self) -> str:
        return "" if self.found is not None else self._release(len(self._held))

    def _release(self, at: int) -> str:
        out, self._held = self._held[:at], self._held[at:]
        return out

    def _partial(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = min(len(self._held), max(map(len, self._stops)) - 1)
        for size in range(longest, 0, -1):
            end = self._held[-size:]
            if any(stop.startswith(end) for stop in self._stops):
                return size
        return 0
