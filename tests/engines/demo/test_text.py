"""The demo model's questions: enough of them, well formed, and honest about what is held out."""

import random
from collections import Counter

import pytest

from engines.hf.demo.dialogs import Dialogs
from engines.hf.demo.text import TextError, load_questions, normalise, parse

QUESTIONS = load_questions()


def test_there_are_at_least_200_questions_each_in_several_wordings() -> None:
    assert len(QUESTIONS) >= 200
    assert [question.answer for question in QUESTIONS if len(question.wordings) < 5] == []
    assert [question.answer for question in QUESTIONS if not question.held_out] == []


def test_no_wording_is_used_twice_so_held_out_ones_are_never_trained_on() -> None:
    used = Counter(normalise(w) for question in QUESTIONS for w in (*question.wordings, *question.held_out))
    assert [wording for wording, times in used.items() if times > 1] == []


def test_every_answer_is_its_own_and_short() -> None:
    assert len({question.answer for question in QUESTIONS}) == len(QUESTIONS)
    assert [question.answer for question in QUESTIONS if len(question.answer.split()) > 45] == []


def test_random_changes_of_wording_never_make_a_held_out_one() -> None:
    held_out = {normalise(wording) for question in QUESTIONS for wording in question.held_out}
    dialogs = Dialogs(QUESTIONS, random.Random(3))
    asked = [piece.text for _ in range(3_000) for piece in dialogs.draw() if not piece.learned]
    plain = (text.removeprefix("<|user|>").removesuffix("<|end|><|assistant|>") for text in asked)
    assert held_out.isdisjoint(map(normalise, plain))


def test_a_block_is_wordings_held_out_wordings_and_one_answer() -> None:
    (question,) = parse("# note\n? What is A?\n? Define A\n~ A is?\n> The first letter.\n", topic="letters")
    assert question.topic == "letters"
    assert question.wordings == ("What is A?", "Define A")
    assert question.held_out == ("A is?",)
    assert question.answer == "The first letter."


@pytest.mark.parametrize(
    ("text", "fault"),
    [("? What is A?\n", "exactly one answer"), ("> A.\n", "wordings"), ("What is A?\n", "line 1: begin with")],
)
def test_a_broken_block_is_refused_with_its_place(text: str, fault: str) -> None:
    with pytest.raises(TextError, match=fault):
        list(parse(text, topic="letters"))
