"""`python -m tests.gates.run_here RUN`: as gate execute, with a generator that a busy machine does not unsettle."""

import asyncio
import os
import sys

import django

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "console.settings")
    django.setup()
    from gates.execute import execute
    from tests.gates.rows import GENERATOR, PACE

    asyncio.run(execute(int(sys.argv[1]), pace=PACE, generator=GENERATOR))
