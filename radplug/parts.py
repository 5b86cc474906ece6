"""The parts of the house as the stages see them: small Protocols, for which `wiring` supplies the real ones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

from dicom_io.commitment import Result
from dicom_io.study import Instance, Patient
from hl7.orders import Order
from model_runtime.draft_text import DraftText, SectionText
from radplug.completeness import Announced, Because, Counted
from radplug.desk import Desk, Edit, Frame
from radplug.domain import (
    Brief,
    Case,
    CaseState,
    Commitment,
    CommitmentState,
    Delivery,
    Dictation,
    Document,
    Draft,
    KeptInstance,
    KeyImage,
    Lease,
    Outdated,
    Patience,
    Plan,
    Received,
    Routing,
    StoredFile,
)
from radplug.patient_guard import Known
from radplug.policy import Policy
from radplug.priors import Candidate, Prior, SignedReport, WrittenReport


class Store(Protocol):
    def digest(self, data_set: bytes) -> str: ...
    def keep(self, header: bytes, data_set: bytes, sha256: str, at: datetime) -> StoredFile: ...
    def discard(self, stored: StoredFile) -> None: ...
    def remove(self, file: str) -> None: ...


class Receiving(Protocol):
    def known(self, instance: Instance, sha256: str) -> StoredFile | None: ...
    def mend(self, damaged: StoredFile, stored: StoredFile) -> bool: ...
    def add(
        self,
        instance: Instance,
        stored: StoredFile,
        calling_ae: str,
        at: datetime,
        patience: Patience,
        called_ae: str = "",
    ) -> Received: ...


class Comparing(Protocol):
    """Rows of earlier studies."""

    def begin(self, case_id: str, now: datetime) -> datetime | None:
        """Until when the case's draft waits for them; None: it does not, or another is at it."""

    def put(self, case_id: str, prior: Prior, at: datetime) -> None:
        """Note a study, in place of what was known of it for the case; not once its draft has begun without it."""

    def take(self, case_id: str, most: int) -> tuple[Prior, ...]:
        """Those that the case's draft is supplied with: it begins. The others are left out, with their reasons."""

    def end(self, case_id: str) -> None:
        """The draft need not wait for them any longer."""

    def expects(self, study_uid: str, now: datetime, *, by_us: bool | None) -> bool:
        """Whether an instance that has come is of one that was asked for; `by_us`: the sender says so, or not."""

    def add(self, instance: Instance, stored: StoredFile, at: datetime) -> bool:
        """Record an instance of one; False where it is kept already."""

    def forget(self, study_uid: str) -> list[str]:
        """Drop what came of it; the files."""

    def instances(self, study_uid: str) -> list[KeptInstance]:
        """What is here of a study, whatever it came for; no document of ours."""

    def signed(self, study_uid: str, accession_numbers: Collection[str]) -> list[SignedReport]:
        """The reports that systems have sent of a study, whoever's they are."""


class Signals(Protocol):
    def of_study(self, study_uid: str) -> tuple[Announced, ...]: ...


class Archives(Protocol):
    def count(self, case: Case) -> Counted | str:
        """What the first PACS that can tell has of the study; else why none does."""


class Drafting(Protocol):
    def deadline(self, case_id: str) -> datetime: ...
    def wait(self, case_id: str, now: datetime, until: datetime, lacks: str) -> bool:
        """Keep the study open; whether what it lacks is news."""

    def close(
        self,
        case_id: str,
        now: datetime,
        routing: Routing,
        because: Because,
        lacks: str,
        priors_until: datetime | None = None,
    ) -> None: ...
    def waiting(self, now: datetime, most: int) -> list[str]: ...
    def lease(self, case_id: str, owner: str, now: datetime, until: datetime) -> Lease | None: ...
    def instances(self, case_id: str) -> list[KeptInstance]: ...
    def order(self, case: Case) -> Order | None:
        """That with the case's accession number; none where it cannot be the case's."""

    def dictations(self, case: Case) -> list[Dictation]: ...
    def keep(self, lease: Lease, draft: Draft, outgoing: Sequence[tuple[str, Document]]) -> None: ...
    def set_aside(self, lease: Lease, state: CaseState, reason: str) -> None: ...


class Identities(Protocol):
    """Rows of what is known of whose a case is."""

    def of(self, case_id: str, version: int) -> Known:
        """What the case, its images, its order, and the draft of that version, say at this moment."""

    def misfits(self, case: Case) -> tuple[str, ...]:
        """In words, how the order with the case's accession number cannot be the case's; nothing where it can."""


class Desks(Protocol):
    def in_hand(self, case_id: str) -> bool:
        """Whether somebody has begun on the case's draft."""

    def waiting(self, case_id: str) -> Desk | None: ...
    def frame(self, edit: Edit, frame: Frame) -> bool:
        """Show how far an edit is; False where it is no longer wanted."""

    def keep(self, edit: Edit, text: DraftText) -> None: ...
    def refuse(self, edit: Edit, reason: str) -> None: ...
    def accept(self, on: Edit, draft: Draft, outgoing: Sequence[tuple[str, Document]]) -> Desk:
        """Raises StaleEdit where another edit is shown by now, StaleWork where the case has moved on."""


class Revising(Protocol):
    def keep(self, outdated: Outdated, draft: Draft, outgoing: Sequence[tuple[str, Document]]) -> None: ...
    def leave(self, outdated: Outdated) -> None: ...


class Delivering(Protocol):
    def lease(self, case_id: str, now: datetime, until: datetime) -> list[Delivery]: ...
    def failures(self, destination: str) -> int: ...
    def delivered(self, delivery: Delivery, outcome: str, now: datetime, commit_by: datetime | None = None) -> None: ...
    def postponed(self, delivery: Delivery, outcome: str, retry_at: datetime, down_until: datetime) -> None: ...
    def dead(self, delivery: Delivery, outcome: str, now: datetime) -> None: ...


class Committing(Protocol):
    def lease(self, case_id: str, now: datetime, until: datetime) -> list[Commitment]: ...
    def overdue(self, case_id: str, now: datetime) -> list[Commitment]: ...
    def find(self, transaction_uid: str) -> Commitment | None: ...
    def asked(self, commitment: Commitment) -> None: ...
    def postponed(self, commitment: Commitment, outcome: str, retry_at: datetime) -> None: ...
    def committed(self, commitment: Commitment, now: datetime) -> None: ...
    def failed(
        self, commitment: Commitment, state: CommitmentState, outcome: str, now: datetime, send_at: datetime | None
    ) -> bool:
        """Note it, and send the document again at `send_at`, None: make it a dead letter; False: it was settled."""


class Viewing(Protocol):
    def case(self, case_id: str) -> Case: ...
    def drafts(self, case_id: str) -> tuple[Draft, ...]: ...


class Audit(Protocol):
    def note(self, event: str, case_id: str = "", **detail: str | int | float | bool) -> None: ...


class Router(Protocol):
    def route(self, instances: Sequence[KeptInstance], order: Order | None, at: datetime) -> Routing:
        """What the site's rules say of a study."""


class Draftsman(Protocol):
    def plan(self, case: Case, instances: Sequence[KeptInstance], order: Order | None) -> Plan:
        """As the case's routing says. Raises NotDraftable where the model was not made for such a study."""

    def draft(self, briefs: Sequence[Brief]) -> list[DraftText | Exception]:
        """Texts of several cases in one batch. What goes wrong with one stands in its place.

        That is NotDraftable where the dictated phrases cannot all stand in the report.
        """

    def redraft(self, brief: Brief, desk: Desk, tell: Callable[[int, Sequence[SectionText]], bool]) -> DraftText | None:
        """The text around what is pinned now, beginning with what stands there.

        `tell` is given each step's number and sections, and says whether the draft is still wanted; None where it was
        not. Raises NotDraftable where the phrases cannot all stand in the report.
        """


class KeyImages(Protocol):
    def render(self, case: Case, version: int, plan: Plan, instances: Sequence[KeptInstance]) -> tuple[KeyImage, ...]:
        """Raises NotDraftable where nothing can or should be rendered."""


class Documents(Protocol):
    def compose(self, case: Case, draft: Draft, instances: Sequence[KeptInstance]) -> list[tuple[str, Document]]:
        """The draft for each destination of the case, in its format, minted and written: (destination, document)."""


class Destinations(Protocol):
    def send(self, delivery: Delivery) -> str:
        """The destination's answer in words. Raises WrongPatient, DeliveryRefused, DestinationUnavailable."""

    def patience(self, destination: str) -> timedelta | None: ...
    def most_commitments(self, destination: str) -> int: ...
    def ask(self, commitment: Commitment) -> Result | None:
        """Raises DeliveryRefused, DestinationUnavailable."""


class PriorArchives(Protocol):
    """Where earlier studies are asked for. What fails raises ArchiveFailed."""

    @property
    def names(self) -> Sequence[str]: ...
    def patient(self, archive: str, patient: Patient) -> Patient:
        """The patient as that archive knows them: with the issuer that it has for IDs without one."""

    def find(self, archive: str, patient: Patient, seconds: float) -> list[Candidate]: ...
    def describe(self, candidate: Candidate, seconds: float) -> Candidate:
        """With the modalities and the body part that are told of its series."""

    def fetch(
        self, archive: str, study_uid: str, keep: Callable[[Instance, bytes, bytes], None], seconds: float
    ) -> None:
        """Have a study here when this returns; what does not come to the listener is handed to `keep`: its facts,
        file header and data set."""


class PriorReports(Protocol):
    def read(self, instances: Sequence[KeptInstance]) -> WrittenReport | None:
        """What the radiologists' structured reports of a study say; None where there is none."""

    def images(self, instances: Sequence[KeptInstance]) -> tuple[Instance, ...]:
        """Those that stand for the study."""


class Held(Protocol):
    """Leases of a batch, held until it is done."""

    def by_itself(self, lease: Lease) -> AbstractContextManager[None]:
        """What goes wrong in the block costs this case alone: it is given back, to be tried again."""


class House(Protocol):
    """Every part; made when first asked for, so that the listener never loads what only the model needs."""

    @property
    def policy(self) -> Policy: ...
    @property
    def store(self) -> Store: ...
    @property
    def receiving(self) -> Receiving: ...
    @property
    def signals(self) -> Signals: ...
    @property
    def archives(self) -> Archives | None:
        """None where the site asks no PACS what it has."""

    @property
    def drafting(self) -> Drafting: ...
    @property
    def comparing(self) -> Comparing: ...
    @property
    def prior_archives(self) -> PriorArchives: ...
    @property
    def prior_reports(self) -> PriorReports: ...
    @property
    def identities(self) -> Identities: ...
    @property
    def desks(self) -> Desks: ...
    @property
    def revising(self) -> Revising: ...
    @property
    def delivering(self) -> Delivering: ...
    @property
    def committing(self) -> Committing: ...
    @property
    def viewing(self) -> Viewing: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def router(self) -> Router: ...
    @property
    def key_images(self) -> KeyImages: ...
    @property
    def draftsman(self) -> Draftsman: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def destinations(self) -> Destinations: ...
    def now(self) -> datetime: ...
    def holding(self, leases: Sequence[Lease]) -> AbstractContextManager[Held]: ...
