"""Long suites run on a stack of their own."""

from tests.e2e.conftest import collector, sdk, stack

__all__ = ["collector", "sdk", "stack"]
