from dataclasses import replace

import pytest

from console.models import AuditEvent
from routing import configuration, keys
from routing.configuration import StaleSettings
from routing.models import ApiKey
from routing.publish import current_settings, table_in_force
from routing.table import from_json
from tests.routing.rows import ANNA, WHY

pytestmark = pytest.mark.django_db


def test_a_new_key_reaches_the_table_only_as_a_digest():
    key, secret = keys.create_key("ci", scopes=["chat"], actor=ANNA, reason=WHY)
    body = table_in_force().body
    assert from_json(body).keys[keys.key_digest(secret)].id == key.pk
    assert secret not in str(body)


def test_a_secret_is_in_no_row():
    key, secret = keys.create_key("ci", scopes=["chat"], actor=ANNA, reason=WHY)
    event = AuditEvent.objects.get(action="key.create")
    assert secret not in str(ApiKey.objects.filter(pk=key.pk).values().get())
    assert secret not in str([event.before, event.after])


def test_a_revoked_key_leaves_the_table():
    key, secret = keys.create_key("ci", scopes=["chat"], actor=ANNA, reason=WHY)
    assert keys.revoke_key(key, actor=ANNA, reason=WHY)
    assert keys.key_digest(secret) not in from_json(table_in_force().body).keys


def test_a_key_is_revoked_only_once():
    key, _secret = keys.create_key("ci", scopes=["chat"], actor=ANNA, reason=WHY)
    keys.revoke_key(key, actor=ANNA, reason=WHY)
    assert not keys.revoke_key(key, actor=ANNA, reason=WHY)
    assert AuditEvent.objects.filter(action="key.revoke").count() == 1


def test_changed_settings_are_in_force_and_in_the_table():
    configuration.change_settings(
        replace(current_settings(), long_input_tokens=100), expected=0, actor=ANNA, reason=WHY
    )
    assert current_settings().long_input_tokens == 100
    assert from_json(table_in_force().body).settings.long_input_tokens == 100


def test_stale_settings_are_refused():
    configuration.change_settings(current_settings(), expected=0, actor=ANNA, reason=WHY)
    with pytest.raises(StaleSettings):
        configuration.change_settings(current_settings(), expected=0, actor=ANNA, reason=WHY)
