"""Analysis goes to reasoning, final and commentary to content, headers nowhere."""

from __future__ import annotations

from engines.hf.harmony import ChannelSplitter, markers
from tests.engines.hf.tiny import HARMONY, PLAIN, byte_tokenizer

TOKENIZER = byte_tokenizer(HARMONY)
TEXT = (
    "<|channel|>analysis<|message|>let me see<|end|><|start|>assistant<|channel|>commentary to=f<|message|>looking"
    "<|end|><|start|>assistant<|channel|>final<|message|>it is 4<|return|>"
)


def split(text: str, *, step: int) -> tuple[str, str]:
    marks = markers(TOKENIZER)
    assert marks is not None
    splitter = ChannelSplitter(marks, TOKENIZER)
    tokens = TOKENIZER.backend_tokenizer.encode(text).ids
    content, reasoning = [], []
    for at in range(0, len(tokens), step):
        for run, thinking in splitter.push(tokens[at : at + step]):
            (reasoning if thinking else content).extend(run)
    return TOKENIZER.decode(content), TOKENIZER.decode(reasoning)


def test_channels_are_told_apart_however_the_tokens_arrive() -> None:
    for step in (1, 2, 7, 1000):
        assert split(TEXT, step=step) == ("lookingit is 4", "let me see")


def test_text_without_any_channel_is_content() -> None:
    assert split("just talking", step=3) == ("just talking", "")


def test_other_models_have_no_markers() -> None:
    assert markers(byte_tokenizer(PLAIN)) is None
