"""Versions of launch profiles, and the engines that were launched from them."""

import pytest

from console.models import AuditEvent
from engines import launched, profiles
from engines.launch.profile import InvalidProfile, Profile
from engines.launched import EngineTaken
from engines.models import Engine, LaunchProfile, Replica
from engines.profiles import ProfileConflict
from gates.models import GateRun
from gates.release_evidence import digest, fingerprint
from gates.subject import load
from routing.publish import table_in_force
from routing.table import from_json
from tests.routing.rows import ANNA, WHY, make_engine

pytestmark = pytest.mark.django_db
SMALL = Profile(kind="custom", model="/models/m", settings={"served_name": "m", "max_num_seqs": 4})
URL = "http://127.0.0.1:22001"


def saved(profile: Profile = SMALL, name: str = "small", **how: object) -> LaunchProfile:
    return profiles.create(name, profile, actor=ANNA, reason=WHY, **how)


def with_settings(**settings: object) -> Profile:
    return Profile(kind=SMALL.kind, model=SMALL.model, settings={**SMALL.settings, **settings})


def test_saving_makes_the_next_version_and_keeps_the_old():
    saved()
    second = saved(with_settings(max_num_seqs=8), expected=1)
    assert (second.number, profiles.newest("small")) == (2, second)
    assert profiles.value_of(LaunchProfile.objects.get(number=1)) == SMALL


def test_two_editors_do_not_overwrite_each_other():
    saved()
    saved(with_settings(max_num_seqs=8), expected=1)
    with pytest.raises(ProfileConflict) as conflict:
        saved(with_settings(max_num_seqs=16), expected=1)
    assert conflict.value.current.number == 2


def test_what_cannot_be_launched_is_not_saved():
    with pytest.raises(InvalidProfile):
        saved(with_settings(quantisation="fp8"))
    assert not LaunchProfile.objects.exists()


def test_a_version_is_audited_with_all_that_it_says():
    saved()
    event = AuditEvent.objects.get(action="profile.save")
    assert (event.subject, event.actor_name, event.after["settings"]["max_num_seqs"]) == ("profile:small", "anna", 4)


def test_a_version_publishes_no_routing_table():
    make_engine("alpha")
    before = table_in_force().version
    saved()
    assert table_in_force().version == before


def test_the_built_in_profiles_are_made_once():
    profiles.ensure_built_in()
    profiles.ensure_built_in()
    assert [(row.name, row.number) for row in profiles.newest_versions()] == [("hf", 1), ("vllm", 1)]


def test_a_launched_engine_is_registered_active_with_the_digest_of_its_profile():
    version = saved()
    replica = launched.register("fresh", version, URL, actor=ANNA, reason=WHY)
    assert (replica.profile_digest, replica.managed_by) == (version.digest, "launched-fresh")
    assert (replica.engine.state, replica.engine.served_model) == (Engine.State.ACTIVE, "m")
    assert [one.url for one in from_json(table_in_force().body).engines["fresh"].replicas] == [URL]
    assert profiles.with_digest(replica.profile_digest) == version


def test_a_second_launch_moves_the_replica_and_stamps_the_new_digest():
    launched.register("fresh", saved(), URL, actor=ANNA, reason=WHY)
    second = saved(with_settings(max_num_seqs=8))
    moved = launched.register("fresh", second, "http://127.0.0.1:22002", actor=ANNA, reason=WHY)
    assert [(row.url, row.profile_digest) for row in Replica.objects.all()] == [(moved.url, second.digest)]


def test_a_launch_adds_a_replica_to_an_engine_that_serves_the_same():
    make_engine("alpha", served_model="m")
    launched.register("alpha", saved(), URL, actor=ANNA, reason=WHY)
    assert Engine.objects.get().replicas.count() == 2


@pytest.mark.parametrize(
    ("kind", "model", "words"), [("vllm", "m", "is of kind vLLM"), ("custom", "other", "serves other, the profile m")]
)
def test_a_launch_does_not_turn_an_engine_into_another(kind, model, words):
    make_engine("alpha", kind=kind, served_model=model)
    with pytest.raises(EngineTaken, match=words):
        launched.register("alpha", saved(), URL, actor=ANNA, reason=WHY)
    assert Replica.objects.count() == 1


def test_the_name_of_a_process_has_a_limit():
    with pytest.raises(EngineTaken, match="at most 54"):
        launched.register("a" * 60, saved(), URL, actor=ANNA, reason=WHY)


def test_an_only_replica_drains_its_engine_and_the_end_disables_it():
    replica = launched.register("fresh", saved(), URL, actor=ANNA, reason=WHY)
    launched.withdraw(replica, actor=ANNA, reason=WHY)
    assert Engine.objects.get().state == Engine.State.DRAINING
    launched.gone("fresh", actor=ANNA, reason=WHY)
    assert Engine.objects.get().state == Engine.State.DISABLED
    again = launched.register("fresh", saved(), URL, actor=ANNA, reason=WHY)
    assert again.engine.state == Engine.State.ACTIVE


def test_one_of_several_replicas_leaves_and_the_engine_goes_on():
    make_engine("alpha", served_model="m")
    replica = launched.register("alpha", saved(), URL, actor=ANNA, reason=WHY)
    launched.withdraw(replica, actor=ANNA, reason=WHY)
    launched.gone("alpha", actor=ANNA, reason=WHY)
    engine = Engine.objects.get()
    assert (engine.state, [row.url for row in engine.replicas.all()]) == (
        Engine.State.ACTIVE, ["http://127.0.0.1:9000/alpha"],
    )  # fmt: skip


def test_a_gate_run_says_by_which_profile_its_engine_was_started():
    version = saved()
    launched.register("fresh", version, URL, actor=ANNA, reason=WHY)
    found = load(GateRun(target_kind=GateRun.Target.ENGINE, target="fresh"))
    assert found.fingerprint["engines"][0]["profiles"] == [version.digest]


def test_another_profile_is_another_candidate_and_none_changes_nothing():
    make_engine("alpha")
    before = digest(fingerprint("alpha"))
    assert "profiles" not in fingerprint("alpha")
    Replica.objects.update(profile_digest=saved().digest)
    assert digest(fingerprint("alpha")) != before
