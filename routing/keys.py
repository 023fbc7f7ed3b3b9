"""Client keys: made, revoked, published. Only the SHA-256 of a secret is ever stored."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils import timezone

from engines.actors import Actor
from routing.models import ApiKey
from routing.publish import publish
from routing.signals import changed

KEY_PREFIX = "ek-"
# Opens the console's control API, and no inference by itself.
CONTROL = "control"


def new_key() -> tuple[str, str]:
    """(secret, SHA-256 hex digest). The secret has 256 random bits and is shown once."""
    secret = KEY_PREFIX + secrets.token_urlsafe(32)
    return secret, key_digest(secret)


def key_digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def find_key(secret: str) -> ApiKey | None:
    """By digest; also one that is revoked or expired."""
    return ApiKey.objects.filter(digest=key_digest(secret)).first()


@transaction.atomic
def create_key(
    name: str,
    *,
    scopes: Sequence[str],
    actor: Actor,
    reason: str,
    expires_at: datetime | None = None,
    requests_per_minute: int | None = None,
) -> tuple[ApiKey, str]:
    """The second value is the secret: hand it to the person and forget it."""
    secret, digest = new_key()
    key = ApiKey.objects.create(
        name=name,
        prefix=secret[:8],
        digest=digest,
        scopes=list(scopes),
        owner=actor.name,
        requests_per_minute=requests_per_minute,
        expires_at=expires_at,
    )
    publish("key.create")
    changed.send(
        ApiKey,
        action="key.create",
        subject=f"key:{key.pk}",
        actor=actor,
        reason=reason,
        before={},
        after={"name": name, "prefix": key.prefix, "scopes": list(scopes)},
    )
    return key, secret


@transaction.atomic
def revoke_key(key: ApiKey, *, actor: Actor, reason: str) -> bool:
    """False when it was revoked before."""
    if not ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        return False
    publish("key.revoke")
    changed.send(
        ApiKey,
        action="key.revoke",
        subject=f"key:{key.pk}",
        actor=actor,
        reason=reason,
        before={"name": key.name, "prefix": key.prefix},
        after={},
    )
    return True
