"""engines.network: what may be called, and what may not."""

import asyncio
import ipaddress
import socket

import pytest

from engines.http import new_session
from engines.network import (
    DEFAULT_NETWORKS,
    UrlRefused,
    check_url,
    guarded_socket,
    is_allowed,
    parse_networks,
    parse_url,
)


def check(url, *addresses):
    return check_url(url, DEFAULT_NETWORKS, lambda host, port: addresses)


def test_a_private_address_is_allowed_and_the_base_has_no_slash():
    checked = check("http://gpu-1.lan:8000/", "10.1.2.3")
    assert (checked.base, checked.port, checked.addresses) == ("http://gpu-1.lan:8000", 8000, ("10.1.2.3",))


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "8.8.8.8", "0.0.0.0", "224.0.0.1", "fe80::1", "::", "::ffff:8.8.8.8", "fd00:ec2::254",  # noqa: S104
     "not an address", "::ffff:169.254.169.254"],
)  # fmt: skip
def test_an_address_outside_the_networks_is_refused(address):
    with pytest.raises(UrlRefused, match="ENGINE_NETWORKS"):
        check("http://engine:8000", address)


def test_one_bad_address_among_good_ones_is_refused():
    with pytest.raises(UrlRefused):
        check("http://engine:8000", "10.0.0.1", "8.8.8.8")


def test_a_mapped_address_counts_as_the_ipv4_address_that_it_is():
    assert is_allowed("::ffff:127.0.0.1", DEFAULT_NETWORKS)


def test_link_local_is_refused_even_when_everything_is_allowed():
    assert not is_allowed("169.254.169.254", [ipaddress.ip_network("0.0.0.0/0")])


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://engine:80",
        "engine:8000",
        "http://user:pw@engine:8000",
        "http://engine:8000?x=1",
        "http://engine:8000/#a",
        "http://engine:0",
        "http://engine:99999",
        "http://0x7f000001:80",
        "http://2130706433:80",
        "http://127.1:80",
        "http://017700000001:80",
        "http://①②⑦.⓪.⓪.①:80",
        "http://127。0。0。1:80",
        "http://en\tgine:80",
        "http://engine\\@evil:80",
        "http://engine:8000/v1",
        "http://engine:8000/a/../b",
        "http:///x",
        "http://-bad-:80",
        "http://" + "a" * 300,
    ],
)
def test_a_form_that_two_parsers_could_read_differently_is_refused(url):
    with pytest.raises(UrlRefused):
        parse_url(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8100", "https://vllm.lab.example", "http://[::1]:8000", "http://h:80/engine-a"]
)
def test_plain_forms_are_read(url):
    assert parse_url(url).host


def test_a_name_that_cannot_be_resolved_says_so():
    def fail(host, port):
        raise socket.gaierror

    with pytest.raises(UrlRefused, match="cannot be resolved"):
        check_url("http://nowhere:80", DEFAULT_NETWORKS, fail)


def test_networks_are_read_from_text():
    assert parse_networks("10.0.0.0/8, ::1/128") == (
        ipaddress.ip_network("10.0.0.0/8"),
        ipaddress.ip_network("::1/128"),
    )
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8"):
        parse_networks("10.0.0.1/8")


def test_the_check_is_made_again_at_connect():
    create = guarded_socket([ipaddress.ip_network("10.0.0.0/8")])
    with pytest.raises(PermissionError):
        create((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 80)))


async def test_a_session_will_not_connect_to_a_forbidden_literal_address(unused_tcp_port):
    async with new_session([ipaddress.ip_network("10.0.0.0/8")]) as session, asyncio.timeout(5):
        with pytest.raises(OSError, match="ENGINE_NETWORKS"):
            await session.get(f"http://127.0.0.1:{unused_tcp_port}/")
