"""How people get in: accounts are made by an admin or at first start, never by sign-up."""

from allauth.account.adapter import DefaultAccountAdapter
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import re_path


class ClosedSignup(DefaultAccountAdapter):  # type: ignore[misc]
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False


def not_here(_request: HttpRequest) -> HttpResponse:
    """Accounts have no e-mail addresses: an admin sets a new password, so no link to do it is ever sent or logged."""
    raise Http404


closed = [re_path(r"^accounts/(?:email|confirm-email|inactive|login/code|password/reset|password/set)/", not_here)]
