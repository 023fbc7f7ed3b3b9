"""engines.sealing: a key at rest is ciphertext."""

import pytest

from engines.sealing import SealBroken, new_key, seal, unseal


def test_what_was_sealed_opens_with_the_same_key_only():
    key = new_key()
    sealed = seal("sk-secret", key)
    assert "secret" not in sealed
    assert unseal(sealed, key) == "sk-secret"
    with pytest.raises(SealBroken) as broken:
        unseal(sealed, new_key())
    assert sealed not in str(broken.value)


def test_no_key_stays_no_key():
    assert seal("", new_key()) == ""
    assert unseal("", new_key()) is None
    assert unseal(None, new_key()) is None
