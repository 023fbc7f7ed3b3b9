"""Are the addresses free that a start needs? A busy one is named with the variable that moves it."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """`variable` is what a person sets to move it."""

    variable: str
    host: str
    port: int


class PortBusy(Exception):
    """The message says which variable to change."""


def require_free(addresses: Iterable[Address]) -> None:
    """Raises PortBusy for the first address that something already listens on."""
    for address in addresses:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.host, address.port))
            except OSError as error:
                where = f"{address.host}:{address.port}"
                message = f"{where} cannot be used ({error.strerror}). Set {address.variable} to a free port."
                raise PortBusy(message) from error
