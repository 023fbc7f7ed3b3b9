"""Launch profiles on pages: the list, the editor with its command line, versions, conflicts, who may save."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from console.forms.profiles import ProfileForm, values
from console.models import User
from engines import launched, profiles
from engines.launch.profile import Profile
from engines.models import LaunchProfile
from engines.profiles import BUILT_IN, value_of
from tests.console.makers import TESTER

pytestmark = pytest.mark.django_db
ClientOf = Callable[[User], Client]
WHY = "more requests at once tonight"


@pytest.fixture(autouse=True)
def built_in() -> None:
    profiles.ensure_built_in()


def sent(profile: Profile, **changed: Any) -> dict[str, Any]:
    return {**values(profile), "expected": 1, "reason": WHY, **changed}


def address(name: str = "vllm") -> str:
    return reverse("console:profile", args=[name])


FULL = Profile(
    kind="vllm", model="/models/big",
    settings={
        "served_name": "chat", "port": 9000, "max_num_seqs": 64, "memory_share": 0.85, "prefix_caching": False,
        "eager": True, "kv_dtype": "fp8", "speculative": "ngram", "draft_tokens": 3, "executor": "ray",
    },
)  # fmt: skip


@pytest.mark.parametrize("profile", [*BUILT_IN.values(), FULL], ids=["hf", "vllm", "full"])
def test_a_profile_goes_through_the_form_unchanged(profile: Profile) -> None:
    form = ProfileForm(sent(profile), profile=profile, expected=1)
    assert form.is_valid(), form.errors
    assert form.profile == profile


def test_the_list_names_the_replicas_that_a_version_started(client_of: ClientOf, viewer: User) -> None:
    version = profiles.newest("hf")
    launched.register("fresh", version, "http://127.0.0.1:22001", actor=TESTER, reason=WHY)
    page = client_of(viewer).get(reverse("console:profiles")).content.decode()
    assert "HuggingFace server" in page
    assert reverse("console:engine", args=["fresh"]) in page
    assert "For vLLM" not in page


def test_the_page_shows_the_exact_command_line_and_the_unit(client_of: ClientOf, viewer: User) -> None:
    page = client_of(viewer).get(address()).content.decode()
    for words in ("VLLM_CPU_KVCACHE_SPACE=1 vllm serve engines/hf/demo/model", "--max-num-seqs 32", "--enforce-eager"):
        assert words in page
    assert "engine-vllm.service" in page
    assert "ExecStart=/opt/vllm/bin/vllm serve" in page
    assert "Save as version" not in page


def test_saving_makes_the_next_version_and_shows_what_changed(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    client.post(address(), sent(BUILT_IN["vllm"], max_num_seqs=8, eager="", queue_limit=40))
    newest = profiles.newest("vllm")
    assert newest.number == 2
    assert value_of(newest).settings["queue_limit"] == 40
    page = client.get(address()).content.decode()
    for words in ("32 requests → 8 requests", "on → unset", "unset → 40 requests", WHY, newest.digest[:12]):
        assert words in page


def test_a_form_that_changes_nothing_makes_no_version(client_of: ClientOf, operator: User) -> None:
    answer = client_of(operator).post(address(), sent(BUILT_IN["vllm"]), follow=True)
    assert "Nothing changed" in answer.content.decode()
    assert LaunchProfile.objects.filter(name="vllm").count() == 1


def test_what_cannot_be_launched_is_refused_at_its_field(client_of: ClientOf, operator: User) -> None:
    answer = client_of(operator).post(address(), sent(BUILT_IN["vllm"], max_num_seqs=64, batched_tokens=16))
    assert answer.status_code == 422
    assert "batched_tokens" in answer.context["form"].errors
    assert "Not shown: a field needs a change." in answer.content.decode()


def test_a_kind_says_why_it_lacks_a_setting(client_of: ClientOf, operator: User) -> None:
    page = client_of(operator).get(address("hf")).content.decode()
    assert 'name="quantisation"' not in page
    assert "loads a checkpoint as it is" in page


def test_a_setting_that_the_kind_lacks_cannot_be_smuggled_in(client_of: ClientOf, operator: User) -> None:
    client_of(operator).post(address("hf"), sent(BUILT_IN["hf"], quantisation="fp8", max_num_seqs=4))
    assert "quantisation" not in value_of(profiles.newest("hf")).settings


def test_two_editors_do_not_overwrite_each_other(client_of: ClientOf, operator: User) -> None:
    theirs = Profile(kind="vllm", model="/models/theirs", settings=BUILT_IN["vllm"].settings)
    profiles.create("vllm", theirs, actor=TESTER, reason="their reason", expected=1)
    answer = client_of(operator).post(address(), sent(BUILT_IN["vllm"], max_num_seqs=8))
    page = answer.content.decode()
    assert answer.status_code == 409
    for words in (
        "nothing was saved",
        "tester-1",
        "model engines/hf/demo/model → /models/theirs",
        "concurrency 32 requests",
    ):
        assert words in page
    assert answer.context["form"]["expected"].value() == "2"
    assert LaunchProfile.objects.filter(name="vllm").count() == 2


def test_a_viewer_reads_and_cannot_save(client_of: ClientOf, viewer: User) -> None:
    client = client_of(viewer)
    assert client.post(address(), sent(BUILT_IN["vllm"], max_num_seqs=8)).status_code == 403
    assert client.get(reverse("console:profile-new"), {"kind": "vllm"}).status_code == 403


def test_a_new_profile_of_each_kind_needs_a_name_of_its_own(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    new = reverse("console:profile-new")
    data = {"model": "/models/m", "tensor_parallel": 2, "expected": 0, "reason": WHY}
    assert client.post(f"{new}?kind=trtllm", {**data, "name": "vllm"}).status_code == 422
    assert client.post(f"{new}?kind=trtllm", {**data, "name": "new"}).status_code == 422
    assert client.post(f"{new}?kind=trtllm", {**data, "name": "big"}).status_code == 302
    assert value_of(profiles.newest("big")) == Profile(
        kind="trtllm", model="/models/m", settings={"tensor_parallel": 2}
    )
    page = client.get(address("big")).content.decode()
    assert "cat &gt; big.yaml" in page


def test_a_copy_starts_from_the_version_that_is_shown(client_of: ClientOf, operator: User) -> None:
    page = client_of(operator).get(reverse("console:profile-new"), {"from": profiles.newest("vllm").pk})
    assert page.context["form"]["max_num_seqs"].value() == 32


@pytest.mark.parametrize("asked", [{}, {"kind": "ollama"}, {"from": "99999"}, {"from": "9" * 30}])
def test_a_new_profile_of_nothing_is_not_found(client_of: ClientOf, operator: User, asked: dict[str, str]) -> None:
    assert client_of(operator).get(reverse("console:profile-new"), asked).status_code == 404


def test_the_command_follows_what_is_typed(client_of: ClientOf, viewer: User) -> None:
    part = reverse("console:profile-command", args=["vllm"])
    data = sent(BUILT_IN["vllm"], max_num_seqs=5, name="night")
    page = client_of(viewer).post(part, data).content.decode()
    assert "--max-num-seqs 5" in page
    assert "engine-night.service" in page
    wrong = client_of(viewer).post(part, sent(BUILT_IN["vllm"], max_num_seqs=0)).content.decode()
    assert "Not shown: a field needs a change." in wrong
    assert "Concurrency, requests" in wrong


def test_a_name_that_is_no_name_is_not_put_into_the_unit(client_of: ClientOf, viewer: User) -> None:
    part = reverse("console:profile-command", args=["vllm"])
    page = client_of(viewer).post(part, sent(BUILT_IN["vllm"], name="x\nExecStartPre=rm -rf")).content.decode()
    assert "ExecStartPre" not in page


def test_an_old_version_can_be_looked_at(client_of: ClientOf, operator: User) -> None:
    client = client_of(operator)
    client.post(address(), sent(BUILT_IN["vllm"], max_num_seqs=8))
    page = client.get(address(), {"version": 1}).content.decode()
    assert "This is version 1." in page
    assert "--max-num-seqs 32" in page
    assert client.get(address("nobody")).status_code == 404


def test_no_engine_may_take_the_address_of_the_profiles(client_of: ClientOf, operator: User) -> None:
    data = {
        "name": "profiles", "kind": "vllm", "served_model": "m", "urls": "http://127.0.0.1:9", "max_in_flight": 4,
        "big_model": "auto", "reason": WHY,
    }  # fmt: skip
    answer = client_of(operator).post(reverse("console:engine-register"), data)
    assert "is an address of this console" in answer.content.decode()
