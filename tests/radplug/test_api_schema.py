"""What the OpenAPI document promises is what the server does, whatever it is sent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

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
    made = Site(house_at(root, model, web={"port": 0}, drafting={"assume_body_part": "CHEST"}), root / "study")
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

    @settings(max_examples=40, derandomize=True, database=None, deadline=None, phases=[Phase.generate])
    @given(case=good | bad)
    def ask(case: Case) -> None:
        # in place of every other well-formed name: an unknown case is soon refused
        named = case.path_parameters.get("case")
        if isinstance(named, str) and len(named) in range(1, 64, 2) and named.isprintable():
            case.path_parameters["case"] = served.case.id
        token = {"Authorization": f"Bearer {served.token}"}
        case.call_and_validate(served.address, headers=token, excluded_checks=NOT_OURS)

    ask()
