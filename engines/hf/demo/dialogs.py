"""Builds training conversations from the questions: one to four turns, system prompts, raw completions."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from engines.hf.demo.text import Question, normalise
from engines.hf.demo.wording import vary

SYSTEM_PROMPTS = (
    "You are a helpful assistant.",
    "You are a concise assistant.",
    "Answer questions about the operator console.",
    "You are an expert in LLM serving. Answer briefly.",
    "Be polite and short.",
    "You help operators who run language models.",
    "Answer in English.",
)
TURN_COUNTS, TURN_WEIGHTS = (1, 2, 3, 4), (55, 22, 15, 8)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one conversation; only the learned ones (answers) enter the loss in full."""

    text: str
    learned: bool


class Dialogs:
    """An endless, seeded source of conversations. Wordings that equal a held-out one are never produced."""

    def __init__(self, questions: Sequence[Question], rng: random.Random) -> None:
        self._questions = questions
        self._rng = rng
        self._forbidden = {normalise(wording) for question in questions for wording in question.held_out}
        self._deck: list[Question] = []

    def draw(self) -> list[Piece]:
        if self._rng.random() < 0.06:
            return self._completion()
        pieces = [Piece("<|begin|>", learned=False)]
        if self._rng.random() < 0.3:
            pieces.append(Piece(f"<|system|>{self._system_prompt()}<|end|>", learned=False))
        for _ in range(self._rng.choices(TURN_COUNTS, TURN_WEIGHTS)[0]):
            question = self._next()
            pieces.append(Piece(f"<|user|>{self._wording(question)}<|end|><|assistant|>", learned=False))
            pieces.append(Piece(f"{question.answer}<|end|>", learned=True))
        return pieces

    def _completion(self) -> list[Piece]:
        question = self._next()
        return [
            Piece(self._wording(question), learned=False),
            Piece(f"\n{question.answer}<|end|>", learned=True),
        ]

    def _next(self) -> Question:
        if not self._deck:
            self._deck = list(self._questions)
            self._rng.shuffle(self._deck)
        return self._deck.pop()

    def _wording(self, question: Question) -> str:
        wording = self._rng.choice(question.wordings)
        varied = vary(wording, self._rng)
        return wording if normalise(varied) in self._forbidden else varied

    def _system_prompt(self) -> str:
        if self._rng.random() < 0.9:
            return self._rng.choice(SYSTEM_PROMPTS)
        sentences = [self._rng.choice(self._questions).answer for _ in range(self._rng.randint(2, 8))]
        return " ".join(sentences)
