"""A busy port is a clear error that names the variable."""

import socket

import pytest

from console.ports import Address, PortBusy, require_free


def test_a_busy_port_names_the_variable_to_change() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortBusy, match=rf"127\.0\.0\.1:{port}.*Set GATEWAY_PORT"):
            require_free([Address("GATEWAY_PORT", "127.0.0.1", port)])


def test_a_free_port_is_fine() -> None:
    require_free([Address("GATEWAY_PORT", "127.0.0.1", 0)])
