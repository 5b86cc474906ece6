"""How drafts fare, counted."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from browsers import Client
from houses import send_study
from test_endings import pin

from radplug import insight, pipeline
from radplug.desk import Ending, Flaw
from radplug.domain import Case
from radplug.people import Role
from radplug.wiring import House


@pytest.fixture
def three(site: House, tmp_path: Path) -> list[Case]:
    """One accepted after an edit, one discarded, one that nobody has opened."""
    cases = [send_study(site, tmp_path / str(n), 1_000_000_001 + n) for n in range(3)]
    for case in cases:
        pipeline.draft(site, case.id, "worker")
    pin(site, cases[0])
    pipeline.accept(site, site.desks.of(cases[0].id, site.now()), "maria")
    site.desks.discard(site.desks.of(cases[1].id, site.now()), Flaw.WORDING, by="maria", now=site.now())
    return cases


def test_the_figures_of_three_cases(site: House, three: list[Case]) -> None:
    fates = site.fates.since(three[0].first_received_at)
    assert [fate.ending for fate in fates] == [Ending.ACCEPTED, Ending.DISCARDED, None]
    (group,) = insight.groups(fates)
    assert (group.drafts, group.opened, group.accepted, group.discarded) == (3, 2, 1, 1)
    assert (group.acceptance, group.anchors) == (0.5, 0.5)
    assert group.changed["FINDINGS"] > 0
    assert group.to_draft is not None
    assert group.to_draft > 0
    assert insight.reasons(fates) == [(Flaw.WORDING, 1)]
    assert [(a, d) for _, a, d in insight.by_day(fates)] == [(1, 1)]


def test_what_is_undone_has_not_ended(site: House, three: list[Case]) -> None:
    desk = site.desks.of(three[1].id, site.now())
    site.desks.go(desk.edit, 0, site.now())
    assert [fate.ending for fate in site.fates.since(three[0].first_received_at)] == [Ending.ACCEPTED, None, None]


def test_a_sentence_is_told_only_where_several_cases_had_it(site: House, three: list[Case]) -> None:
    (fate, *_) = site.fates.since(three[0].first_received_at)
    often = [replace(fate, edited=("The heart is normal.",))] * insight.TOLD_FROM
    once = [replace(fate, edited=("Mrs. Miller is well.",))]
    assert insight.most_edited(often + once) == [("The heart is normal.", insight.TOLD_FROM)]


def test_the_page_and_its_csv_name_no_patient(site: House, three: list[Case], address: str) -> None:
    client = Client(address)
    client.sign_in(Role.RADIOLOGIST)
    page, table = client.get("/insight").text, client.get("/insight.csv")
    assert "50 %" in page
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [row["ending"] for row in rows] == ["accepted", "discarded", ""]
    for case in three:
        for secret in (
            case.patient.name.split("^")[0],
            case.patient.id,
            case.accession_number,
            case.study_uid,
            case.id,
        ):
            assert secret not in page
            assert secret not in table.text


@pytest.mark.parametrize("role", [Role.TECHNOLOGIST, Role.IT])
def test_who_may_not_read_reports_may_not_see_it(address: str, role: Role) -> None:
    client = Client(address)
    client.sign_in(role)
    assert client.get("/insight").status == 403
    assert client.get("/insight.csv").status == 403
