"""Engines' API keys at rest: Fernet ciphertext, opened only where a request is sent."""

from cryptography.fernet import Fernet, InvalidToken


class SealBroken(Exception):
    """The ciphertext was not made with this key: the data directory's key file was lost or exchanged."""


def new_key() -> str:
    return Fernet.generate_key().decode()


def seal(secret: str, key: str) -> str:
    """Ciphertext of `secret`; an empty secret stays empty, which means no key. Raises ValueError for a bad key."""
    return Fernet(key).encrypt(secret.encode()).decode() if secret else ""


def unseal(sealed: str | None, key: str) -> str | None:
    """The secret, or None where there is none. Raises SealBroken, whose text holds nothing of either."""
    if not sealed:
        return None
    try:
        return Fernet(key).decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise SealBroken("An engine's key cannot be opened. Enter it again on the engine's page.") from None
