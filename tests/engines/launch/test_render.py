"""What starts an engine: the arguments of each kind, the options file, shell text and the unit."""

import argparse
import json
import shlex
from dataclasses import asdict

import pytest
import yaml
from hypothesis import given

from engines.hf.config import add_arguments, config_from
from engines.launch.profile import InvalidProfile, Profile
from engines.launch.render import render, shell, unit
from tests.engines.launch.drawn import profiles

HF = {
    "served_name": "served_model_name", "host": "host", "port": "port", "drain_seconds": "drain_seconds",
    "max_num_seqs": "max_running", "batched_tokens": "max_batch_tokens", "queue_limit": "max_waiting",
    "context_length": "max_model_len", "cache_blocks": "num_blocks", "block_size": "page_size", "dtype": "dtype",
    "threads": "threads",
}  # fmt: skip


def profile(kind: str = "vllm", model: str = "/models/m", **settings: object) -> Profile:
    return Profile(kind=kind, model=model, settings=settings)


def after(argv: tuple[str, ...], flag: str) -> str:
    return argv[argv.index(flag) + 1]


@given(profiles(kind="custom"))
def test_the_huggingface_server_reads_every_setting_as_it_was_meant(made: Profile) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    argv = render(made).argv
    assert argv[:3] == ("python", "manage.py", "hf_engine")
    config = asdict(config_from(vars(parser.parse_args(argv[3:]))))
    assert str(config["model"]) == str(config["model"].__class__(made.model))
    assert {name: config[HF[name]] for name in made.settings} == dict(made.settings)


@given(profiles())
def test_a_shell_reads_the_very_arguments(made: Profile) -> None:
    command = render(made)
    line = shell(command).splitlines()[-1]
    words = shlex.split(line)
    assert words[-len(command.argv) :] == list(command.argv)
    assert words[: -len(command.argv)] in (
        [],
        ["env", *(f"{name}={value}" for name, value in command.environment.items())],
    )


@given(profiles(kind="trtllm"))
def test_the_options_of_tensorrt_llm_are_yaml_and_ask_for_statistics(made: Profile) -> None:
    command = render(made)
    options = yaml.safe_load(command.options)
    assert options["enable_iter_perf_stats"] is True
    assert after(command.argv, "--extra_llm_api_options") == command.options_file
    cache = options.get("kv_cache_config", {})
    assert cache.get("enable_block_reuse") == made.settings.get("prefix_caching")
    assert cache.get("dtype") == made.settings.get("kv_dtype")
    assert options.get("speculative_config", {}).get("speculative_model_dir") == made.settings.get("draft_model")
    assert (options.get("orchestrator_type") == "ray") == (made.settings.get("executor") == "ray")


@given(profiles(kind="vllm"))
def test_no_argument_of_vllm_stands_without_its_setting(made: Profile) -> None:
    argv = render(made).argv
    flags = [word for word in argv if word.startswith("--")]
    assert len(flags) == len(set(flags))
    assert ("--tensor-parallel-size" in argv) == ("tensor_parallel" in made.settings)
    assert ("--enable-prefix-caching" in argv) == (made.settings.get("prefix_caching") is True)
    assert ("--no-enable-prefix-caching" in argv) == (made.settings.get("prefix_caching") is False)


@given(profiles())
def test_a_unit_starts_with_one_line_and_waits_for_the_drain(made: Profile) -> None:
    lines = unit(made, "some-name").splitlines()
    assert sum(line.startswith("ExecStart=") for line in lines) == 1
    stop = next(line for line in lines if line.startswith("TimeoutStopSec="))
    assert int(stop.partition("=")[2]) > made.settings.get("drain_seconds", 0)


def test_the_whole_command_line_of_vllm() -> None:
    made = profile(
        served_name="chat", max_num_seqs=64, memory_share=0.85, prefix_caching=False, tensor_parallel=2, executor="ray",
        speculative="ngram", lookup_tokens=5, cpu_cache=2,
    )  # fmt: skip
    command = render(made, port=9001)
    assert command.environment == {"VLLM_CPU_KVCACHE_SPACE": "2"}
    assert command.argv == (
        "vllm", "serve", "/models/m", "--served-model-name", "chat", "--host", "127.0.0.1", "--port", "9001",
        "--max-num-seqs", "64", "--gpu-memory-utilization", "0.85", "--no-enable-prefix-caching",
        "--tensor-parallel-size", "2", "--distributed-executor-backend", "ray", "--speculative-config",
        '{"method":"ngram","num_speculative_tokens":4,"prompt_lookup_max":5,"prompt_lookup_min":2}',
    )  # fmt: skip


@pytest.mark.parametrize(("chosen", "method"), [("draft", "draft_model"), ("eagle", "eagle"), ("eagle3", "eagle3")])
def test_vllm_is_told_which_model_guesses(chosen: str, method: str) -> None:
    made = profile(speculative=chosen, draft_model="/models/small", draft_tokens=3)
    config = json.loads(after(render(made).argv, "--speculative-config"))
    assert config == {"method": method, "num_speculative_tokens": 3, "model": "/models/small"}


def test_sleep_mode_opens_the_addresses_that_it_needs() -> None:
    command = render(profile(sleep_mode=True))
    assert "--enable-sleep-mode" in command.argv
    assert command.environment == {"VLLM_SERVER_DEV_MODE": "1"}
    assert "--enable-sleep-mode" not in render(profile(sleep_mode=False)).argv


def test_the_options_file_of_tensorrt_llm_comes_with_the_command() -> None:
    text = shell(render(profile("trtllm", speculative="ngram", tensor_parallel=4), options_file="big.yaml"))
    assert text.startswith("cat > big.yaml <<'OPTIONS'\n")
    assert '  decoding_type: "NGram"\n  max_draft_len: 4\n' in text
    assert text.splitlines()[-1].endswith("--tp_size 4 --extra_llm_api_options big.yaml")


def test_a_unit_lets_other_machines_in_and_holds_no_key() -> None:
    text = unit(profile(max_num_seqs=8), "chat")
    assert "--host 0.0.0.0" in text
    assert "EnvironmentFile=-/etc/engine-console/chat.env" in text
    assert "may hold: VLLM_API_KEY=…" in text
    assert "ExecStart=/opt/vllm/bin/vllm serve /models/m" in text


def test_a_unit_with_sleep_mode_lets_nobody_in_by_itself() -> None:
    assert "--host 127.0.0.1" in unit(profile(sleep_mode=True), "chat")
    assert "--host 10.0.0.7" in unit(profile(sleep_mode=True, host="10.0.0.7"), "chat")


def test_a_unit_escapes_what_systemd_would_read() -> None:
    text = unit(profile(model='/models/50% "big" $HOME\\x'), "odd")
    assert r'"/models/50%% \"big\" $$HOME\\x"' in text


def test_what_cannot_be_launched_is_not_rendered() -> None:
    with pytest.raises(InvalidProfile):
        render(profile("custom", speculative="ngram"))
