"""The environment is read strictly, and secrets are made once."""

from pathlib import Path

import pytest

from console import env


@pytest.mark.parametrize("raw", ["abc", "0", "70000", "-1", "80.5"])
def test_a_port_that_cannot_be_one_is_named_in_the_error(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_PORT", raw)
    with pytest.raises(env.BadEnvironment, match="CONSOLE_PORT"):
        env.number("CONSOLE_PORT", 8000)


def test_an_unset_variable_has_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSOLE_PORT", raising=False)
    assert env.number("CONSOLE_PORT", 8000) == 8000


def test_a_choice_outside_the_list_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE", "sglang")
    with pytest.raises(env.BadEnvironment, match="auto, vllm"):
        env.choice("ENGINE", ("auto", "vllm"), "auto")


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    first = env.secret("SOME_KEY", tmp_path)
    assert env.secret("SOME_KEY", tmp_path) == first
    assert (tmp_path / "secrets" / "some_key").stat().st_mode & 0o777 == 0o600


def test_a_secret_from_the_environment_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "given")
    assert env.secret("SOME_KEY", tmp_path) == "given"
    assert list(tmp_path.iterdir()) == []
