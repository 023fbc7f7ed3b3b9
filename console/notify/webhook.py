"""One signed POST to an address that may be called. Nothing of the address or the secret reaches an error."""

import hashlib
import hmac
import http.client
import json
import socket
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from console.notify.addresses import NotSent, checked
from engines.network import Network

TIMEOUT_SECONDS = 5.0
SIGNATURE = "x-console-signature"


def post(url: str, secret: str, body: Mapping[str, Any], *, at: int, allowed: Sequence[Network]) -> None:
    """`at` is Unix seconds, part of the signature. Redirects are not followed. Raises NotSent."""
    raw = json.dumps(body, sort_keys=True).encode()
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = {"content-type": "application/json", "user-agent": "engine-console"}
    headers[SIGNATURE] = signature(secret, at, raw)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        connection = _connection(url, checked(parts.hostname or "", port, allowed))
        try:
            connection.request("POST", path, raw, headers)
            status = connection.getresponse().status
        finally:
            connection.close()
    except (OSError, http.client.HTTPException, ValueError) as failure:
        raise NotSent(f"The receiver cannot be reached ({type(failure).__name__}).") from None
    if not 200 <= status < 300:
        raise NotSent(f"The receiver answered {status}.")


def signature(secret: str, at: int, raw: bytes) -> str:
    """`t=…,v1=…`: HMAC-SHA256 over the time, a dot and the body."""
    made = hmac.new(secret.encode(), f"{at}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={at},v1={made}"


def _connection(url: str, address: str) -> http.client.HTTPConnection:
    """To the very address that was checked; TLS still verifies the name."""
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)
    connection._create_connection = (  # type: ignore[attr-defined]  # noqa: SLF001  the one place to pin it
        lambda where, *rest: socket.create_connection((address, where[1]), *rest)
    )
    return connection
