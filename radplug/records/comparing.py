"""Rows of earlier studies: which cases wait for them, what became of each, and what came of what was asked for."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa
from pydantic import TypeAdapter

from dicom_io.study import Instance
from radplug.domain import KeptInstance, StoredFile
from radplug.priors import Prior, PriorState, SignedReport
from radplug.records.database import Database, insert_or_ignore
from radplug.records.schema import (
    cases,
    deliveries,
    instances,
    prior_instances,
    prior_requests,
    prior_searches,
    priors,
)
from radplug.records.signed_reports import signed_of
from radplug.records.viewing import priors_of

INSTANCE = TypeAdapter(Instance)
PRIOR = TypeAdapter(Prior)
ON_ITS_WAY = timedelta(minutes=10)  # after it was asked for, what comes of a study without saying why is taken for it
LATE = "it did not come in time"


class Comparing:
    def __init__(self, database: Database) -> None:
        self._database = database

    # ── what the clock asks ──

    def due(self, now: datetime) -> list[str]:
        """Ids of cases whose earlier studies nobody has begun to look for."""
        open_ = (~prior_searches.c.begun, prior_searches.c.ring_at <= now, prior_searches.c.until > now)
        with self._database.reading() as connection:
            return list(connection.scalars(sa.select(prior_searches.c.case_id).where(*open_)))

    def ring_again_at(self, case_id: str, at: datetime) -> None:
        this = prior_searches.c.case_id == case_id
        with self._database.writing() as connection:
            connection.execute(sa.update(prior_searches).where(this).values(ring_at=at))

    # ── looking for them ──

    def begin(self, case_id: str, now: datetime) -> datetime | None:
        """Until when the case's draft waits for them; None: it does not, or another is at it."""
        waits = (prior_searches.c.case_id == case_id, ~prior_searches.c.begun, prior_searches.c.until > now)
        begin = sa.update(prior_searches).where(*waits).values(begun=True).returning(prior_searches.c.until)
        with self._database.writing() as connection:
            return connection.execute(begin).scalar()

    def put(self, case_id: str, prior: Prior, at: datetime) -> None:
        """Note a study, in place of what was known of it for the case; not once its draft has begun without it."""
        with self._database.writing() as connection:
            waits = sa.select(prior_searches.c.case_id).where(prior_searches.c.case_id == case_id)
            if connection.execute(waits).first() is None:
                return
            _put(connection, case_id, prior)
            if prior.state is PriorState.COMING:
                this = prior_requests.c.study_uid == prior.study_uid
                connection.execute(sa.delete(prior_requests).where(this))
                connection.execute(sa.insert(prior_requests).values(study_uid=prior.study_uid, asked_at=at))

    def end(self, case_id: str) -> None:
        """The draft need not wait for them any longer."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(prior_searches).where(prior_searches.c.case_id == case_id))

    # ── what comes ──

    def expects(self, study_uid: str, now: datetime, *, by_us: bool | None) -> bool:
        """Whether an instance that has come is of one that was asked for; `by_us`: the sender says so, or not.

        Where the sender says nothing, what is a case already goes on to be one.
        """
        asked = sa.select(prior_requests.c.study_uid).where(prior_requests.c.study_uid == study_uid)
        if by_us is None:
            a_case = sa.exists().where(cases.c.study_uid == study_uid)
            asked = asked.where(prior_requests.c.asked_at > now - ON_ITS_WAY, ~a_case)
        with self._database.reading() as connection:
            return by_us is not False and connection.execute(asked).first() is not None

    def add(self, instance: Instance, stored: StoredFile, at: datetime) -> bool:
        """Record an instance of one; False where it is kept already."""
        row = {
            "study_uid": instance.study_uid,
            "series_uid": instance.series_uid,
            "sop_instance_uid": instance.sop_instance_uid,
            "file": stored.file,
            "received_at": at,
            "facts": INSTANCE.dump_python(instance, mode="json"),
        }
        with self._database.writing() as connection:
            return insert_or_ignore(connection, prior_instances, row)

    def forget(self, study_uid: str) -> list[str]:
        """Drop what came of it; the files."""
        gone = sa.delete(prior_instances).where(prior_instances.c.study_uid == study_uid)
        with self._database.writing() as connection:
            return list(connection.scalars(gone.returning(prior_instances.c.file)))

    def instances(self, study_uid: str) -> list[KeptInstance]:
        """What is here of a study, whatever it came for; no document of ours."""
        ours = sa.select(deliveries.c.document_id)
        found = sa.union_all(
            *(
                sa.select(table.c.facts, table.c.file).where(
                    table.c.study_uid == study_uid, table.c.sop_instance_uid.not_in(ours)
                )
                for table in (instances, prior_instances)
            )
        )
        with self._database.reading() as connection:
            kept = [KeptInstance(INSTANCE.validate_python(row.facts), row.file) for row in connection.execute(found)]
        return list({one.instance.sop_instance_uid: one for one in kept}.values())

    def signed(self, study_uid: str, accession_numbers: Collection[str]) -> list[SignedReport]:
        """The reports that systems have sent of a study, whoever's they are."""
        with self._database.reading() as connection:
            return signed_of(connection, study_uid, accession_numbers)

    # ── drafting with them ──

    def take(self, case_id: str, most: int) -> tuple[Prior, ...]:
        """Those that the case's draft is supplied with: it begins. The others are left out, with their reasons."""
        with self._database.writing() as connection:
            ended = sa.delete(prior_searches).where(prior_searches.c.case_id == case_id)
            if connection.execute(ended.returning(prior_searches.c.begun)).scalar() is False:
                _put(connection, case_id, Prior("", "", PriorState.LEFT_OUT, "no archive was asked in time"))
            known = priors_of(connection, case_id)
            ready = [one for one in known if one.state in (PriorState.HERE, PriorState.SUPPLIED)]
            read = f"the model reads {f'no more than {most}' if most else 'no'} earlier report{'s' if most > 1 else ''}"
            for number, one in enumerate(ready):
                state = (PriorState.SUPPLIED, "") if number < most else (PriorState.LEFT_OUT, read)
                _settle(connection, case_id, one, *state)
            for one in known:
                if one.state is PriorState.COMING:
                    _settle(connection, case_id, one, PriorState.LEFT_OUT, LATE)
            return tuple(one for one in priors_of(connection, case_id) if one.state is PriorState.SUPPLIED)


def search_anew(connection: sa.Connection, case_id: str, now: datetime, until: datetime | None) -> None:
    """Forget what was found for a case; until then its draft waits for a new search, None: there is none."""
    for table in (priors, prior_searches):
        connection.execute(sa.delete(table).where(table.c.case_id == case_id))
    if until:
        row = {"case_id": case_id, "until": until, "begun": False, "ring_at": now}
        connection.execute(sa.insert(prior_searches).values(row))


def awaits_priors(now: datetime) -> sa.ColumnElement[bool]:
    """Whether a case is one whose draft waits for them."""
    return sa.exists().where(prior_searches.c.case_id == cases.c.id, prior_searches.c.until > now)


def _put(connection: sa.Connection, case_id: str, prior: Prior) -> None:
    connection.execute(sa.delete(priors).where(*_this(case_id, prior)))
    row = PRIOR.dump_python(prior, mode="json") | {"case_id": case_id, "taken_on": prior.taken_on}
    connection.execute(sa.insert(priors).values(row))


def _settle(connection: sa.Connection, case_id: str, prior: Prior, state: PriorState, why: str) -> None:
    connection.execute(sa.update(priors).where(*_this(case_id, prior)).values(state=state, why=why))


def _this(case_id: str, prior: Prior) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        priors.c.case_id == case_id,
        priors.c.study_uid == prior.study_uid,
        priors.c.archive == prior.archive,
    )
