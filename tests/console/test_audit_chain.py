import pytest
from django.db import IntegrityError, transaction

from console import audit
from console.models import AuditEvent, AuditHead
from engines.actors import Actor

pytestmark = pytest.mark.django_db
ANNA = Actor("user", "1", "anna")


def write(count: int) -> None:
    for number in range(count):
        audit.record(
            action="test.change",
            subject=f"thing:{number}",
            actor=ANNA,
            reason="why",
            before={},
            after={"n": number},
        )


def test_an_untouched_chain_holds():
    write(5)
    assert audit.first_broken() is None


def test_an_empty_chain_holds():
    assert audit.first_broken() is None


def test_every_row_seals_the_one_before():
    write(3)
    first, second, third = AuditEvent.objects.order_by("sequence")
    assert (first.previous_hash, second.previous_hash, third.previous_hash) == ("", first.hash, second.hash)


@pytest.mark.parametrize(
    "change", [{"reason": "another"}, {"actor_name": "bert"}, {"after": {"n": 9}}, {"subject": "thing:9"}]
)
def test_a_changed_row_breaks_the_chain_at_its_place(change):
    write(4)
    AuditEvent.objects.filter(sequence=2).update(**change)
    assert audit.first_broken() == 2


def test_a_removed_row_breaks_the_chain():
    write(4)
    AuditEvent.objects.filter(sequence=2).delete()
    assert audit.first_broken() == 3


def test_a_removed_last_row_is_noticed():
    write(4)
    AuditEvent.objects.filter(sequence=4).delete()
    assert audit.first_broken() == 4


def test_a_row_and_its_hash_rewritten_together_break_the_next_row():
    write(3)
    event = AuditEvent.objects.get(sequence=2)
    event.reason = "another"
    event.hash = audit.digest(event)
    event.save()
    assert audit.first_broken() == 3


@transaction.atomic
def write_and_fail() -> None:
    write(1)
    raise IntegrityError


def test_a_change_that_is_rolled_back_takes_its_row_along():
    write(1)
    with pytest.raises(IntegrityError):
        write_and_fail()
    assert AuditEvent.objects.count() == 1
    assert AuditHead.objects.get().sequence == 1
    write(1)
    assert audit.first_broken() is None


def test_a_reason_in_any_script_is_sealed_as_it_stands():
    audit.record(action="a", subject="s", actor=ANNA, reason="Größe „90 %“ → 25 ✓", before={}, after={})
    assert audit.first_broken() is None
