"""An operator at the console without a browser: logs in, reads pages, posts the forms they hold."""

import html
import http.cookiejar
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType

from tests.e2e.stack import Stack, wait_for


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    text: str


class Operator:
    """One logged-in person, by role. Used as a context manager."""

    def __init__(self, stack: Stack, *, role: str = "operator") -> None:
        self.stack, self.user = stack, stack.user(role)
        self.base = stack.facts["console_url"]
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def __enter__(self) -> "Operator":
        self.get("/accounts/login/")
        entered = self.post("/accounts/login/", {"login": self.user["name"], "password": self.user["password"]})
        assert "Overview" in entered.text, f"{self.user['name']} could not log in"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.opener.close()

    def get(self, path: str) -> Page:
        return self._open(urllib.request.Request(self.base + path))

    def post(self, path: str, fields: Mapping[str, str]) -> Page:
        token = next(cookie.value for cookie in self.cookies if "csrf" in cookie.name)
        body = urllib.parse.urlencode({**fields, "csrfmiddlewaretoken": token}).encode()
        return self._open(urllib.request.Request(self.base + path, body, {"Origin": self.base}))

    def _open(self, request: urllib.request.Request) -> Page:
        try:
            with self.opener.open(request, timeout=30) as response:
                return Page(response.status, html.unescape(response.read().decode()))
        except urllib.error.HTTPError as error:
            with error:
                return Page(error.code, html.unescape(error.read().decode()))

    def open_split(self) -> int:
        """The revision that the editor of route demo was opened at."""
        page = self.get("/traffic/demo/").text
        found = re.search(r'<input[^>]*name="expected"[^>]*value="(\d+)"', page)
        assert found is not None
        return int(found.group(1))

    def save_split(self, expected: int, weights: Mapping[str, int | str], reason: str) -> Page:
        """`weights` holds the per cent of engines in the split, or the role of those that are not."""
        fields = {"expected": str(expected), "reason": reason}
        for engine, weight in weights.items():
            split = isinstance(weight, int)
            fields |= {f"role:{engine}": "split", f"weight:{engine}": str(weight)} if split else {}
            fields |= {} if split else {f"role:{engine}": str(weight)}
        return self.post("/traffic/demo/split/", fields)

    def change_split(self, weights: Mapping[str, int | str], reason: str) -> None:
        """Apply and wait until every gateway has acknowledged the table."""
        applied = self.save_split(self.open_split(), weights, reason)
        assert applied.status == 200, applied.text[-2000:]
        wait_for(self.is_acknowledged, seconds=15, what="every gateway has acknowledged the split")

    def is_acknowledged(self) -> bool:
        return "by 1 of 1 gateway" in self.get("/traffic/demo/truth/").text

    def weights(self) -> dict[str, int]:
        """The weights that the editor shows as in force."""
        page = self.get("/traffic/demo/").text
        found = re.findall(r'<input[^>]*name="weight:([\w.-]+)"[^>]*value="(\d+)"', page)
        return {name: int(weight) for name, weight in found}

    def overview_says(self, engine: str, words: set[str]) -> bool:
        """True when the card of `engine` on the Overview carries one of `words` as its state."""
        page = self.get("/").text
        cards = page.split('class="engine-card"')
        card = next((part for part in cards[1:] if f">{engine}<" in part or f"{engine}</a>" in part), "")
        return any(word in card for word in words)
