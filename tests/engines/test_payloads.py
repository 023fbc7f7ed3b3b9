"""engines.payloads: JSON from engines, good and bad."""

import pytest

from engines.client import EngineFailure
from engines.payloads import decode


@pytest.mark.parametrize("data", [b'{"a": NaN}', b"[1]", b"{", b"\xff", b"[" * 50_000, b'{"a":' * 50_000])
def test_what_is_no_json_object_is_a_failure(data):
    with pytest.raises(EngineFailure):
        decode(data)


@pytest.mark.parametrize(
    ("data", "text"),
    [(rb'{"a":"x\ud800y"}', "x\ufffdy"), (rb'{"a":"\udc00"}', "\ufffd"), (rb'{"a":"\ud83d\ude00"}', "😀"),
     (rb'{"a":"\ud800\ud83d\ude00"}', "\ufffd😀")],
)  # fmt: skip
def test_a_lone_surrogate_becomes_the_replacement_character(data, text):
    assert decode(data) == {"a": text}
