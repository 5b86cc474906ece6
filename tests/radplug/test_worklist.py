"""The worklist's rows: priority, search, filters, order, pages; on each database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from hl7.orders import Order
from radplug.domain import CaseState, DeliveryState, Priority
from radplug.records.schema import cases, deliveries, drafts, metadata
from radplug.records.worklist import PAGE, Page, Sort, Wanted
from radplug.wiring import House

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


def add(house: House, number: int, **columns: object) -> str:
    """A case; the higher its number, the later it came."""
    case_id, at = f"{number:012x}", NOW + timedelta(seconds=number)
    row = {
        "id": case_id,
        "study_uid": f"1.2.{number}",
        "state": CaseState.DELIVERED,
        "first_received_at": at,
        "last_received_at": at,
        "hard_deadline_at": at,
        "accession_number": f"A{number}",
        "patient_name": "Müller^Hans",
        "patient_id": f"P{number}",
        "modality": "DX",
    }
    with house.database.writing() as connection:
        connection.execute(sa.insert(cases).values(row | columns))
    return case_id


def add_draft(house: House, case_id: str, version: int, lowest: float | None, **destinations: DeliveryState) -> None:
    draft = {"case_id": case_id, "version": version, "template": "t", "text": "{}", "images": [], "drafted_at": NOW}
    with house.database.writing() as connection:
        connection.execute(sa.insert(drafts).values(draft | {"seconds": {}, "lowest": lowest}))
        connection.execute(sa.update(cases).where(cases.c.id == case_id).values(version=version))
        for name, state in destinations.items():
            sent = {"case_id": case_id, "version": version, "destination": name, "kind": "sr", "state": state}
            connection.execute(sa.insert(deliveries).values(sent | {"document_id": f"1.{name}.{version}", "file": "f"}))


def shown(house: House, wanted: Wanted | None = None, *, patients: bool = True) -> Page:
    return house.worklist.page(wanted or Wanted(), house.now(), patients=patients)


def ids(page: Page) -> list[str]:
    return [row.case.id for row in page.rows]


def test_stat_comes_first_then_what_came_last(house: House) -> None:
    routine, newer = add(house, 1), add(house, 2)
    urgent, stat = add(house, 3, priority=Priority.URGENT), add(house, 4, priority=Priority.STAT)
    last = add(house, 5)
    assert ids(shown(house)) == [stat, urgent, last, newer, routine]
    assert ids(shown(house, Wanted(sort=Sort.ARRIVED))) == [last, stat, urgent, newer, routine]


def test_an_order_says_how_urgent_a_case_is(house: House) -> None:
    add(house, 1)
    house.receiving.add_order(Order("A1", priority="S^STAT"), NOW)
    assert shown(house).rows[0].case.priority is Priority.STAT
    house.receiving.add_order(Order("A1", priority="R"), NOW)
    assert shown(house).rows[0].case.priority is Priority.ROUTINE
    house.receiving.add_order(Order("", priority="S"), NOW)
    assert shown(house).rows[0].case.priority is Priority.ROUTINE


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "123"),
        ("müller", "13"),
        ("MÜLLER hans", "13"),
        ("p2", "2"),
        ("A3", "3"),
        ("100%", ""),
        ("_", ""),
        ("wang 王", "2"),
    ],
)
def test_search(house: House, text: str, found: str) -> None:
    add(house, 1, patient_name="Müller^Hans")
    add(house, 2, patient_name="Wang^XiaoDong=王^小东")
    add(house, 3, patient_name="Müller^Hans")
    assert sorted(case_id[-1] for case_id in ids(shown(house, Wanted(text=text)))) == list(found)


def test_who_may_not_see_patients_cannot_search_or_sort_by_them(house: House) -> None:
    first, second = add(house, 1, patient_name="Aaron"), add(house, 2, patient_name="Zoe")
    assert ids(shown(house, Wanted(text="aaron"), patients=False)) == []
    assert ids(shown(house, Wanted(sort=Sort.PATIENT), patients=False)) == [second, first]
    assert ids(shown(house, Wanted(sort=Sort.PATIENT))) == [first, second]


def test_filters_and_counts(house: House) -> None:
    add(house, 1, state=CaseState.FAILED)
    ct = add(house, 2, modality="CT")
    page = shown(house, Wanted(states=frozenset({CaseState.DELIVERED, CaseState.DRAFTED}), modality="CT"))
    assert ids(page) == [ct]
    assert page.counts == {CaseState.FAILED: 1, CaseState.DELIVERED: 1}
    assert page.modalities == ("CT", "DX")


def test_the_latest_draft_is_shown_with_its_destinations(house: House) -> None:
    case_id, plain = add(house, 2), add(house, 1)
    add_draft(house, case_id, 1, 0.2, pacs=DeliveryState.DEAD, ris=DeliveryState.DELIVERED)
    add_draft(house, case_id, 2, 0.7, pacs=DeliveryState.WAITING)
    drafted, undrafted = shown(house).rows
    assert (drafted.lowest, drafted.drafted_at, dict(drafted.destinations)) == (0.7, NOW, {"pacs": "waiting"})
    assert (undrafted.case.id, undrafted.lowest, undrafted.drafted_at, undrafted.destinations) == (
        plain,
        None,
        None,
        {},
    )


def test_the_least_sure_comes_first_if_one_wants_it(house: House) -> None:
    undrafted, sure, unsure = add(house, 1), add(house, 2), add(house, 3)
    add_draft(house, sure, 1, 0.99)
    add_draft(house, unsure, 1, 0.3)
    assert ids(shown(house, Wanted(sort=Sort.CONFIDENCE))) == [unsure, sure, undrafted]


def test_pages(house: House) -> None:
    made = [add(house, number) for number in range(2 * PAGE + 1)]
    pages = [shown(house, Wanted(page=number)) for number in (1, 2, 3, 4)]
    assert [(page.number, page.of, page.found, len(page.rows)) for page in pages] == [
        (1, 3, 101, 50),
        (2, 3, 101, 50),
        (3, 3, 101, 1),
        (3, 3, 101, 1),  # there is no fourth
    ]
    assert [case_id for page in pages[:3] for case_id in ids(page)] == made[::-1]


def test_the_moment_moves_with_every_change(house: House) -> None:
    moments = [house.worklist.moment(NOW)]
    case_id = add(house, 1)
    moments.append(house.worklist.moment(NOW))
    house.audit.note("drafted", case_id)
    moments.append(house.worklist.moment(NOW))
    house.readers.has_open(case_id, "maria", NOW)
    moments.append(house.worklist.moment(NOW))
    assert len(set(moments)) == 4
    house.readers.has_open(case_id, "maria", NOW + timedelta(seconds=2))
    assert house.worklist.moment(NOW + timedelta(seconds=2)) == moments[-1]
    assert house.worklist.moment(NOW + timedelta(minutes=1)) == moments[-2]


def test_a_row_tells_who_has_the_case_open(house: House) -> None:
    case_id = add(house, 1)
    house.readers.has_open(case_id, "zoe", NOW)
    house.readers.has_open(case_id, "maria", NOW + timedelta(seconds=1))
    open_with = [
        list(house.worklist.page(Wanted(), NOW + timedelta(seconds=after), patients=True).rows[0].readers)
        for after in (2, 20.5, 60)
    ]
    assert open_with == [["zoe", "maria"], ["maria"], []]


def test_the_schema_is_what_the_migrations_make(house: House) -> None:
    def comparable(_: object, name: str | None, kind: str, *__: object) -> bool:
        return (kind, name) != ("index", "ix_cases_worklist")  # Alembic cannot read back a descending column

    with house.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": comparable})
        assert not compare_metadata(context, metadata)
