"""The frame of every page."""

from collections.abc import Callable

from django.test import Client

from console.models import User

ClientOf = Callable[[User], Client]


def test_a_stranger_is_sent_to_the_login_page(client: Client, db: None) -> None:
    answer = client.get("/")
    assert answer.status_code == 302
    assert answer["Location"].startswith("/accounts/login/")


def test_the_rail_marks_the_section_that_is_open(client_of: ClientOf, viewer: User) -> None:
    page = client_of(viewer).get("/audit/").content.decode()
    assert '<a href="/audit/" aria-current="page">' in page
    assert page.count('aria-current="page"') >= 1


def test_the_page_allows_no_inline_script(client_of: ClientOf, viewer: User) -> None:
    answer = client_of(viewer).get("/")
    policy = answer["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    assert "<script>" not in answer.content.decode()
    assert " style=" not in answer.content.decode()


def test_the_title_ends_with_the_environment(client_of: ClientOf, viewer: User) -> None:
    page = client_of(viewer).get("/").content.decode()
    assert "· LOCAL</title>" in page
