"""Prompts: reproducible by id, unique by salt, at the lengths asked for."""

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engines.hf.demo.text import load_questions
from gates.load.workload import InvalidWorkload, PromptSource, length
from gates.policy import Workload

SOURCES = (
    Workload(),
    Workload(source="synthetic", input_tokens=32, input_sigma=0.6),
    Workload(source="upload", lines=('{"messages": [{"role": "system", "content": "Be brief."}], "max_tokens": 9}',)),
)


@settings(max_examples=30, deadline=None)
@given(workload=st.sampled_from(SOURCES), index=st.integers(0, 10_000), seed=st.integers(0, 2**31))
def test_an_id_always_stands_for_the_same_words(workload, index, seed):
    one, other = PromptSource(workload, seed), PromptSource(workload, seed)
    chosen = one.choose("spike", index)
    assert chosen == other.choose("spike", index)
    assert one.messages(chosen.prompt_id) == other.messages(chosen.prompt_id)


def test_a_salted_prompt_begins_unlike_every_other():
    source = PromptSource(Workload(), 1)
    starts = {source.messages(source.choose("spike", i).prompt_id)[0]["content"][:18] for i in range(500)}
    assert len(starts) == 500


def test_a_second_attempt_is_salted_anew():
    source = PromptSource(Workload(), 1)
    chosen = source.choose("spike", 1).prompt_id
    first, second = source.messages(chosen), source.messages(chosen, 2)
    assert first != second
    assert first[0]["content"].partition("] ")[2] == second[0]["content"].partition("] ")[2]


def test_the_warm_cache_scenario_repeats_its_prompts_unsalted():
    source = PromptSource(Workload(source="synthetic", input_tokens=20, salted=False), 1)
    found = {source.messages(source.choose("spike", i).prompt_id)[0]["content"] for i in range(200)}
    assert 1 < len(found) <= 16


@pytest.mark.parametrize("workload", SOURCES)
def test_warm_up_never_asks_a_measured_prompt(workload):
    source = PromptSource(workload, 1)
    warm = {source.messages(source.choose_warm_up(i).prompt_id)[0]["content"].partition("] ")[2] for i in range(50)}
    measured = {source.messages(source.choose("spike", i).prompt_id)[0]["content"].partition("] ")[2]
                for i in range(2000)}  # fmt: skip
    assert not warm & measured


def test_the_built_in_prompts_are_the_questions_of_the_demo_model():
    source = PromptSource(Workload(salted=False), 1)
    known = {wording for question in load_questions() for wording in question.wordings}
    assert all(source.messages(source.choose("spike", i).prompt_id)[0]["content"] in known for i in range(50))


def test_lognormal_lengths_keep_their_mean_and_their_cut():
    shares = [(i + 0.5) / 2000 for i in range(2000)]
    assert {length(100, 0.0, share) for share in shares} == {100}
    found = [length(100, 0.5, share) for share in shares]
    assert statistics.fmean(found) == pytest.approx(100, rel=0.03)
    assert min(found) >= 1
    assert max(found) <= 400


def test_an_uploaded_line_may_state_its_own_limit_and_an_image_part():
    parts = '{"messages": [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}], "max_tokens": 7}'
    source = PromptSource(Workload(source="upload", lines=(parts,)), 1)
    chosen = source.choose("spike", 0)
    assert chosen.max_tokens == 7
    content = source.messages(chosen.prompt_id)[0]["content"]
    assert [part["type"] for part in content] == ["text", "text"]


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        (Workload(source="upload", lines=("{",)), "line 1 is not JSON"),
        (Workload(source="upload", lines=('{"prompt": "a"}', "[]")), "line 2 needs"),
        (Workload(source="upload", lines=('{"prompt": "a", "max_tokens": 0}',)), "line 1 needs"),
        (Workload(source="upload"), "at least one line"),
        (Workload(source="replay"), "no recorded traffic"),
        (Workload(source="poetry"), "poetry"),
    ],
)
def test_a_workload_that_cannot_be_asked_says_what_to_change(workload, words):
    with pytest.raises(InvalidWorkload, match=words):
        PromptSource(workload, 1)
