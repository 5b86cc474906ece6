"""What the OpenAPI document promises is what the server does, whatever it is sent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import schemathesis
from browsers import Client
from houses import house_at, send_study
from hypothesis import Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from radplug import pipeline
from radplug.people import SCOPES
from radplug.settings import Settings
from radplug.web.app import create
from radplug.web.serving import serving
from radplug.wiring import House

WITHOUT_END = r"/(events|changes)$"
WITHOUT_LIMIT = {"port": 0, "changes_per_minute": 1_000_000, "strangers_per_minute": 1_000_000}


class Site:
    """A house with a drafted case, served, and a token that may do everything."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        case = send_study(house, folder)
        pipeline.draft(house, case.id, "worker")
        self.case = house.viewing.case(case.id)
        now = house.now()
        self.token = house.tokens.make("all", SCOPES, now, now + timedelta(days=1))
        self.address = ""

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, str]:
        headers = {"Authorization": f"Bearer {self.token}", **headers}
        answer = Client(self.address).json(method, "/api/v1" + path, body, **headers)
        return answer.status, answer.text


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, model: Path) -> Iterator[Site]:
    root = tmp_path_factory.mktemp("site")
    made = Site(house_at(root, model, web=WITHOUT_LIMIT, drafting={"assume_body_part": "CHEST"}), root / "study")
    with serving(made.house) as made.address:
        yield made
    made.house.database.close()


PROMISED = schemathesis.openapi.from_dict(create(House(Settings(), "test")).openapi())
PROMISED.config.generation.update(with_security_parameters=False)  # the token is right, but where a check leaves it out
# What is well-formed may still not fit the case; and schemathesis does not expect that wrong tokens are slowed down.
NOT_OURS = [positive_data_acceptance, ignored_auth]
OPERATIONS = [result.ok() for result in PROMISED.exclude(path_regex=WITHOUT_END).get_all_operations()]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_whatever_is_sent_the_answer_is_as_promised(operation: APIOperation, served: Site) -> None:
    good, bad = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)

    @settings(max_examples=40, derandomize=True, database=None, phases=[Phase.generate])
    @given(case=good | bad)
    def ask(case: Case) -> None:
        # in place of every other well-formed name: an unknown case is soon refused
        named = case.path_parameters.get("case")
        if isinstance(named, str) and len(named) in range(1, 64, 2) and named.isprintable():
            case.path_parameters["case"] = served.case.id
        token = {"Authorization": f"Bearer {served.token}"}
        case.call_and_validate(served.address, headers=token, excluded_checks=NOT_OURS)

    ask()


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.label)
def test_nobody_is_told_anything_without_a_token(operation: APIOperation, served: Site) -> None:
    path = re.sub(r"\{\w+\}", "1", operation.path)
    answer = Client(served.address).json(operation.method.upper(), path, {"text": "x", "section": ""})
    assert (answer.status, json.loads(answer.text)) == (401, {"detail": "sign in first"})


def test_the_document_is_of_the_api_alone() -> None:
    document = PROMISED.raw_schema
    assert all(path.startswith("/api/v1/") for path in document["paths"])
    assert len({operation.definition.raw["operationId"] for operation in OPERATIONS}) == len(OPERATIONS)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            assert operation["security"] == [{"token": []}, {"session": []}], path
            assert {"400", "401", "403", "404", "409", "422", "429"} <= set(operation["responses"]), path


# ── what the document's own types cannot say ──


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "\\ud800", "section": "FINDINGS"}',
        b'{"\\ud800": 1, "text": "x"}',
        b'{"text": "\\u0000"}',
        b'{"text": "x", "source": "\\u0000"}',
        b'{"text": "x", "on": 18446744073709551616}',
        b'{"text": "x", "on": -1}',
        b'{"text": "x", "on": 1e400}',
        b'{"text": "x", "on": NaN}',
        b'{"text": "x", "on": ' + b"9" * 5000 + b"}",
        b'{"text": Infinity}',
        b'"x"',
        b"[" * 100_000,
        b"\xff\xfe",
        b"",
    ],
    ids=lambda body: repr(body[:24]),
)
def test_odd_bodies_are_refused(served: Site, body: bytes) -> None:
    for case in (served.case.id, "NOSTUDYYET"):
        request = Request(f"{served.address}/api/v1/cases/{case}/anchors", body, method="POST")
        request.add_header("Authorization", f"Bearer {served.token}")
        request.add_header("Content-Type", "application/json")
        with pytest.raises(HTTPError) as refused:
            urlopen(request, timeout=20)
        told = json.loads(refused.value.read())
        assert (refused.value.code in (400, 422), list(told)) == (True, ["detail"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/cases?q=%00", 422),
        ("/cases?q=%ff%ed%a0%80", 200),
        ("/cases?page=99999999999999999999", 422),
        ("/cases?sort=patient%00", 422),
        ("/cases/%00", 422),
        ("/cases/%F0%9F%92%80", 404),
        ("/cases/" + "x" * 65, 422),
        ("/cases/KNOWN/frames/1.2/99999999999999999999", 422),
        ("/cases/KNOWN/frames/1.2/1", 404),
        ("/cases/KNOWN/frames/%D9%A1/1", 422),
        ("/cases/KNOWN/drafts/2147483647/images/1.png", 404),
        ("/cases/KNOWN/drafts/1/images/1.png", 200),
    ],
)
def test_odd_addresses(served: Site, path: str, status: int) -> None:
    assert served.ask("GET", path.replace("KNOWN", served.case.id))[0] == status


# ── the page ──


def test_the_page_tells_of_every_operation_and_needs_nobody(served: Site) -> None:
    answer = Client(served.address).get("/api/v1/docs")
    assert answer.status == 200
    for operation in OPERATIONS:
        assert f"<code>{operation.method.upper()} {operation.path}</code>" in answer.text
    assert not re.search(r"<script|<style|\sstyle=|https?://(?!127)", answer.text)


def test_the_pages_example_works(served: Site) -> None:
    page = Client(served.address).get("/api/v1/docs").text
    example = unescape(re.search(r"curl [^<]*/anchors(?=<)", page)[0])
    program = shutil.which("curl") or pytest.skip("curl is not installed")
    done = subprocess.run(
        ["sh", "-c", example.replace("curl", f"{program} -s", 1)],
        env={"TOKEN": served.token},
        capture_output=True,
        check=True,
        timeout=20,
    )
    assert json.loads(done.stdout) == {"stands": "waits for its study", "case": None}
