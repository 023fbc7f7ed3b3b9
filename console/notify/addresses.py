"""Which addresses messages may go to: public ones, and the networks that the deployment allows."""

import ipaddress
import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from engines.network import Network, UrlRefused

NAT64 = ipaddress.ip_network("64:ff9b::/96")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotSent(Exception):
    """The message did not go out; the text says why, without the address."""


def check_form(url: str) -> None:
    """Raises UrlRefused."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port or an IPv6 address that is none
        usable = False
    if not usable or "@" in parts.netloc or not url.isascii() or not url.isprintable() or " " in url:
        raise UrlRefused("Write the address as https://host/path, without user name and password.")


def looked_up(host: str, port: int) -> list[str]:
    """All IP addresses of a host. Raises NotSent."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        raise NotSent("The name of the receiver cannot be looked up.") from None
    return sorted(found)


def checked(host: str, port: int, allowed: Sequence[Network]) -> str:
    """The IP address to call. All addresses of the host must be callable: it may answer with another one next time."""
    found = looked_up(host, port)
    if not found or not all(callable_(ipaddress.ip_address(text), allowed) for text in found):
        raise NotSent("The receiver is not at an address that may be called. See NOTIFY_NETWORKS.")
    return found[0]


def callable_(address: Address, allowed: Sequence[Network]) -> bool:
    """An address that carries another one in it (IPv4 mapped, 6to4, NAT64) is judged by both."""
    if any(address in network for network in allowed):
        return True
    inner = _inner(address)
    if inner is not None:
        return callable_(inner, allowed)
    return address.is_global and not (address.is_multicast or address.is_reserved or address.is_unspecified)


def _inner(address: Address) -> ipaddress.IPv4Address | None:
    if not isinstance(address, ipaddress.IPv6Address):
        return None
    if address in NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
