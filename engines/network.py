"""Which addresses the console may call: the rules for an engine's URL, and the same check again at connect.

Rules of reliability: one parser (yarl), plain ASCII hosts, no credentials, query or fragment, and every resolved
address inside the allowed networks, which come from the deployment's environment and never from a page.
"""

import errno
import ipaddress
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from yarl import URL

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Sequence[str]]

DEFAULT_NETWORKS: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)
# cloud metadata services; link-local, multicast and unspecified addresses are refused by their class
METADATA = (ipaddress.ip_network("169.254.0.0/16"), ipaddress.ip_network("fd00:ec2::254/128"))
HOST_NAME = re.compile(r"(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
PLAIN = re.compile(r"[A-Za-z0-9\-._~:/\[\]]+")
MAX_URL = 300


class UrlRefused(ValueError):
    """The URL may not be called; the message says why and what to write instead."""


@dataclass(frozen=True, slots=True)
class CheckedUrl:
    """`base` has no trailing slash. `addresses` are what the host stood for when it was checked."""

    base: str
    host: str
    port: int
    addresses: tuple[str, ...]


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks separated by commas or blanks. Raises ValueError naming the first bad one."""
    return tuple(ipaddress.ip_network(part) for part in re.split(r"[\s,]+", text.strip()) if part)


def parse_url(text: str) -> URL:
    """The form of an engine's base URL, without looking anything up. Raises UrlRefused."""
    if not text.isascii() or len(text) > MAX_URL or not re.match("https?://", text):
        raise UrlRefused("Write the address as http://host:port or https://host:port, in plain letters.")
    if "@" in text:
        raise UrlRefused("Leave user name and password out of the address; the key has its own field.")
    if "?" in text or "#" in text:
        raise UrlRefused("Leave out the part after ? or #.")
    if not PLAIN.fullmatch(text):
        raise UrlRefused("The address holds a character that does not belong in it.")
    try:
        url = URL(text)
        port = url.port
    except ValueError:
        raise UrlRefused("The address cannot be read. Write it as http://host:port.") from None
    if not port or not 1 <= port <= 65535:
        raise UrlRefused("The port must be a number from 1 to 65535.")
    _check_host(url.host or "")
    _check_path(text.partition("://")[2].partition("/")[2])
    return url


def check_url(text: str, allowed: Iterable[Network], resolve: Resolve | None = None) -> CheckedUrl:
    """Parse, resolve and compare with the allowed networks. Blocks while the name is looked up."""
    url, networks = parse_url(text), tuple(allowed)
    host, port = url.host or "", url.port or 0
    try:
        addresses = tuple((resolve or system_resolve)(host, port))
    except OSError:
        addresses = ()
    if not addresses:
        raise UrlRefused(f"The name {host} cannot be resolved. Check its spelling and the DNS.")
    for address in addresses:
        if not is_allowed(address, networks):
            where = host if host == address else f"{host} is {address}, which"
            raise UrlRefused(f"{where} lies outside the networks in ENGINE_NETWORKS.")
    return CheckedUrl(str(url).rstrip("/"), host, port, addresses)


def is_allowed(address: str, allowed: Iterable[Network]) -> bool:
    try:
        ip = _unmapped(ipaddress.ip_address(address.partition("%")[0]))
    except ValueError:
        return False
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or any(ip in net for net in METADATA):
        return False
    return any(ip in network for network in allowed)


def system_resolve(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def guarded_socket(allowed: Iterable[Network]) -> Callable[[Any], socket.socket]:
    """A `socket_factory` for aiohttp's TCPConnector that checks each address at the moment of connecting."""
    networks = tuple(allowed)

    def create(info: Any) -> socket.socket:
        family, kind, protocol, _, address = info
        if not is_allowed(str(address[0]), networks):
            raise PermissionError(errno.EACCES, f"{address[0]} lies outside the networks in ENGINE_NETWORKS")
        sock = socket.socket(family=family, type=kind, proto=protocol)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    return create


def _unmapped(ip: Address) -> Address:
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    return mapped or ip


def _check_host(host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if not HOST_NAME.fullmatch(host.lower()):
            raise UrlRefused("The host must be a DNS name, four decimal numbers or an IPv6 address.") from None


def _check_path(path: str) -> None:
    if path.rstrip("/").split("/")[-1] == "v1":
        raise UrlRefused("Leave out /v1; the console adds it.")
    if path.startswith("/") or "//" in path or any(part in (".", "..") for part in path.split("/")):
        raise UrlRefused("The path after the port may hold plain names only.")
