"""Run a coroutine to its end at once where it does not have to wait, and go on with it in a task where it does.

`send` and `receive` of an ASGI server almost never wait; a future and a task switch for each would be the dearest
part of an event's way through the gateway.
"""

from collections.abc import Coroutine, Generator
from types import coroutine
from typing import Any


class Suspended(Exception):
    """The coroutine has to wait. `await resume(...)` it in a task."""

    def __init__(self, work: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        super().__init__()
        self.work = work
        self.waits_for = waits_for


def at_once(work: Coroutine[Any, Any, Any]) -> Any:
    """The coroutine's result. Raises Suspended when it has to wait for something."""
    try:
        waits_for = work.send(None)
    except StopIteration as end:
        return end.value
    raise Suspended(work, waits_for)


@coroutine
def resume(suspended: Suspended) -> Generator[Any, Any, Any]:
    """Wait for what the coroutine waits for, then run it to its end."""
    work, waits_for = suspended.work, suspended.waits_for
    try:
        while True:
            try:
                value = yield waits_for
            except BaseException as error:  # noqa: BLE001 - whatever it is, it belongs to the coroutine
                waits_for = work.throw(error)
            else:
                waits_for = work.send(value)
    except StopIteration as end:
        return end.value
