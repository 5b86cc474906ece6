"""Rows of what others announce of studies: kept before they are answered, before or after the images come."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from dicom_io.signals import Change, Kind, Outcome, Progress, Signal
from radplug.completeness import Announced
from radplug.domain import CaseState
from radplug.records.database import Database, insert_or_ignore
from radplug.records.schema import announced_images, cases, deliveries, instances, signal_studies, signals


class Signals:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, signal: Signal, calling_ae: str, at: datetime) -> Outcome:
        """Keep a new signal; the clock looks at its studies at once."""
        row = {"uid": signal.uid, "kind": signal.kind, "progress": signal.progress}
        with self._database.writing() as connection:
            if not insert_or_ignore(connection, signals, row | {"calling_ae": calling_ae, "received_at": at}):
                return Outcome.DUPLICATE
            studies = [{"signal_uid": signal.uid, "study_uid": uid} for uid in signal.study_uids]
            connection.execute(sa.insert(signal_studies), studies)
            _announce(connection, signal.uid, signal.images)
            _withdraw(connection, signal)
            _wake(connection, signal.uid, at)
        return Outcome.KEPT

    def change(self, uid: str, change: Change, at: datetime) -> Outcome:
        """Keep what has become of a procedure step; the clock looks at its studies at once."""
        this = signals.c.uid == uid
        with self._database.writing() as connection:
            step = sa.select(signals.c.progress).where(this, signals.c.kind == Kind.MPPS).with_for_update()
            progress = connection.scalar(step)
            if progress is None:
                return Outcome.UNKNOWN
            if progress != Progress.IN_PROGRESS:
                return Outcome.ENDED
            values = {"progress": change.progress or progress, "received_at": at}
            connection.execute(sa.update(signals).where(this).values(values))
            if change.images is not None:
                connection.execute(sa.delete(announced_images).where(announced_images.c.signal_uid == uid))
                _announce(connection, uid, change.images)
            _wake(connection, uid, at)
        return Outcome.KEPT

    def of_study(self, study_uid: str) -> tuple[Announced, ...]:
        """All of a study, in the order in which they came. What we have sent ourselves is not waited for."""
        ours = sa.exists().where(deliveries.c.document_id == announced_images.c.sop_instance_uid)
        is_here = sa.exists().where(instances.c.sop_instance_uid == announced_images.c.sop_instance_uid)
        about = signals.c.uid.in_(_about(study_uid))
        rows = sa.select(announced_images, is_here.label("is_here")).join(signals).where(about, ~ours)
        images: defaultdict[str, set[str]] = defaultdict(set)
        missing: defaultdict[str, set[str]] = defaultdict(set)
        with self._database.reading() as connection:
            found = connection.execute(sa.select(signals).where(about).order_by(signals.c.received_at)).all()
            for row in connection.execute(rows) if found else ():
                images[row.signal_uid].add(row.sop_instance_uid)
                if not row.is_here:
                    missing[row.signal_uid].add(row.sop_instance_uid)
        return tuple(
            Announced(
                Kind(signal.kind),
                Progress(signal.progress),
                signal.calling_ae,
                signal.received_at,
                frozenset(images[signal.uid]),
                frozenset(missing[signal.uid]),
            )
            for signal in found
        )

    def cases_of(self, uid: str) -> list[str]:
        """Ids of the cases that a signal is about, as far as their images have come."""
        with self._database.reading() as connection:
            return list(connection.scalars(sa.select(cases.c.id).where(_of_signal(uid))))

    def forget(self, before: datetime) -> None:
        """Drop the signals from before that moment."""
        old = sa.select(signals.c.uid).where(signals.c.received_at < before)
        with self._database.writing() as connection:
            connection.execute(sa.delete(announced_images).where(announced_images.c.signal_uid.in_(old)))
            connection.execute(sa.delete(signal_studies).where(signal_studies.c.signal_uid.in_(old)))
            connection.execute(sa.delete(signals).where(signals.c.received_at < before))


def may_be_last(connection: sa.Connection, study_uid: str, sop_instance_uid: str, here: int) -> bool:
    """Whether an image may be the last of those that were announced, as far as counting tells.

    It is asked for each image that comes, and looks closer only at what somebody has announced.
    """
    announced = sa.select(announced_images.c.signal_uid).where(announced_images.c.sop_instance_uid == sop_instance_uid)
    if connection.execute(announced.limit(1)).first() is None:
        return False
    counted = (
        sa.select(signals.c.progress, sa.func.count(announced_images.c.sop_instance_uid).label("images"))
        .outerjoin(announced_images)
        .where(signals.c.uid.in_(_about(study_uid)))
        .group_by(signals.c.uid)
    )
    found = connection.execute(counted).all()
    return all(row.progress != Progress.IN_PROGRESS and row.images <= here for row in found)


def _announce(connection: sa.Connection, uid: str, images: Iterable[str]) -> None:
    if rows := [{"signal_uid": uid, "sop_instance_uid": image} for image in images]:
        connection.execute(sa.insert(announced_images), rows)


def _withdraw(connection: sa.Connection, signal: Signal) -> None:
    """What can no longer be had is not waited for, whoever had announced it."""
    if rows := [{"image": image} for image in signal.withdrawn]:
        this = announced_images.c.sop_instance_uid == sa.bindparam("image")
        connection.execute(sa.delete(announced_images).where(this), rows)


def _wake(connection: sa.Connection, uid: str, at: datetime) -> None:
    still_open = (cases.c.state == CaseState.RECEIVING, cases.c.ring_at > at)
    connection.execute(sa.update(cases).where(_of_signal(uid), *still_open).values(ring_at=at))


def _about(study_uid: str) -> sa.Select[tuple[str]]:
    return sa.select(signal_studies.c.signal_uid).where(signal_studies.c.study_uid == study_uid)


def _of_signal(uid: str) -> sa.ColumnElement[bool]:
    studies = sa.select(signal_studies.c.study_uid).where(signal_studies.c.signal_uid == uid)
    return cases.c.study_uid.in_(studies)
