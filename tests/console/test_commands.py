"""The small commands: keys, users, settings, audit."""

import pytest
from django.core.management import CommandError, call_command

from console.management.commands.run import readable
from console.models import AuditEvent, User
from routing.keys import key_digest
from routing.models import ApiKey
from routing.publish import compile_table, current_settings

pytestmark = [pytest.mark.django_db, pytest.mark.storage]


def test_a_key_is_printed_once_and_stored_as_a_digest(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("key", "create", "batch", "--scope", "inference", "--per-minute", "60")
    secret = capsys.readouterr().out.strip()
    assert ApiKey.objects.get().digest == key_digest(secret)
    assert compile_table(1).keys[key_digest(secret)].requests_per_minute == 60


def test_a_revoked_key_leaves_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("key", "create", "batch")
    prefix = ApiKey.objects.get().prefix
    call_command("key", "revoke", prefix)
    assert compile_table(1).keys == {}
    with pytest.raises(CommandError):
        call_command("key", "revoke", prefix)


def test_a_user_keeps_the_password_when_only_the_role_changes() -> None:
    call_command("user", "olga", "--role", "viewer")
    before = User.objects.get().password
    call_command("user", "olga", "--role", "operator")
    assert (User.objects.get().role, User.objects.get().password) == ("operator", before)
    assert list(AuditEvent.objects.order_by("sequence").values_list("action", flat=True)) == [
        "user.create",
        "user.change",
    ]


def test_a_setting_is_changed_with_its_type_and_audited() -> None:
    call_command("setting", "ttft_limit", "3.5")
    call_command("setting", "cors_origins", "https://a.example, https://b.example")
    assert current_settings().ttft_limit == 3.5
    assert current_settings().cors_origins == ("https://a.example", "https://b.example")
    with pytest.raises(CommandError, match="ttft_limit is a number"):
        call_command("setting", "ttft_limit", "soon")
    with pytest.raises(CommandError, match="must be above 0"):
        call_command("setting", "ttft_limit", "-1")
    assert AuditEvent.objects.filter(action="settings.change").count() == 2


def test_a_changed_audit_row_is_found() -> None:
    call_command("user", "olga", "--role", "viewer")
    call_command("audit")
    AuditEvent.objects.update(reason="something else")
    with pytest.raises(CommandError, match="breaks at row 1"):
        call_command("audit")


def test_supervisors_lines_carry_its_name_and_clean_stops_say_nothing() -> None:
    died = b"2026-11-23 17:13:52,838 WARN exited: gateway (terminated by SIGKILL; not expected)\n"
    assert readable(died) == died.replace(b"WARN", b"supervisor WARN")
    assert readable(b"2026-11-23 17:13:52,838 WARN stopped: gateway (terminated by SIGTERM)\n") is None
    ours = b"2026-11-23 17:14:05,707 gateway    WARNING routing: x\n"
    assert readable(ours) == ours
