"""The tables. `ring_at` is the next moment at which the clock must look at a row again; null is never."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    }
)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """A moment: aware UTC in Python; SQLite, which knows no time zones, stores it without."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.astimezone(UTC) if value is not None else None

    def process_result_value(self, value: datetime | None, dialect: Any) -> datetime | None:
        return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


UID = sa.String(64)  # PS3.5 section 9.1

cases = sa.Table(
    "cases",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("study_uid", UID, nullable=False, unique=True),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("version", sa.Integer, nullable=False, default=0),
    sa.Column("reason", sa.Text, nullable=False, default=""),
    sa.Column("patient_id", sa.Text, nullable=False, default=""),
    sa.Column("patient_issuer", sa.Text, nullable=False, default=""),
    sa.Column("patient_name", sa.Text, nullable=False, default=""),
    sa.Column("patient_birth_date", sa.Text, nullable=False, default=""),
    sa.Column("patient_sex", sa.Text, nullable=False, default=""),
    sa.Column("accession_number", sa.Text, nullable=False, default="", index=True),
    sa.Column("study_date", sa.Text, nullable=False, default=""),
    sa.Column("study_description", sa.Text, nullable=False, default=""),
    sa.Column("modality", sa.Text, nullable=False, default=""),
    sa.Column("body_part", sa.Text, nullable=False, default=""),
    sa.Column("priority", sa.SmallInteger, nullable=False, server_default="2"),  # domain.Priority
    sa.Column("instances", sa.Integer, nullable=False, default=0),
    sa.Column("first_received_at", UtcDateTime, nullable=False),
    sa.Column("last_received_at", UtcDateTime, nullable=False, index=True),
    sa.Column("hard_deadline_at", UtcDateTime, nullable=False),
    sa.Column("closed_at", UtcDateTime),
    sa.Column("ring_at", UtcDateTime, index=True),
    sa.Column("lease_owner", sa.Text, nullable=False, default=""),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("fence", sa.Integer, nullable=False, default=0),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("routing", sa.JSON),  # domain.Routing; null: the study has not been closed yet
    sa.Column("revise_at", UtcDateTime, index=True),  # null: what was sent has the patient as they are
    sa.Column("complete_because", sa.String(16)),  # completeness.Because, when the study was last closed
    sa.Column("lacks", sa.Text, nullable=False, server_default=""),  # what it waits for, or was closed without
    sa.Index("ix_cases_worklist", "priority", sa.desc("last_received_at"), "id"),
)

instances = sa.Table(
    "instances",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), index=True),  # null: one of our own, sent back
    sa.Column("study_uid", UID, nullable=False),
    sa.Column("series_uid", UID, nullable=False),
    sa.Column("sop_instance_uid", UID, nullable=False, index=True),
    sa.Column("sha256", sa.String(64), nullable=False),  # of the data set as it came, without file meta
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("calling_ae", sa.String(16), nullable=False),
    sa.Column("called_ae", sa.String(16), nullable=False, server_default=""),  # ours; empty: before it was kept
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("damaged", sa.Boolean, nullable=False, server_default=sa.false()),  # the file, as was found
    sa.UniqueConstraint("study_uid", "series_uid", "sop_instance_uid", "sha256"),
)

signals = sa.Table(  # what others have announced of studies: MPPS and Instance Availability Notifications
    "signals",
    metadata,
    sa.Column("uid", UID, primary_key=True),
    sa.Column("kind", sa.String(4), nullable=False),
    sa.Column("progress", sa.String(16), nullable=False),  # dicom_io.signals.Progress
    sa.Column("calling_ae", sa.String(16), nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False, index=True),  # or changed
)

signal_studies = sa.Table(
    "signal_studies",
    metadata,
    sa.Column("signal_uid", UID, sa.ForeignKey("signals.uid"), primary_key=True),
    sa.Column("study_uid", UID, primary_key=True, index=True),
)

announced_images = sa.Table(
    "announced_images",
    metadata,
    sa.Column("signal_uid", UID, sa.ForeignKey("signals.uid"), primary_key=True),
    sa.Column("sop_instance_uid", UID, primary_key=True, index=True),
)

dictations = sa.Table(
    "dictations",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("accession_number", sa.Text, nullable=False, default="", index=True),
    sa.Column("study_uid", UID, nullable=False, default="", index=True),
    sa.Column("section", sa.Text, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("said_at", UtcDateTime, nullable=False),
    sa.Column("key", sa.String(64), unique=True),  # as in edits
)

orders = sa.Table(
    "orders",
    metadata,
    sa.Column("accession_number", sa.Text, primary_key=True),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
)

order_queries = sa.Table(  # cases for whose order the site's worklist was asked
    "order_queries",
    metadata,
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("ring_at", UtcDateTime),  # null: answered, or given up
    sa.Column("outcome", sa.Text, nullable=False, default=""),
)

workitems = sa.Table(  # that we have claimed, or set out to claim, where the site has them
    "workitems",
    metadata,
    sa.Column("uid", UID, primary_key=True),
    sa.Column("transaction_uid", UID, nullable=False),  # stands here before the claim is made
    sa.Column("state", sa.String(16), nullable=False),  # records.workitems.WorkitemState
    sa.Column("study_uid", UID, nullable=False, default="", index=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("ring_at", UtcDateTime, index=True),  # null: over
    sa.Column("outcome", sa.Text, nullable=False, default=""),
    sa.Column("claimed_at", UtcDateTime),
)

messages = sa.Table(  # HL7 messages that were taken, and how they were answered
    "messages",
    metadata,
    sa.Column("application", sa.Text, primary_key=True),  # MSH-3
    sa.Column("facility", sa.Text, primary_key=True),  # MSH-4
    sa.Column("control_id", sa.Text, primary_key=True),  # MSH-10
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("answers", sa.LargeBinary, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
)

merges = sa.Table(  # ids of patients that were merged into, or changed to, another
    "merges",
    metadata,
    sa.Column("former_id", sa.Text, primary_key=True),
    sa.Column("former_issuer", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("issuer", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
)

drafts = sa.Table(
    "drafts",
    metadata,
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("title", sa.JSON),  # Code; null: Diagnostic Imaging Report, before titles were kept
    sa.Column("sections", sa.JSON),  # of the template as it was; null: before they were kept
    sa.Column("text", sa.Text, nullable=False),  # DraftText in JSON
    sa.Column("doubtful", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("lowest", sa.Float),  # confidence of the sentence that the model was least sure of
    sa.Column("images", sa.JSON, nullable=False),
    sa.Column("order", sa.JSON),
    sa.Column("drafted_at", UtcDateTime, nullable=False),
    sa.Column("seconds", sa.JSON, nullable=False),
    sa.Column("accepted_by", sa.Text, nullable=False, server_default=""),
    sa.Column("offered", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("revises", sa.Integer, nullable=False, server_default="0"),  # version whose text it repeats
    sa.Column("priors", sa.JSON),  # that the model was supplied with; null: before they were kept
)

prior_searches = sa.Table(  # cases whose draft waits for earlier studies
    "prior_searches",
    metadata,
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("until", UtcDateTime, nullable=False),  # then it waits no longer
    sa.Column("begun", sa.Boolean, nullable=False),
    sa.Column("ring_at", UtcDateTime, nullable=False, index=True),
)

priors = sa.Table(  # earlier studies of a case's patient; see priors.Prior
    "priors",
    metadata,
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("study_uid", UID, primary_key=True),  # empty: none in particular
    sa.Column("archive", sa.String(40), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("taken_on", sa.Date),
    sa.Column("modality", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    sa.Column("report", sa.Text, nullable=False),
    sa.Column("images", sa.JSON, nullable=False),
)

prior_requests = sa.Table(  # studies that archives were asked to send us
    "prior_requests",
    metadata,
    sa.Column("study_uid", UID, primary_key=True),
    sa.Column("asked_at", UtcDateTime, nullable=False),
)

prior_instances = sa.Table(  # what came of them; the same study may come for itself as well, and is a case then
    "prior_instances",
    metadata,
    sa.Column("study_uid", UID, primary_key=True),
    sa.Column("series_uid", UID, primary_key=True),
    sa.Column("sop_instance_uid", UID, primary_key=True),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("received_at", UtcDateTime, nullable=False),
    sa.Column("facts", sa.JSON, nullable=False),
)

signed_reports = sa.Table(  # that systems have sent by HL7; see priors.SignedReport
    "signed_reports",
    metadata,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("report", sa.Text, primary_key=True),  # its accession number, or else its study
    sa.Column("accession_number", sa.Text, nullable=False, index=True),
    sa.Column("study_uid", UID, nullable=False, index=True),
    sa.Column("patient_id", sa.Text, nullable=False, index=True),
    sa.Column("patient_issuer", sa.Text, nullable=False),
    sa.Column("patient_birth_date", sa.Text, nullable=False),
    sa.Column("signed_at", UtcDateTime, nullable=False),
    sa.Column("sections", sa.JSON, nullable=False),  # empty: it was withdrawn
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("destination", sa.Text, nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("document_id", UID, nullable=False, index=True),
    sa.Column("series_uid", UID, nullable=False, default=""),
    sa.Column("file", sa.Text, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("outcome", sa.Text, nullable=False, default=""),
    sa.Column("ring_at", UtcDateTime, index=True),
    sa.Column("retry_at", UtcDateTime),  # not before
    sa.Column("lease_until", UtcDateTime),
    sa.Column("delivered_at", UtcDateTime),
    sa.UniqueConstraint("case_id", "version", "destination", "document_id"),
)

commitments = sa.Table(  # whether a destination keeps what it was sent, each time that it is asked
    "commitments",
    metadata,
    sa.Column("transaction_uid", UID, primary_key=True),
    sa.Column("delivery_id", sa.Integer, sa.ForeignKey("deliveries.id"), nullable=False, index=True),
    sa.Column("state", sa.String(16), nullable=False),  # domain.CommitmentState
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("ring_at", UtcDateTime, index=True),
    sa.Column("retry_at", UtcDateTime),  # not to be asked before
    sa.Column("until", UtcDateTime, nullable=False),  # then the answer is late
    sa.Column("outcome", sa.Text, nullable=False, default=""),
    sa.Column("settled_at", UtcDateTime),
)

commitment_requests = sa.Table(  # what others ask us about instances that we were sent
    "commitment_requests",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("transaction_uid", UID, nullable=False, index=True),
    sa.Column("calling_ae", sa.String(16), nullable=False),
    sa.Column("references", sa.JSON, nullable=False),  # SOP Class and SOP Instance UIDs
    sa.Column("duplicate", sa.Boolean, nullable=False),  # another request has that transaction UID
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("ring_at", UtcDateTime, index=True),  # null: answered, or given up
    sa.Column("outcome", sa.Text, nullable=False, default=""),
    sa.Column("received_at", UtcDateTime, nullable=False),
)

desks = sa.Table(  # cases that somebody has edited
    "desks",
    metadata,
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("current", sa.Integer, nullable=False),  # the edit that is shown
    sa.Column("latest", sa.Integer, nullable=False),  # the edit with the highest number
    sa.Column("ring_at", UtcDateTime, index=True),
    sa.Column("frame", sa.Text),  # how far the current edit's gaps are, in JSON
    sa.Column("revision", sa.Integer, nullable=False, server_default="0"),  # grows with all that a page shows of it
)

edits = sa.Table(
    "edits",
    metadata,
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("parent", sa.Integer, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("phrases", sa.JSON, nullable=False),
    sa.Column("struck", sa.JSON, nullable=False),
    sa.Column("text", sa.Text),  # DraftText in JSON; null: drafted anew just now, or refused
    sa.Column("refused", sa.Text, nullable=False, server_default=""),
    sa.Column("key", sa.String(64), unique=True),  # a sender's own, so that a request sent again is one edit
)

endings = sa.Table(  # of what somebody did with a draft
    "endings",
    metadata,
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("edit", sa.Integer, primary_key=True),
    sa.Column("how", sa.String(16), nullable=False),  # desk.Ending
    sa.Column("reason", sa.String(32), nullable=False, server_default=""),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False, index=True),
)

readers = sa.Table(  # who has a case open
    "readers",
    metadata,
    sa.Column("case_id", sa.String(32), sa.ForeignKey("cases.id"), primary_key=True),
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
)

saved_texts = sa.Table(  # templates and rules as they were saved in the pages; the newest version of a name counts
    "saved_texts",
    metadata,
    sa.Column("kind", sa.String(16), primary_key=True),  # texts.history.Kind
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text),  # TOML; null: taken out of use, the file of that name counts again
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
)

destinations = sa.Table(
    "destinations",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("failures", sa.Integer, nullable=False, default=0),  # in a row
    sa.Column("down_until", UtcDateTime),
)

stations = sa.Table(
    "stations",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ready_at", UtcDateTime),
    sa.Column("detail", sa.Text, nullable=False, default=""),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("event", sa.Text, nullable=False),
    sa.Column("case_id", sa.String(32), nullable=False, default="", index=True),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
    sa.Column("number", sa.Integer, nullable=False, unique=True, index=True),  # in the chain, from 1 without gaps
    sa.Column("hash", sa.String(64), nullable=False),  # audit_chain.digest
)

audit_head = sa.Table(  # one row: the last entry of the chain, which who adds another one locks
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("password", sa.Text, nullable=False),  # argon2id, with its parameters and salt; empty: nobody's
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("subject", sa.Text),  # issuer and subject at the hospital's OpenID provider; null: an account of ours
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),  # sha256 of the cookie, which is kept nowhere
    sa.Column("account", sa.String(64), sa.ForeignKey("accounts.name"), nullable=False, index=True),
    sa.Column("begun_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Column("id_token", sa.Text),  # the OpenID provider's, which wants it back at signing out; it lets nobody in
)

links = sa.Table(
    "links",
    metadata,
    sa.Column("digest", sa.String(64), primary_key=True),  # sha256 of a link that signs in once
    sa.Column("account", sa.String(64), sa.ForeignKey("accounts.name"), nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),  # sha256 of the token, which is kept nowhere
    sa.Column("scopes", sa.JSON, nullable=False),  # people.SCOPES
    sa.Column("made_at", UtcDateTime, nullable=False),
    sa.Column("until", UtcDateTime, nullable=False),
    sa.Column("used_at", UtcDateTime),  # to a minute
    sa.Column("revoked_at", UtcDateTime),
)
