"""Trains the demo model from scratch: `python -m engines.hf.demo.train`. Seeded; one core is enough.

Writes config, weights (bf16) and tokenizer to `engines/hf/demo/model/`. Measure them with `evaluate --save`.
"""

# ruff: noqa: T201, S311 - a command line tool, and its randomness is seeded on purpose
import argparse
import json
import math
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from engines.hf.demo import MODEL_DIR
from engines.hf.demo.dialogs import SYSTEM_PROMPTS, Dialogs, Piece
from engines.hf.demo.text import load_questions
from engines.hf.demo.tokenizer import train_tokenizer

SEED = 20261123
POSITIONS = 16_384
VOCABULARY = 2_048
POOL = 32  # batches drawn at once and sorted by length, so that little padding is computed
PROMPT_WEIGHT = 0.1  # the prompt's tokens count a little, so that the model also learns how questions read


@dataclass(frozen=True, slots=True)
class Plan:
    steps: int = 1_700
    batch: int = 24
    peak_rate: float = 3e-3
    warm_up: int = 100
    weight_decay: float = 0.1
    precision: torch.dtype = torch.bfloat16  # of the matrix products; the weights stay float32 while learning


@dataclass(frozen=True, slots=True)
class Batch:
    inputs: torch.Tensor
    targets: torch.Tensor
    weights: torch.Tensor


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=640,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=POSITIONS,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config)  # type: ignore[no-untyped-call]


def batches(dialogs: Dialogs, tokenizer: PreTrainedTokenizerFast, *, size: int, rng: random.Random) -> Iterator[Batch]:
    while True:
        pool = sorted((encode(dialogs.draw(), tokenizer) for _ in range(size * POOL)), key=len)
        groups = [pool[at : at + size] for at in range(0, len(pool), size)]
        rng.shuffle(groups)
        for group in groups:
            yield collate(group, pad=tokenizer.pad_token_id)


def encode(pieces: list[Piece], tokenizer: PreTrainedTokenizerFast) -> list[tuple[int, float]]:
    encoded: list[tuple[int, float]] = []
    for piece in pieces:
        weight = 1.0 if piece.learned else PROMPT_WEIGHT
        encoded.extend((token, weight) for token in tokenizer.encode(piece.text))
    return encoded


def collate(group: list[list[tuple[int, float]]], *, pad: int) -> Batch:
    """Padding stands at the end with weight 0, so a causal model needs no attention mask."""
    width = max(len(row) for row in group)
    padded = [row + [(pad, 0.0)] * (width - len(row)) for row in group]
    tokens = torch.tensor([[token for token, _ in row] for row in padded])
    weights = torch.tensor([[weight for _, weight in row] for row in padded])
    return Batch(inputs=tokens[:, :-1], targets=tokens[:, 1:], weights=weights[:, 1:])


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    hidden = model.model(input_ids=batch.inputs, use_cache=False).last_hidden_state
    counted = batch.weights > 0
    losses = cross_entropy(model.lm_head(hidden[counted]), batch.targets[counted], reduction="none")
    weights = batch.weights[counted]
    return (losses * weights).sum() / weights.sum()


def rate_at(step: int, plan: Plan) -> float:
    """Linear warm-up, then a cosine down to 2 % of the peak."""
    if step < plan.warm_up:
        return plan.peak_rate * (step + 1) / plan.warm_up
    done = (step - plan.warm_up) / max(1, plan.steps - plan.warm_up)
    return plan.peak_rate * (0.02 + 0.98 * (1 + math.cos(math.pi * done)) / 2)


def fit(model: LlamaForCausalLM, source: Iterator[Batch], plan: Plan) -> None:
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=plan.peak_rate, betas=(0.9, 0.98), weight_decay=plan.weight_decay, fused=True
    )
    started = time.monotonic()
    for step in range(plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = rate_at(step, plan)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=plan.precision is torch.bfloat16):
            loss = loss_of(model, next(source))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 50 == 0 or step == plan.steps - 1:
            print(f"step {step:5d}  loss {loss.item():.4f}  {time.monotonic() - started:6.0f} s", flush=True)


def save(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False,
        max_new_tokens=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.bfloat16().save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def train(plan: Plan, folder: Path) -> None:
    torch.manual_seed(SEED)
    rng = random.Random(SEED)
    questions = load_questions()
    texts = [text for question in questions for text in (*question.wordings, question.answer, question.answer)]
    tokenizer = train_tokenizer([*texts, *SYSTEM_PROMPTS], vocabulary=VOCABULARY, positions=POSITIONS)
    model = new_model(tokenizer)
    print(
        f"{len(questions)} questions, {model.num_parameters():,} parameters, {len(tokenizer)} tokens",
        flush=True,
    )
    fit(model, batches(Dialogs(questions, rng), tokenizer, size=plan.batch, rng=rng), plan)
    save(model, tokenizer, folder)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=Plan().steps)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="for CPUs without fast bfloat16 (avx512_bf16, amx)")
    parser.add_argument("--out", type=Path, default=MODEL_DIR)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    started = time.monotonic()
    precision = torch.float32 if options.float32 else torch.bfloat16
    train(Plan(steps=options.steps, precision=precision), options.out)
    seconds = round(time.monotonic() - started)
    facts = {
        "seed": SEED,
        "steps": options.steps,
        "threads": options.threads,
        "precision": str(precision).removeprefix("torch."),
        "seconds": seconds,
    }
    (options.out / "training.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    print(f"trained in {seconds} s on {options.threads} thread(s): {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
