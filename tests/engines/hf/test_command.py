"""Options reach the server's settings, from the command line and the environment alike."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from django.core.management import load_command_class

from engines.hf.config import API_KEY_VARIABLE, EngineConfig, add_arguments, config_from


def parsed(*words: str) -> EngineConfig:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return config_from(vars(parser.parse_args(["--model", "/models/demo", *words])))


def test_every_option_has_the_default_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(API_KEY_VARIABLE, raising=False)
    assert parsed() == EngineConfig(model=Path("/models/demo"))
    assert parsed().name == "demo"


def test_options_are_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(API_KEY_VARIABLE, "from-environment")
    config = parsed("--port", "8301", "--num-blocks", "9", "--served-model-name", "other")
    assert (config.port, config.num_blocks, config.name) == (8301, 9, "other")
    assert config.api_key == "from-environment"
    assert parsed("--api-key", "given").api_key == "given"


def test_the_django_command_takes_the_same_options() -> None:
    command = load_command_class("engines", "hf_engine")
    options = vars(command.create_parser("manage.py", "hf_engine").parse_args(["--model", "/m", "--port", "8302"]))
    assert config_from(options).port == 8302
