"""Cross-origin rules for browsers, from the settings of the table. Pure."""

from routing.table import Settings

Headers = list[tuple[bytes, bytes]]

_METHODS = b"GET, POST, OPTIONS"
_ALLOWED = b"authorization, content-type, x-engine, x-request-id, x-session-id, traceparent, tracestate"
_EXPOSED = (
    b"x-request-id, x-decision-id, x-decision-rule, x-chosen-engine, x-features-disabled, x-should-retry, retry-after"
)


def headers_for(origin: bytes | None, settings: Settings) -> Headers:
    """Empty unless the origin may read the answer."""
    if not origin or not settings.cors_origins:
        return []
    if "*" not in settings.cors_origins and origin.decode("latin-1") not in settings.cors_origins:
        return [(b"vary", b"Origin")]
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", _EXPOSED),
        (b"vary", b"Origin"),
    ]


def preflight(origin: bytes | None, settings: Settings) -> Headers:
    allowed = headers_for(origin, settings)
    if len(allowed) < 2:
        return allowed
    return [
        *allowed,
        (b"access-control-allow-methods", _METHODS),
        (b"access-control-allow-headers", _ALLOWED),
        (b"access-control-max-age", b"600"),
    ]
