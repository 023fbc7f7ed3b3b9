"""Signing in and out, and the pages that say no."""

from collections.abc import Callable

import pytest
from django.test import Client

from console.models import User
from tests.console.conftest import PASSWORD

ClientOf = Callable[[User], Client]


def test_the_login_page_has_a_language_a_main_landmark_and_one_heading(client: Client, db: None) -> None:
    page = client.get("/accounts/login/").content.decode()
    assert '<html lang="en">' in page
    assert page.count("<main") == page.count("<h1") == 1
    assert 'autocomplete="current-password"' in page


def test_a_person_signs_in_with_name_and_password(client: Client, viewer: User) -> None:
    answer = client.post("/accounts/login/", {"login": viewer.username, "password": PASSWORD})
    assert answer.status_code == 302
    assert answer["Location"] == "/"


def test_a_wrong_password_is_said_at_the_top_of_the_form(client: Client, viewer: User) -> None:
    answer = client.post("/accounts/login/", {"login": viewer.username, "password": "wrong-wrong-wrong"})
    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()


def test_signing_out_needs_a_post(client_of: ClientOf, viewer: User) -> None:
    browser = client_of(viewer)
    assert browser.get("/accounts/logout/").status_code == 200
    assert browser.get("/").status_code == 200
    browser.post("/accounts/logout/")
    assert browser.get("/").status_code == 302


def test_an_unknown_address_says_so_inside_the_shell(client_of: ClientOf, viewer: User) -> None:
    answer = client_of(viewer).get("/nothing/here/")
    assert answer.status_code == 404
    assert "Nothing is at /nothing/here/" in answer.content.decode()
    assert 'class="rail"' in answer.content.decode()


def test_a_form_without_its_token_is_refused_in_words(viewer: User) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(viewer)
    answer = browser.post("/accounts/logout/")
    assert answer.status_code == 403
    assert "out of date" in answer.content.decode()


@pytest.mark.parametrize("address", ["/accounts/password/change/", "/accounts/signup/"])
def test_every_account_page_wears_our_frame(client_of: ClientOf, client: Client, viewer: User, address: str) -> None:
    browser = client if "signup" in address else client_of(viewer)
    page = browser.get(address).content.decode()
    assert '<html lang="en">' in page
    assert "css/tokens.css" in page


@pytest.mark.parametrize("address", ["/accounts/email/", "/accounts/password/reset/"])
def test_no_page_sends_a_secret_by_mail(client_of: ClientOf, viewer: User, address: str) -> None:
    assert client_of(viewer).get(address).status_code == 404
