"""Reads the questions and answers that the demo model learns (`text/*.txt`). Needs no torch.

A block is `?` lines (wordings trained on), `~` lines (wordings held out for evaluation) and one `>` answer;
blank lines part blocks, `#` starts a comment.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

TEXT_DIR = Path(__file__).parent / "text"


class TextError(ValueError):
    """A text file breaks the block format; the message names file and line."""


@dataclass(frozen=True, slots=True)
class Question:
    topic: str
    wordings: tuple[str, ...]
    held_out: tuple[str, ...]
    answer: str


def normalise(wording: str) -> str:
    """Two wordings are the same if only case, spaces and punctuation part them."""
    kept = "".join(char if char.isalnum() else " " for char in wording.lower())
    return " ".join(kept.split())


def load_questions(folder: Path = TEXT_DIR) -> tuple[Question, ...]:
    questions: list[Question] = []
    for path in sorted(folder.glob("*.txt")):
        questions.extend(parse(path.read_text(encoding="utf-8"), topic=path.stem))
    return tuple(questions)


def parse(text: str, *, topic: str) -> Iterable[Question]:
    block: dict[str, list[str]] = {"?": [], "~": [], ">": []}
    for number, line in enumerate([*text.splitlines(), ""], start=1):
        mark, body = line[:1], line[1:].strip()
        if mark == "#":
            continue
        if mark in block and body:
            block[mark].append(body)
        elif line.strip():
            raise TextError(f"{topic}.txt line {number}: begin with ?, ~, > or #")
        elif any(block.values()):
            yield _question(block, topic=topic, line=number)
            block = {"?": [], "~": [], ">": []}


def _question(block: dict[str, list[str]], *, topic: str, line: int) -> Question:
    if not block["?"] or len(block[">"]) != 1:
        raise TextError(f"{topic}.txt, block before line {line}: needs wordings (?) and exactly one answer (>)")
    return Question(topic=topic, wordings=tuple(block["?"]), held_out=tuple(block["~"]), answer=block[">"][0])
