"""One click on a gate run, a study or a failover gate: done or refused with its reason, then back to its page."""

from collections.abc import Callable
from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

from console.models import User


def attempt(
    request: HttpRequest, act: Callable[..., object], *, refused: type[Exception], done: str, page: str, number: int
) -> HttpResponse:
    """`act` is told who acts. `refused` is what it raises, with a message for people, when it cannot be done."""
    try:
        act(actor=cast("User", request.user).actor)
    except refused as why:
        messages.warning(request, str(why))
    else:
        messages.success(request, done)
    return redirect(f"console:{page}", number)
