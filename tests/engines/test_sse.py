"""engines.sse: events come out whole however the bytes were cut."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.sse import EventTooLarge, Splitter, payload

PAYLOADS = st.lists(
    st.text(alphabet=st.characters(exclude_characters="\r\n", exclude_categories=["Cs", "Zs", "Cc"]), min_size=1),
    max_size=8,
)


def feed_all(data: bytes, cuts: list[int]) -> list[bytes]:
    splitter = Splitter()
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    out: list[bytes] = []
    for start, end in itertools.pairwise(edges):
        out += splitter.feed(data[start:end])
    return out


def feed_often(splitter: Splitter, chunk: bytes) -> None:
    for _ in range(6):
        splitter.feed(chunk)


@given(PAYLOADS, st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 400), max_size=20), st.booleans())
def test_any_cut_and_any_line_end_gives_the_same_payloads(texts, end, cuts, mark):
    events = "".join(f": note{end}data: {text}{end}{end}" for text in texts)
    data = (b"\xef\xbb\xbf" if mark else b"") + events.encode()
    assert feed_all(data, cuts) == [text.encode() for text in texts]


def test_every_single_byte_cut_of_a_crlf_stream_works():
    data = 'data: {"a":"€"}\r\n\r\n: keep-alive\r\n\r\ndata: [DONE]\r\n\r\n'.encode()
    assert feed_all(data, list(range(len(data)))) == ['{"a":"€"}'.encode(), b"[DONE]"]


def test_data_lines_of_one_event_are_joined():
    assert payload(b"event: x\ndata: {\ndata:  1}") == b"{\n 1}"


def test_a_trailing_blank_is_stripped_as_tensorrt_writes_it():
    assert Splitter().feed(b'data: {"x":1} \n\n') == [b'{"x":1}']


def test_a_comment_alone_is_no_event():
    assert Splitter().feed(b": keep-alive\n\n\n\n") == []


def test_raw_blocks_keep_what_stood_before_the_data():
    assert Splitter().blocks(b"id: 1\ndata: a\n\ndata: b\n\n") == [b"id: 1\ndata: a", b"data: b"]


@pytest.mark.parametrize("chunk", [b"x" * 10, b"data: " + b"x" * 100 + b"\n\n"])
def test_it_refuses_an_event_over_the_limit(chunk):
    splitter = Splitter(max_event=50)
    with pytest.raises(EventTooLarge):
        feed_often(splitter, chunk)


def test_it_refuses_a_stream_over_the_limit():
    splitter = Splitter(max_stream=50)
    with pytest.raises(EventTooLarge):
        feed_often(splitter, b"data: 12345\n\n")


def test_a_last_line_without_its_blank_line_is_kept_and_half_a_line_is_not():
    whole, half, done = Splitter(), Splitter(), Splitter()
    whole.feed(b"data: last\n")
    half.feed(b"data: la")
    done.feed(b"data: [DONE]")
    assert (whole.flush(), half.flush(), done.flush()) == ([b"last"], [], [b"[DONE]"])
