"""Changes to accounts: made or given a role, with the audit row in the same transaction."""

from django.db import transaction

from console import audit
from console.models import Role, User
from engines.actors import Actor


@transaction.atomic
def put_user(name: str, role: Role, *, password: str, replace_password: bool, actor: Actor) -> bool:
    """True when the account is new. An existing one keeps its password unless `replace_password`."""
    user = User.objects.filter(username=name).first()
    before = {"role": user.role} if user else {}
    made = user is None
    if user is None:
        user = User(username=name)
    user.role = role
    if made or replace_password:
        user.set_password(password)
    user.save()
    audit.record(
        action="user.create" if made else "user.change",
        subject=f"user:{name}",
        actor=actor,
        reason="",
        before=before,
        after={"role": str(role), "password": "replaced" if replace_password and not made else "unchanged"},
    )
    return made
