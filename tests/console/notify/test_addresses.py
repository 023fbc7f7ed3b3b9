"""Messages go to public addresses and to allowed networks, nowhere else."""

import ipaddress
import socket

import pytest

from console.notify.addresses import NotSent, callable_, checked
from engines.network import parse_networks

HOUSE = parse_networks("10.1.0.0/16")


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "0.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "224.0.0.1", "240.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::", "2001:db8::1",
    ],
)  # fmt: skip
def test_an_address_inside_or_of_no_host_is_refused(text: str) -> None:
    assert not callable_(ipaddress.ip_address(text), ())


@pytest.mark.parametrize("text", ["93.184.216.34", "2606:4700::1111", "::ffff:93.184.216.34", "64:ff9b::5db8:d822"])
def test_a_public_address_may_be_called(text: str) -> None:
    assert callable_(ipaddress.ip_address(text), ())


@pytest.mark.parametrize("text", ["10.1.2.3", "::ffff:10.1.2.3"])
def test_an_allowed_network_may_be_called(text: str) -> None:
    assert callable_(ipaddress.ip_address(text), HOUSE)
    assert not callable_(ipaddress.ip_address("10.2.0.1"), HOUSE)


def test_one_bad_address_among_those_of_a_name_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(0, 0, 0, "", (text, 443)) for text in ("93.184.216.34", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: found)
    with pytest.raises(NotSent, match="NOTIFY_NETWORKS"):
        checked("hooks.example", 443, ())
