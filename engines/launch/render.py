"""A profile as what starts it: the command line, its options file, shell text to copy, a systemd unit. Pure."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engines.launch.kinds import Parts
from engines.launch.profile import Profile, check, launch_kind

LOCAL, EVERYWHERE = "127.0.0.1", "0.0.0.0"  # noqa: S104 - a remote engine listens where the console can reach it
OPTIONS_FLAG = "--extra_llm_api_options"
STOP_SECONDS = 45  # systemd waits so long, at least, before it kills


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """`options` is the text of `options_file`, which has to be there before the start; both are "" for most kinds."""

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    options_file: str = ""
    options: str = ""


def render(
    profile: Profile,
    *,
    program: Sequence[str] = (),
    host: str = LOCAL,
    port: int | None = None,
    options_file: str = "options.yaml",
) -> Command:
    """Raises InvalidProfile. `program` is the kind's own unless given; `port` beats the profile's."""
    check(profile)
    kind = launch_kind(profile.kind)
    place = {"host": profile.settings.get("host", host), "port": port or profile.settings.get("port", kind.port)}
    settings = {**profile.settings, **place}
    parts = Parts()
    for name, write in kind.writers.items():
        if name in settings:
            write(parts, settings[name])
    kind.finish(parts, settings)
    if parts.options:
        parts.arguments += [OPTIONS_FLAG, options_file]
    return Command(
        argv=(*(program or kind.program), *kind.model(profile.model), *parts.arguments),
        environment=parts.environment,
        options_file=options_file if parts.options else "",
        options=yaml(parts.options),
    )


def shell(command: Command) -> str:
    """What a person pastes: the options file as a here-document, then the command with its environment."""
    variables = [f"{name}={value}" for name, value in command.environment.items()]
    line = shlex.join([*(["env", *variables] if variables else []), *command.argv])
    if not command.options:
        return line
    return f"cat > {shlex.quote(command.options_file)} <<'OPTIONS'\n{command.options}OPTIONS\n{line}"


def unit(profile: Profile, name: str) -> str:
    """A systemd unit for another machine; keys are in a file of variables there, never in the unit."""
    kind = launch_kind(profile.kind)
    folder = f"/etc/engine-console/{name}"
    host = LOCAL if profile.settings.get("sleep_mode") else EVERYWHERE
    command = render(profile, program=kind.remote_program, host=host, options_file=f"{folder}.yaml")
    stop = max(STOP_SECONDS, int(profile.settings.get("drain_seconds", 0)) + 15)
    lines = [
        f"# /etc/systemd/system/engine-{name}.service",
        *([f"# {folder}.env, mode 0600, may hold: {kind.key_variable}=…"] if kind.key_variable else []),
        *([f"# {command.options_file} holds:", *(f"#   {line}" for line in command.options.splitlines())]
          if command.options else []),
        "[Unit]",
        f"Description={kind.title} by launch profile {name}",
        "Wants=network-online.target",
        "After=network-online.target",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "User=engine",
        "WorkingDirectory=/opt/engine-console",
        f"EnvironmentFile=-{folder}.env",
        *(f"Environment={quoted(f'{key}={value}')}" for key, value in command.environment.items()),
        f"ExecStart={' '.join(quoted(word) for word in command.argv)}",
        "Restart=always",
        "RestartSec=5",
        f"TimeoutStopSec={stop}",
        "",
        "[Install]",
        "WantedBy=multi-user.target",
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def quoted(word: str) -> str:
    """One word of a unit's line: % and $ mean something to systemd, quotes and backslashes too."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = escaped == word and word and not any(letter.isspace() or letter in "'\";#" for letter in word)
    return word if plain else f'"{escaped}"'


def yaml(options: Mapping[str, Any], indent: str = "") -> str:
    """Nested maps of plain values. A JSON scalar is a YAML scalar."""
    lines = []
    for name, value in options.items():
        if isinstance(value, Mapping):
            lines.append(f"{indent}{name}:\n{yaml(value, indent + '  ')}")
        else:
            lines.append(f"{indent}{name}: {json.dumps(value, ensure_ascii=False)}\n")
    return "".join(lines)
