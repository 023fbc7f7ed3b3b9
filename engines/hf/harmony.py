"""Splits GPT-OSS's harmony channels by their marker tokens: analysis is reasoning, everything else content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

REASONING_CHANNEL = "analysis"


@dataclass(frozen=True, slots=True)
class Markers:
    start: int
    channel: int
    message: int
    ends: frozenset[int]

    @property
    def all(self) -> frozenset[int]:
        return self.ends | {self.start, self.channel, self.message}


def markers(tokenizer: Any) -> Markers | None:
    """None for every model that does not speak harmony."""
    vocabulary = tokenizer.get_vocab()
    if not all(mark in vocabulary for mark in ("<|start|>", "<|channel|>", "<|message|>", "<|end|>")):
        return None
    ends = frozenset(vocabulary[name] for name in ("<|end|>", "<|return|>", "<|call|>") if name in vocabulary)
    return Markers(vocabulary["<|start|>"], vocabulary["<|channel|>"], vocabulary["<|message|>"], ends)


class ChannelSplitter:
    """Sorts tokens into (tokens, is_reasoning) runs. A header's own tokens are dropped; text before any header is
    content, so a model that ignores the format still gets its answer through."""

    def __init__(self, marks: Markers, tokenizer: Any) -> None:
        self._marks = marks
        self._tokenizer = tokenizer
        self._header: list[int] | None = None
        self._reasoning = False

    def push(self, tokens: list[int]) -> list[tuple[list[int], bool]]:
        runs: list[tuple[list[int], bool]] = []
        for token in tokens:
            if token in self._marks.all:
                self._mark(token)
            elif self._header is not None:
                self._header.append(token)
            elif runs and runs[-1][1] == self._reasoning:
                runs[-1][0].append(token)
            else:
                runs.append(([token], self._reasoning))
        return runs

    def _mark(self, token: int) -> None:
        if token in (self._marks.start, self._marks.channel):
            self._header = []
        elif token == self._marks.message:
            name = self._tokenizer.decode(self._header or []).strip().split()
            self._reasoning = bool(name) and name[0].startswith(REASONING_CHANNEL)
            self._header = None
        else:
            self._header, self._reasoning = None, False
