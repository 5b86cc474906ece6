"""A real browser, and a plain client that keeps its cookies, for pages on a real socket."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from urllib.parse import urlencode, urlsplit

from peers import tool
from playwright.sync_api import Browser, Page, sync_playwright

from radplug import pipeline
from radplug.people import Role
from radplug.wiring import House

PASSWORD = "correct horse battery"


def with_accounts(house: House) -> House:
    """An account for each role, of the role's name."""
    for role in Role:
        house.people.add(role, role, PASSWORD, house.now())
    return house


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass
class Client:
    """What a browser does without its scripts; redirects are not followed."""

    address: str
    cookies: SimpleCookie = field(default_factory=SimpleCookie)

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, None, {"Accept": "text/html", **headers})

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        return self._ask("POST", path, urlencode(form or {}), {"Accept": "text/html", **headers})

    def json(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        sent = None if body is None else json.dumps(body)
        return self._ask(method, path, sent, {"Content-Type": "application/json", **headers})

    def sign_in(self, name: str, password: str = PASSWORD) -> Answer:
        return self.post("/sign-in", {"name": name, "password": password})

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=20)
        kept = "; ".join(f"{name}={morsel.value}" for name, morsel in self.cookies.items())
        form = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
        connection.request(method, path, body, {**form, "Cookie": kept, **headers})
        response = connection.getresponse()
        text = response.read().decode("utf-8", "replace")
        for value in response.headers.get_all("Set-Cookie") or []:
            self.cookies.load(value)
        connection.close()
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, text)


class Worker:
    """Redrafts and delivers in a thread of its own, one case at a time, as a worker's process does."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._one = threading.Lock()

    def redraft(self, case_id: str) -> None:
        threading.Thread(target=self._do, args=(pipeline.redraft, case_id)).start()

    def deliver(self, case_id: str) -> None:
        threading.Thread(target=self._do, args=(pipeline.deliver, case_id)).start()

    def _do(self, stage: Callable[[House, str], None], case_id: str) -> None:
        with self._one:
            stage(self._house, case_id)


@contextmanager
def chromium() -> Iterator[Browser]:
    program = tool("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


SCRIPT_ERRORS: list[str] = []  # what went wrong in the scripts of pages; it fails the test


def watched(page: Page) -> Page:
    page.on("pageerror", lambda error: SCRIPT_ERRORS.append(f"{page.url}: {error}"))
    return page


def signed_in(browser: Browser, address: str, name: str, *, width: int = 1440, height: int = 900) -> Page:
    """A page of its own profile, on the worklist."""
    page = watched(browser.new_context(viewport={"width": width, "height": height}).new_page())
    page.goto(address)
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.locator("#live.well").wait_for()
    return page


def pin(page: Page, phrase: str, section: str = "FINDINGS:") -> None:
    page.get_by_label(f"Pin a phrase in {section}").fill(phrase)
    page.keyboard.press("Enter")


def settled(page: Page, edit: int) -> None:
    """Wait until the page shows this edit with its text."""
    page.locator(f"#draft[data-edit='{edit}']:not(.drafting)").wait_for()
