"""`manage.py hf_engine --model PATH`: starts our engine server; the server itself knows no Django."""

import argparse
import sys
from typing import Any

from django.core.management.base import BaseCommand

from engines.hf.config import add_arguments, config_from
from engines.hf.runner import serve


class Command(BaseCommand):
    help = "Serve a local HuggingFace causal LM over OpenAI's API."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        sys.exit(serve(config_from(options)))
