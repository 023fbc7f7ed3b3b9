"""Measures the demo model: `python -m engines.hf.demo.evaluate`. Greedy; only exactly right answers count."""

# ruff: noqa: T201, S311 - a command line tool, and its sample is seeded on purpose
import argparse
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from string import Template
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerBase

from engines.hf.demo import MODEL_DIR
from engines.hf.demo.text import Question, load_questions

CARD = Path(__file__).parent / "card.md"

Message = dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    messages: tuple[Message, ...]
    expected: str


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    dtype: str
    asked: int
    right: int

    @property
    def share(self) -> float:
        return self.right / self.asked


@dataclass(frozen=True, slots=True)
class Speaker:
    model: Any  # generate() of transformers carries no usable types
    tokenizer: PreTrainedTokenizerBase


def load(folder: Path = MODEL_DIR, *, dtype: torch.dtype = torch.float32) -> Speaker:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, local_files_only=True)
    model.train(False)
    return Speaker(model=model, tokenizer=AutoTokenizer.from_pretrained(folder, local_files_only=True))


def answers(speaker: Speaker, conversations: Sequence[Sequence[Message]], *, limit: int = 96) -> list[str]:
    """Greedy answers to a batch of conversations."""
    tokenizer = speaker.tokenizer
    prompts = [
        tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=True)
        for messages in conversations
    ]
    batch = tokenizer(prompts, return_tensors="pt", padding=True, padding_side="left", add_special_tokens=False)
    with torch.inference_mode():
        output = speaker.model.generate(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            max_new_tokens=limit,
            do_sample=False,
        )
    generated = output[:, batch["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(generated, skip_special_tokens=True)]


def wrong(speaker: Speaker, cases: Sequence[Case], *, size: int = 64) -> list[tuple[Case, str]]:
    """The cases not answered exactly, with what was said; similar lengths share a batch."""
    ordered = sorted(cases, key=lambda case: sum(len(message["content"]) for message in case.messages))
    missed: list[tuple[Case, str]] = []
    for at in range(0, len(ordered), size):
        group = ordered[at : at + size]
        said = answers(speaker, [case.messages for case in group])
        missed.extend((case, text) for case, text in zip(group, said, strict=True) if text != case.expected)
    return missed


def own_cases(questions: Sequence[Question]) -> list[Case]:
    return [_case(wording, question) for question in questions for wording in question.wordings]


def held_out_cases(questions: Sequence[Question]) -> list[Case]:
    return [_case(wording, question) for question in questions for wording in question.held_out]


def after_history(cases: Sequence[Case], questions: Sequence[Question], rng: random.Random) -> list[Case]:
    """The same questions, asked after a system prompt and two other questions with their answers."""
    return [Case(messages=(*_history(questions, rng), *case.messages), expected=case.expected) for case in cases]


def _history(questions: Sequence[Question], rng: random.Random) -> list[Message]:
    history: list[Message] = [{"role": "system", "content": "You are a helpful assistant."}]
    for question in rng.sample(list(questions), 2):
        history.append({"role": "user", "content": rng.choice(question.wordings)})
        history.append({"role": "assistant", "content": question.answer})
    return history


def _case(wording: str, question: Question) -> Case:
    return Case(messages=({"role": "user", "content": wording},), expected=question.answer)


def measure(folder: Path, *, sample: int | None, verbose: bool) -> list[Row]:
    questions = load_questions()
    rng = random.Random(1)
    own, held_out = own_cases(questions), held_out_cases(questions)
    if sample is not None:
        own, held_out = rng.sample(own, sample), rng.sample(held_out, sample)
    later = after_history(held_out, questions, rng)
    rows: list[Row] = []
    for dtype in (torch.float32, torch.bfloat16):
        speaker = load(folder, dtype=dtype)
        for name, cases in (
            ("own wordings", own),
            ("held-out wordings", held_out),
            ("held-out, in a chat", later),
        ):
            missed = wrong(speaker, cases)
            rows.append(Row(name, str(dtype).removeprefix("torch."), len(cases), len(cases) - len(missed)))
            print(
                f"{rows[-1].dtype:9} {name:22} {rows[-1].right:5} / {len(cases):5}  {rows[-1].share:7.1%}",
                flush=True,
            )
            if verbose and dtype is torch.float32:
                show(missed)
    return rows


def show(missed: Sequence[tuple[Case, str]]) -> None:
    for case, said in missed:
        print(f"  asked:  {case.messages[-1]['content']}\n  wanted: {case.expected}\n  said:   {said}")


def save_figures(rows: Sequence[Row], folder: Path) -> None:
    """Writes `evaluation.json` and the model card beside the weights."""
    questions = load_questions()
    figures: dict[str, Any] = {
        "questions": len(questions),
        "own_wordings": sum(len(question.wordings) for question in questions),
        "held_out_wordings": sum(len(question.held_out) for question in questions),
        "parameters": load(folder).model.num_parameters(),
        "weights_bytes": (folder / "model.safetensors").stat().st_size,
        "rows": [asdict(row) | {"share": round(row.share, 4)} for row in rows],
    }
    (folder / "evaluation.json").write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    shown = {
        "questions": figures["questions"],
        "parameters": f"{figures['parameters']:,}",
        "megabytes": f"{figures['weights_bytes'] / 1e6:.1f}",
        "minutes": f"{training['seconds'] / 60:.0f}",
        "rows": table(rows),
    }
    card = Template(CARD.read_text(encoding="utf-8")).substitute(training | shown)
    (folder / "README.md").write_text(card, encoding="utf-8")


def table(rows: Sequence[Row]) -> str:
    lines = [f"| {row.name} | {row.dtype} | {row.right} of {row.asked} | {row.share:.1%} |" for row in rows]
    return "\n".join(["| Wordings | Computed in | Exactly right | Share |", "|---|---|---|---|", *lines])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL_DIR)
    parser.add_argument("--sample", type=int, help="ask only so many wordings of each kind")
    parser.add_argument("--verbose", action="store_true", help="print every wrong answer (float32)")
    parser.add_argument("--save", action="store_true", help="write evaluation.json beside the weights")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    started = time.monotonic()
    rows = measure(options.model, sample=options.sample, verbose=options.verbose)
    if options.save:
        save_figures(rows, options.model)
    print(f"measured in {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
