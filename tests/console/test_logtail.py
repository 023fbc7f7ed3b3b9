"""The end of a log as a person may read it."""

from pathlib import Path

import pytest

from console.logtail import HIDDEN, scrub, tail


def test_the_last_lines_come_oldest_first(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert tail(log, 3) == ["line 997", "line 998", "line 999"]
    assert len(tail(log)) == 200


def test_a_log_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert tail(tmp_path / "none") == []


def test_a_line_that_was_cut_at_its_beginning_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("api_key=" + "s3cret" * 60_000 + "\nlast\n")
    assert tail(log) == ["last"]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Authorization: Bearer abcdef123456", f"Authorization: {HIDDEN}"),
        ("sent bearer abcdef123456 twice", f"sent bearer {HIDDEN} twice"),
        ("non-default args: {'api_key': ['hunter2'], 'port': 8000}", f"{{'api_key': ['{HIDDEN}'], 'port': 8000}}"),
        ("args: --api-key hunter2 --port 8000", f"--api-key {HIDDEN} --port 8000"),
        ("HF_TOKEN=hf_abcdefghijklmnop", f"HF_TOKEN={HIDDEN}"),
        ("VLLM_API_KEY=x1", f"VLLM_API_KEY={HIDDEN}"),
        ('{"password": "hunter2", "a": 1}', f'{{"password": "{HIDDEN}", "a": 1}}'),
        ("key ek-Abcdefghijklmnopqrstuvwxyz refused", f"key ek-{HIDDEN} refused"),
        ("GET http://anna:hunter2@10.0.0.7/x", f"GET http://{HIDDEN}@10.0.0.7/x"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(line: str, shown: str) -> None:
    found = scrub(line)
    assert "hunter2" not in found
    assert shown in found or (line.startswith("Authorization") and "abcdef" not in found)


@pytest.mark.parametrize(
    "line", ["api_key=None", "generated 12 tokens in 0.3 s", "max_num_batched_tokens 2048", "served 4 tokens: 9 tok/s"]
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert scrub(line) == line


def test_colours_and_control_characters_are_left_out() -> None:
    assert scrub("\x1b[32mINFO\x1b[0m ready\x07") == "INFO ready"
