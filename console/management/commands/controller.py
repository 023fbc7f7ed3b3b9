"""`manage.py controller`: probes, health and retention; only one of any number acts."""

import asyncio
import signal
from typing import Any

from django.core.management.base import BaseCommand

from console.controller import Controller


class Command(BaseCommand):
    help = "Probe engines every 5 s and publish their health. Several may run: one holds the lease, the others wait."

    def handle(self, *_args: Any, **_options: Any) -> None:
        asyncio.run(run())


async def run() -> None:
    controller = Controller()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, controller.stop.set)
    await controller.run()
