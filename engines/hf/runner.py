"""Runs the server: one uvicorn process that drains on the first SIGTERM and leaves on the second."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import time
from types import FrameType

import uvicorn

from engines.hf.config import EngineConfig, add_arguments, config_from
from engines.hf.server import build_app
from engines.hf.service import Service

KEEP_ALIVE_SECONDS = 75  # longer than clients keep idle connections, so that none is reused while we close it
SWITCH_SECONDS = 0.0005  # how long the HTTP thread may hold the interpreter while the model's next step waits


class DrainingServer(uvicorn.Server):
    """On a signal: refuses new requests with 503 but keeps listening until running answers end or time is up."""

    def __init__(self, config: EngineConfig) -> None:
        self.service = Service(config)
        self.broken = False
        self._drain_until: float | None = None
        app = build_app(self.service, self._on_broken)
        super().__init__(
            uvicorn.Config(
                app,
                host=config.host,
                port=config.port,
                loop="uvloop",
                http="httptools",
                ws="none",
                access_log=False,
                log_config=None,
                log_level="debug" if config.log_level == "debug" else "warning",
                server_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                timeout_graceful_shutdown=5,
            )
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._drain_until is not None:
            super().handle_exit(sig, frame)
            return
        self.service.drain()
        self._drain_until = time.monotonic() + self.service.config.drain_seconds

    async def on_tick(self, counter: int) -> bool:
        if self._drain_until is not None and (self._idle() or time.monotonic() > self._drain_until):
            return True
        return await super().on_tick(counter)

    def _idle(self) -> bool:
        return not self.server_state.tasks

    def _on_broken(self) -> None:
        self.broken = True
        self.should_exit = True


def serve(config: EngineConfig) -> int:
    """Returns the exit code."""
    name = os.environ.get("PROCESS_NAME", "hf-engine")
    line = f"%(asctime)s {name:<10} %(levelname)s %(name)s: %(message)s"  # as the other processes of a machine write
    logging.basicConfig(level=config.log_level.upper(), format=line)
    logging.getLogger("engines.hf").setLevel(config.log_level.upper())
    sys.setswitchinterval(SWITCH_SECONDS)
    server = DrainingServer(config)
    server.run()
    return 1 if server.broken or not server.started else 0


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m engines.hf", description="Serve a HuggingFace causal LM.")
    add_arguments(parser)
    return serve(config_from(vars(parser.parse_args(arguments))))
