"""Rows of what arrives: instances, orders, dictated phrases; and the case that they belong to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa
from pydantic import TypeAdapter

from dicom_io.study import Instance, Patient
from hl7.orders import Order
from radplug.domain import CaseState, Dictation, Patience, Priority, Received, StoredFile
from radplug.records.database import Database, insert_or_ignore
from radplug.records.moves import move
from radplug.records.patients import known_as
from radplug.records.schema import cases, deliveries, dictations, instances, orders
from radplug.records.signals import may_be_last

INSTANCE = TypeAdapter(Instance)
ORDER = TypeAdapter(Order)


class Receiving:
    def __init__(self, database: Database) -> None:
        self._database = database

    def known(self, instance: Instance, sha256: str) -> StoredFile | None:
        """Where these very bytes are already kept under these UIDs."""
        same = sa.select(instances).where(
            instances.c.study_uid == instance.study_uid,
            instances.c.series_uid == instance.series_uid,
            instances.c.sop_instance_uid == instance.sop_instance_uid,
            instances.c.sha256 == sha256,
        )
        with self._database.reading() as connection:
            row = connection.execute(same).first()
        return StoredFile(row.id, row.file, row.sha256, row.size, row.damaged) if row else None

    def mend(self, damaged: StoredFile, stored: StoredFile) -> bool:
        """The instance's bytes are in the file `stored` from now on; False where somebody else was faster."""
        this = (instances.c.id == damaged.id, instances.c.file == damaged.file, instances.c.damaged)
        values = {"file": stored.file, "size": stored.size, "damaged": False}
        with self._database.writing() as connection:
            return connection.execute(sa.update(instances).where(*this).values(values)).rowcount == 1

    def add(
        self,
        instance: Instance,
        stored: StoredFile,
        calling_ae: str,
        at: datetime,
        patience: Patience,
        called_ae: str = "",
    ) -> Received:
        """Record a stored instance, and open, extend or reopen its case."""
        with self._database.writing() as connection:
            ours = connection.execute(
                sa.select(deliveries.c.id).where(deliveries.c.document_id == instance.sop_instance_uid)
            ).first()
            case_id = None if ours else _open_case(connection, instance, at, patience)
            added = insert_or_ignore(
                connection,
                instances,
                {
                    "id": stored.id,
                    "case_id": case_id,
                    "study_uid": instance.study_uid,
                    "series_uid": instance.series_uid,
                    "sop_instance_uid": instance.sop_instance_uid,
                    "sha256": stored.sha256,
                    "size": stored.size,
                    "file": stored.file,
                    "calling_ae": calling_ae,
                    "called_ae": called_ae,
                    "received_at": at,
                    "facts": INSTANCE.dump_python(instance, mode="json"),
                },
            )
            if not added:
                return Received.DUPLICATE
            if case_id is None:
                return Received.OURS
            _note_arrival(connection, case_id, instance, at, patience)
            return Received.NEW

    def add_order(self, order: Order, at: datetime) -> None:
        """Record an order; a later one for the same accession number takes its place."""
        with self._database.writing() as connection:
            put_order(connection, order, at)

    def add_dictation(self, dictation: Dictation, key: str | None = None) -> bool:
        """Record a phrase; a case of its study that is drafted, or just being drafted, is drafted anew around it.

        A `key` that has been used before brings no second phrase; whether it was recorded.
        """
        with self._database.writing() as connection:
            return _put_dictation(connection, dictation, key)

    def has_dictation(self, key: str) -> bool:
        """Whether a phrase was recorded under that key."""
        with self._database.reading() as connection:
            return connection.execute(sa.select(dictations.c.id).where(dictations.c.key == key)).first() is not None


def put_order(connection: sa.Connection, order: Order, at: datetime) -> None:
    row = {"accession_number": order.accession_number, "facts": ORDER.dump_python(order), "received_at": at}
    if not insert_or_ignore(connection, orders, row):
        connection.execute(sa.update(orders).where(orders.c.accession_number == order.accession_number).values(row))
    if order.accession_number:
        _put_priority(connection, order.accession_number, Priority.of(order))


def drop_order(connection: sa.Connection, accession_number: str) -> None:
    """An order that is cancelled: what was done nevertheless is a routine study without order."""
    connection.execute(sa.delete(orders).where(orders.c.accession_number == accession_number))
    _put_priority(connection, accession_number, Priority.ROUTINE)


def _put_priority(connection: sa.Connection, accession_number: str, priority: Priority) -> None:
    """What an order says; a rule that has set the priority goes before it."""
    ordered = cases.c.accession_number == accession_number
    by_rule = cases.c.routing["priority"].as_integer().is_not(None)
    connection.execute(sa.update(cases).where(ordered, ~by_rule).values(priority=priority))


def put_dictations(connection: sa.Connection, phrases: Sequence[Dictation]) -> None:
    """All that one source has said of a study so far; the same again changes nothing."""
    first = phrases[0]
    said_before = _said(first.accession_number, first.study_uid, first.source)
    before = connection.execute(sa.select(dictations).where(*said_before).order_by(dictations.c.id)).all()
    if [(row.section, row.text) for row in before] == [(phrase.section, phrase.text) for phrase in phrases]:
        return
    connection.execute(sa.delete(dictations).where(*said_before))
    for phrase in phrases:
        _put_dictation(connection, phrase, None)


def drop_dictations(
    connection: sa.Connection, accession_number: str, study_uid: str, source: str, at: datetime
) -> None:
    """What one source has said of a study is taken back: drafts that stand around it are made anew without."""
    said = _said(accession_number, study_uid, source)
    if connection.execute(sa.delete(dictations).where(*said)).rowcount:
        _draft_anew(connection, _concerns(accession_number, study_uid), at)


def _said(accession_number: str, study_uid: str, source: str) -> tuple[sa.ColumnElement[bool], ...]:
    """All that one source has said of a study, but for what programs have said under keys of their own."""
    return (
        dictations.c.accession_number == accession_number,
        dictations.c.study_uid == study_uid,
        dictations.c.source == source,
        dictations.c.key.is_(None),
    )


def _put_dictation(connection: sa.Connection, dictation: Dictation, key: str | None) -> bool:
    if not insert_or_ignore(connection, dictations, asdict(dictation) | {"key": key}):
        return False
    _draft_anew(connection, _concerns(dictation.accession_number, dictation.study_uid), dictation.said_at)
    return True


def _draft_anew(connection: sa.Connection, concerned: sa.ColumnElement[bool], at: datetime) -> None:
    """Cases that are drafted, or just being drafted, are drafted with what is dictated by now."""
    drafted = sa.select(cases.c.id).where(concerned, cases.c.state.in_([CaseState.DRAFTED, CaseState.DELIVERED]))
    fresh = {"ring_at": at, "lease_until": None, "attempts": 0}
    for case_id in connection.scalars(drafted).all():
        move(connection, case_id, CaseState.COMPLETE, closed_at=at, **fresh)
    waiting = sa.update(cases).where(concerned, cases.c.state == CaseState.COMPLETE)
    fence = cases.c.fence + 1  # a draft in the making knows other phrases and no longer counts
    connection.execute(waiting.values(fence=fence, **fresh))


def _concerns(accession_number: str, study_uid: str) -> sa.ColumnElement[bool]:
    by_accession, by_study = cases.c.accession_number == accession_number, cases.c.study_uid == study_uid
    if accession_number and study_uid:
        return by_accession | by_study
    return by_accession if accession_number else by_study


def _open_case(connection: sa.Connection, instance: Instance, at: datetime, patience: Patience) -> str:
    """The id of the study's one case, made now if this is the study's first instance."""
    insert_or_ignore(
        connection,
        cases,
        {
            "id": uuid.uuid4().hex[:12],
            "study_uid": instance.study_uid,
            "state": CaseState.RECEIVING,
            "first_received_at": at,
            "last_received_at": at,
            "hard_deadline_at": at + patience.at_most,
            "ring_at": at + patience.quiet,
        },
    )
    row = sa.select(cases.c.id).where(cases.c.study_uid == instance.study_uid).with_for_update()
    return str(connection.execute(row).scalar_one())


def _note_arrival(
    connection: sa.Connection, case_id: str, instance: Instance, at: datetime, patience: Patience
) -> None:
    """What a new instance changes on its case. Only an image keeps a study open or reopens it."""
    this = cases.c.id == case_id
    case = connection.execute(sa.select(cases).where(this)).one()
    learnt: dict[str, str | int] = {
        name: value
        for name, value in _case_facts(instance, known_as(connection, instance.patient)).items()
        if value and not getattr(case, name)
    }
    by_rule = (case.routing or {}).get("priority") is not None  # which goes before the order's
    if "accession_number" in learnt and not by_rule:
        learnt |= _priority(connection, instance.accession_number)
    connection.execute(
        sa.update(cases).where(this).values(**learnt, instances=cases.c.instances + 1, last_received_at=at)
    )
    is_last = may_be_last(connection, instance.study_uid, instance.sop_instance_uid, case.instances + 1)
    look_at = at if is_last else at + patience.quiet
    if case.state == CaseState.RECEIVING:
        connection.execute(sa.update(cases).where(this).values(ring_at=min(look_at, case.hard_deadline_at)))
    elif instance.is_image:
        move(
            connection,
            case_id,
            CaseState.RECEIVING,
            ring_at=look_at,
            hard_deadline_at=at + patience.at_most,
            closed_at=None,
            complete_because=None,
            lease_until=None,
            fence=cases.c.fence + 1,  # a draft in the making no longer counts
            attempts=0,
            reason="",
        )


def _case_facts(instance: Instance, patient: Patient) -> dict[str, str]:
    """Columns of a case that an instance can fill; what the study shows is told by its images alone."""
    return {
        "patient_id": patient.id,
        "patient_issuer": patient.issuer,
        "patient_name": patient.name,
        "patient_birth_date": patient.birth_date,
        "patient_sex": patient.sex,
        "accession_number": instance.accession_number,
        "study_date": instance.study_date,
        "study_description": instance.study_description,
        "modality": instance.modality if instance.is_image else "",
        "body_part": instance.body_part if instance.is_image else "",
    }


def _priority(connection: sa.Connection, accession_number: str) -> dict[str, int]:
    """What the order says of it, where it has come before the images."""
    row = connection.execute(sa.select(orders.c.facts).where(orders.c.accession_number == accession_number)).first()
    return {"priority": Priority.of(ORDER.validate_python(row.facts))} if row else {}
