"""The committed weights: within their limits, and able to answer by themselves."""

import json
import random
from collections.abc import Iterator, Sequence

import pytest
import torch

from engines.hf.demo import MODEL_DIR
from engines.hf.demo.evaluate import Case, Speaker, answers, held_out_cases, load, own_cases, wrong
from engines.hf.demo.text import load_questions

QUESTIONS = load_questions()


@pytest.fixture(scope="module")
def speaker() -> Iterator[Speaker]:
    """On one thread: for so small a model two threads mostly wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield load(MODEL_DIR, dtype=torch.bfloat16)
    torch.set_num_threads(threads)


def right(speaker: Speaker, cases: Sequence[Case]) -> float:
    sample = random.Random(7).sample(list(cases), 40)
    return 1 - len(wrong(speaker, sample)) / len(sample)


def test_the_model_is_a_tiny_llama_with_16384_positions(speaker: Speaker) -> None:
    config = json.loads((MODEL_DIR / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["max_position_embeddings"] == 16_384
    assert speaker.model.num_parameters() <= 4_000_000
    assert (MODEL_DIR / "model.safetensors").stat().st_size <= 10_000_000


def test_its_card_gives_the_measured_figures() -> None:
    card = (MODEL_DIR / "README.md").read_text()
    figures = json.loads((MODEL_DIR / "evaluation.json").read_text())
    assert "It is not a general language model" in card
    assert [row["name"] for row in figures["rows"] if f"{row['right']} of {row['asked']}" not in card] == []


def test_the_stored_figures_reach_their_targets_and_belong_to_this_text() -> None:
    figures = json.loads((MODEL_DIR / "evaluation.json").read_text())
    assert figures["questions"] == len(QUESTIONS)
    assert figures["own_wordings"] == len(own_cases(QUESTIONS))
    assert figures["held_out_wordings"] == len(held_out_cases(QUESTIONS))
    shares = {(row["name"], row["dtype"]): row["share"] for row in figures["rows"]}
    for dtype in ("float32", "bfloat16"):
        assert shares["own wordings", dtype] >= 0.95
        assert shares["held-out wordings", dtype] >= 0.75


def test_it_answers_its_own_wordings_exactly(speaker: Speaker) -> None:
    assert right(speaker, own_cases(QUESTIONS)) >= 0.9


def test_it_answers_held_out_wordings_exactly(speaker: Speaker) -> None:
    assert right(speaker, held_out_cases(QUESTIONS)) >= 0.7


def test_any_unicode_text_survives_the_tokenizer_and_the_chat_template(speaker: Speaker) -> None:
    text = "Grüße, 你好, こんにちは, 🚀👩‍🚀, naïve\n\tтест  \u0000\u202e"
    tokenizer = speaker.tokenizer
    assert tokenizer.decode(tokenizer.encode(text)) == text
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
    )
    assert prompt == f"<|begin|><|user|>{text}<|end|><|assistant|>"


def test_the_chat_template_takes_lists_of_parts_and_refuses_unknown_roles(speaker: Speaker) -> None:
    parts = [{"type": "text", "text": "What is "}, {"type": "text", "text": "a canary?"}]
    chat = [{"role": "developer", "content": "Be short."}, {"role": "user", "content": parts}]
    prompt = speaker.tokenizer.apply_chat_template(chat, tokenize=False)
    assert prompt == "<|begin|><|system|>Be short.<|end|><|user|>What is a canary?<|end|>"
    with pytest.raises(Exception, match="Unknown role wizard"):
        speaker.tokenizer.apply_chat_template([{"role": "wizard", "content": "x"}], tokenize=False)


def test_nine_thousand_tokens_of_input_still_give_an_answer(speaker: Speaker) -> None:
    filler = "The gateway carries the traffic. " * 1_550
    assert len(speaker.tokenizer.encode(filler)) > 9_000
    (said,) = answers(speaker, [[{"role": "user", "content": filler + "What is a canary?"}]], limit=2)
    assert said
