"""`manage.py run`: everything on this machine in the foreground, under supervisor. `make run` calls it."""

import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser

from console import bootstrap, processes
from console.ports import PortBusy, require_free
from engines import launched

READY_SECONDS = 180
SUPERVISORS_OWN = re.compile(rb"(\d{4}-\d\d-\d\d \S+) (CRIT|ERRO|WARN)\b")
CLEAN_STOP = re.compile(rb"stopped: \S+ \((?:exit status 0|terminated by SIGTERM)\)")


class Command(BaseCommand):
    help = "Start console, gateway, controller, worker and (unless --no-demo) the demo engines; Ctrl-C stops them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-demo", action="store_true", help="no demo accounts, engines or route")

    def handle(self, *_args: Any, **options: Any) -> None:
        demo = not options["no_demo"]
        try:
            require_free(processes.needed_addresses(with_demo=demo))
        except PortBusy as error:
            raise CommandError(str(error)) from error
        prepare()
        facts = bootstrap.start_demo() if demo else bootstrap.addresses()
        programs = processes.console_processes() + (processes.demo_processes() if demo else [])
        launched.forget_probes()  # what was launched beside the product comes back with it
        config = processes.run_dir() / "supervisord.conf"
        config.touch(mode=0o600)
        config.write_text(processes.supervisor_config(programs))
        sys.exit(self.supervise(config, facts, engines=demo))

    def supervise(self, config: Path, facts: dict[str, Any], *, engines: bool) -> int:
        """Whoever is told to stop, supervisord hears it and stops every process in its own time."""
        command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(config)]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)  # noqa: S603
        threading.Thread(target=copy_output, args=(child,), daemon=True).start()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: child.terminate())
        if wait_until_ready(child, engines=engines):
            self.stdout.write(bootstrap.banner(facts))
            self.stdout.flush()
        return child.wait()


def copy_output(child: "subprocess.Popen[bytes]") -> None:
    """One writer for the log: wherever it goes, no process overwrites another's lines."""
    for raw in child.stdout or ():
        line = readable(raw)
        if line is None:
            continue
        sys.stdout.buffer.write(line)
        sys.stdout.buffer.flush()


def readable(line: bytes) -> bytes | None:
    """Supervisor's own lines with its name, as all others; None for the end of a process that was told to stop."""
    if not SUPERVISORS_OWN.match(line):
        return line
    return None if CLEAN_STOP.search(line) else SUPERVISORS_OWN.sub(rb"\1 supervisor \2", line, count=1)


def prepare() -> None:
    """Database, cache table and static files: quick when there is nothing new."""
    call_command("migrate", verbosity=0, interactive=False)
    call_command("createcachetable", verbosity=0)
    call_command("vendor_assets", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)


def wait_until_ready(child: "subprocess.Popen[bytes]", *, engines: bool) -> bool:
    """True once console and gateway answer and, where there are `engines`, one can take traffic."""
    health = "healthz" if engines else "livez"
    deadline = time.monotonic() + READY_SECONDS
    waiting = [
        f"http://{settings.CONSOLE_HOST}:{settings.CONSOLE_PORT}/accounts/login/",
        f"http://{settings.GATEWAY_HOST}:{settings.GATEWAY_PORT}/{health}",
    ]
    while waiting and child.poll() is None:
        waiting = [url for url in waiting if not answers(url)]
        if time.monotonic() > deadline:
            print(f"Still not ready after {READY_SECONDS} s: {', '.join(waiting)}. See the log above.")
            return False
        time.sleep(0.3)
    return child.poll() is None


def answers(url: str) -> bool:
    """A 503 is an answer that says: not yet."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310
            return bool(response.status == 200)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
