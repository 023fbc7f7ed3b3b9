"""The registry of engine kinds. A new kind is one adapter file and one line here."""

from engines.adapters.base import Adapter
from engines.adapters.custom import CustomAdapter
from engines.adapters.trtllm import TrtllmAdapter
from engines.adapters.vllm import VllmAdapter

ADAPTERS: dict[str, Adapter] = {
    "custom": CustomAdapter(),
    "vllm": VllmAdapter(),
    "trtllm": TrtllmAdapter(),
}


class UnknownKind(Exception):
    """No adapter is registered for this engine kind."""


def get_adapter(kind: str) -> Adapter:
    try:
        return ADAPTERS[kind]
    except KeyError:
        raise UnknownKind(f"“{kind}” is no engine kind. Known: {', '.join(ADAPTERS)}.") from None
