"""Characters split over tokens come out whole; stop strings split over tokens never come out."""

from __future__ import annotations

import random

import pytest

from engines.hf.text import Detokenizer, StopFinder
from tests.engines.hf.tiny import PLAIN, byte_tokenizer

TOKENIZER = byte_tokenizer(PLAIN)


def decode_one_by_one(text: str) -> list[str]:
    detokenizer = Detokenizer(TOKENIZER.backend_tokenizer, frozenset())
    tokens = TOKENIZER.backend_tokenizer.encode(text).ids
    return [detokenizer.push([token]) for token in tokens] + [detokenizer.flush()]


@pytest.mark.parametrize(
    "text", ["plain", "grüß dich", "日本語のテキスト", "👩‍👩‍👧 family", "a\u0301e\u0301", " lead", "\n\n"]
)
def test_characters_split_over_tokens_come_out_whole(text: str) -> None:
    pieces = decode_one_by_one(text)
    assert "".join(pieces) == text
    assert not any("\ufffd" in piece for piece in pieces)


def test_an_unfinished_character_is_marked_at_the_end() -> None:
    detokenizer = Detokenizer(TOKENIZER.backend_tokenizer, frozenset())
    tokens = TOKENIZER.backend_tokenizer.encode("a🙂").ids
    assert detokenizer.push(tokens[:-1]) == "a"
    assert "\ufffd" in detokenizer.flush()
    assert detokenizer.flush() == ""


def test_end_tokens_are_not_text() -> None:
    end = TOKENIZER.eos_token_id
    detokenizer = Detokenizer(TOKENIZER.backend_tokenizer, frozenset({end}))
    assert detokenizer.push([*TOKENIZER.backend_tokenizer.encode("ok").ids, end]) == "ok"
    assert detokenizer.flush() == ""


def test_a_partial_stop_is_held_back_until_it_is_none() -> None:
    finder = StopFinder(("STOP",))
    assert finder.push("go ST") == "go "
    assert finder.push("A") == "STA"
    assert finder.push("R ST") == "R "
    assert finder.flush() == "ST"


def test_the_earliest_of_several_stops_ends_the_text() -> None:
    finder = StopFinder(("later", "on"))
    assert finder.push("go on until later") == "go "
    assert finder.found == "on"
    assert finder.push("more") == ""
    assert finder.flush() == ""


def test_a_stop_is_found_however_the_text_is_cut() -> None:
    text, stop = "abaabaaabaaaab then the rest", "aaaab"
    for seed in range(200):
        cuts = sorted(random.Random(seed).sample(range(len(text)), 6))
        parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
        finder = StopFinder((stop, "never"))
        assert "".join(map(finder.push, parts)) + finder.flush() == text[: text.index(stop)]
        assert finder.found == stop
