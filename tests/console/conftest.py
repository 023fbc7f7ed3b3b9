"""People of every role, and a signed-in client for each."""

from collections.abc import Callable

import pytest
from django.test import Client

from console.models import Role, User

PASSWORD = "correct-horse-battery"


def person(name: str, role: Role) -> User:
    return User.objects.create_user(username=name, password=PASSWORD, role=role)


@pytest.fixture
def viewer(db: None) -> User:
    return person("viewer-1", Role.VIEWER)


@pytest.fixture
def operator(db: None) -> User:
    return person("operator-1", Role.OPERATOR)


@pytest.fixture
def approver(db: None) -> User:
    return person("approver-1", Role.APPROVER)


@pytest.fixture
def admin(db: None) -> User:
    return person("admin-1", Role.ADMIN)


@pytest.fixture
def client_of() -> Callable[[User], Client]:
    def signed_in(user: User) -> Client:
        client = Client()
        client.force_login(user)
        return client

    return signed_in
