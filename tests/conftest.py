"""Fixtures of the whole suite: who acts, and engines and a route in the database."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from engines.actors import Actor
from engines.models import Engine
from routing.actions import create_route
from routing.models import Route
from tests.routing import rows

OPERATOR = Actor("user", "7", "olga")


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Threads of asynchronous tests may still hold a connection; PostgreSQL then keeps the test database."""
    yield
    if connection.vendor == "postgresql":
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def actor() -> Actor:
    return OPERATOR


@pytest.fixture
def make_engine(db: None) -> Callable[..., Engine]:
    """An active engine with one replica; fields of EngineSpec may be given by name."""
    return partial(rows.make_engine, actor=OPERATOR)


@pytest.fixture
def demo_route(make_engine: Callable[..., Engine]) -> Route:
    """Route `demo` over hf-demo (100 %) and hf-demo-b (0 %, canary)."""
    make_engine("hf-demo")
    make_engine("hf-demo-b")
    members = rows.members({"hf-demo": 100, "hf-demo-b": 0}, canary="hf-demo-b")
    return create_route("demo", members, actor=OPERATOR, reason="for the test")
