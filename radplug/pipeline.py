"""START HERE: the way of a study through the house, one plain function for each stage, in order.

    receive ──► close ──► draft ──► deliver
    listener    clock     model     delivery
                          worker    worker

Every stage can be done again: what it decides stands in rows, and a stage that finds its work done, or taken by
another, does nothing. The parts that the stages use are the Protocols below; `wiring` supplies the real ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from dicom_io.study import Instance
from hl7.orders import Order
from model_runtime.draft_text import DraftText
from radplug.domain import (
    Case,
    CaseState,
    Delivery,
    DeliveryRefused,
    DestinationUnavailable,
    Dictation,
    Document,
    Draft,
    KeptInstance,
    KeyImage,
    Lease,
    NotDraftable,
    Patience,
    Plan,
    Received,
    StaleWork,
    StoredFile,
)


@dataclass(frozen=True, slots=True)
class Policy:
    """What the site has decided about times and numbers."""

    patience: Patience
    expected_series: Mapping[str, int]  # image series to wait for, by modality
    lease: timedelta  # a worker that is not heard of for so long has lost its case
    drafting_attempts: int
    first_retry: timedelta
    longest_retry: timedelta
    delivery_attempts: int
    delivery_lease: timedelta  # longer than the slowest destination's time-out


# ── the parts, as the stages see them ──


class Store(Protocol):
    def digest(self, data_set: bytes) -> str: ...
    def keep(self, header: bytes, data_set: bytes, sha256: str, at: datetime) -> StoredFile: ...
    def discard(self, stored: StoredFile) -> None: ...


class Receiving(Protocol):
    def knows(self, instance: Instance, sha256: str) -> bool: ...
    def add(
        self, instance: Instance, stored: StoredFile, calling_ae: str, at: datetime, patience: Patience
    ) -> Received: ...


class Drafting(Protocol):
    def wait_for_more(self, case_id: str) -> bool: ...
    def close(self, case_id: str, now: datetime) -> None: ...
    def lease(self, case_id: str, owner: str, now: datetime, until: datetime) -> Lease | None: ...
    def release(self, lease: Lease, ring_at: datetime, reason: str) -> None: ...
    def instances(self, case_id: str) -> list[KeptInstance]: ...
    def order(self, case: Case) -> Order | None: ...
    def dictations(self, case: Case) -> list[Dictation]: ...
    def keep(self, lease: Lease, draft: Draft, outgoing: Sequence[tuple[str, Document]]) -> None: ...
    def set_aside(self, lease: Lease, state: CaseState, reason: str) -> None: ...


class Delivering(Protocol):
    def lease(self, case_id: str, now: datetime, until: datetime) -> list[Delivery]: ...
    def failures(self, destination: str) -> int: ...
    def delivered(self, delivery: Delivery, outcome: str, now: datetime) -> None: ...
    def postponed(self, delivery: Delivery, outcome: str, retry_at: datetime, down_until: datetime) -> None: ...
    def dead(self, delivery: Delivery, outcome: str, now: datetime) -> None: ...


class Viewing(Protocol):
    def case(self, case_id: str) -> Case: ...


class Audit(Protocol):
    def note(self, event: str, case_id: str = "", **detail: str | int | float | bool) -> None: ...


class Draftsman(Protocol):
    def plan(self, case: Case, instances: Sequence[KeptInstance], order: Order | None) -> Plan:
        """Raises NotDraftable where the model was not made for such a study."""

    def draft(self, plan: Plan, images: Sequence[KeyImage], said: Sequence[Dictation]) -> DraftText:
        """Raises NotDraftable where the dictated phrases cannot all stand in the report."""


class KeyImages(Protocol):
    def render(self, case: Case, version: int, plan: Plan, instances: Sequence[KeptInstance]) -> tuple[KeyImage, ...]:
        """Raises NotDraftable where nothing can or should be rendered."""


class Documents(Protocol):
    def compose(self, case: Case, draft: Draft, instances: Sequence[KeptInstance]) -> list[tuple[str, Document]]:
        """The draft in each destination's format, minted and written: (destination, document)."""


class Destinations(Protocol):
    def send(self, delivery: Delivery) -> str:
        """The destination's answer in words. Raises DeliveryRefused, DestinationUnavailable."""


class House(Protocol):
    """Every part; made when first asked for, so that the listener never loads what only the model needs."""

    @property
    def policy(self) -> Policy: ...
    @property
    def store(self) -> Store: ...
    @property
    def receiving(self) -> Receiving: ...
    @property
    def drafting(self) -> Drafting: ...
    @property
    def delivering(self) -> Delivering: ...
    @property
    def viewing(self) -> Viewing: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def key_images(self) -> KeyImages: ...
    @property
    def draftsman(self) -> Draftsman: ...
    @property
    def documents(self) -> Documents: ...
    @property
    def destinations(self) -> Destinations: ...
    def now(self) -> datetime: ...
    def holding(self, lease: Lease) -> AbstractContextManager[None]: ...


# ── the stages ──


def receive(house: House, instance: Instance, header: bytes, data_set: bytes, calling_ae: str) -> Received:
    """Keep an instance: once this returns, its bytes and its row are safe, and the sender may be told so.

    Raises:
        NoSpace: the disk is below the watermark.
    """
    sha256 = house.store.digest(data_set)
    if house.receiving.knows(instance, sha256):
        return Received.DUPLICATE
    now = house.now()
    stored = house.store.keep(header, data_set, sha256, now)
    received = Received.DUPLICATE
    try:
        received = house.receiving.add(instance, stored, calling_ae, now, house.policy.patience)
    finally:
        if received is Received.DUPLICATE:  # a second sender was faster, or the row could not be written
            house.store.discard(stored)
    return received


def close(house: House, case_id: str) -> None:
    """The study has been quiet for long enough: it is complete, unless series that the site expects are missing."""
    images = [kept.instance for kept in house.drafting.instances(case_id) if kept.instance.is_image]
    series = {image.series_uid for image in images}
    wanted = max((house.policy.expected_series.get(image.modality, 0) for image in images), default=0)
    if len(series) < wanted and house.drafting.wait_for_more(case_id):
        return
    try:
        house.drafting.close(case_id, house.now())
    except StaleWork:
        return  # an image came just now
    house.audit.note("study closed", case_id, images=len(images), series=len(series), series_expected=wanted)


def draft(house: House, case_id: str, owner: str) -> None:
    """Render, draft and write down the documents of a complete case, if nobody else is at it."""
    now = house.now()
    lease = house.drafting.lease(case_id, owner, now, now + house.policy.lease)
    if lease is None:
        return
    case = house.viewing.case(case_id)
    try:
        if case.attempts > house.policy.drafting_attempts:
            reason = f"drafting was tried {case.attempts - 1} times; the last time: {case.reason or 'the worker died'}"
            house.drafting.set_aside(lease, CaseState.FAILED, reason)
            house.audit.note("drafting failed", case_id, attempts=case.attempts - 1)
            return
        with house.holding(lease):
            try:
                made, outgoing = _draft(house, case, now)
            except NotDraftable as reason:
                house.drafting.set_aside(lease, CaseState.NOT_DRAFTED, str(reason))
                house.audit.note("not drafted", case_id, reason=str(reason))
                return
            house.drafting.keep(lease, made, outgoing)
    except StaleWork as stale:
        house.audit.note("draft thrown away", case_id, reason=str(stale))
        return
    model = made.text.identity
    house.audit.note("drafted", case_id, version=made.version, model=model.name, fingerprint=model.fingerprint)


def _draft(house: House, case: Case, started: datetime) -> tuple[Draft, list[tuple[str, Document]]]:
    instances = house.drafting.instances(case.id)
    order, said, version = house.drafting.order(case), house.drafting.dictations(case), case.version + 1
    plan = house.draftsman.plan(case, instances, order)
    images = house.key_images.render(case, version, plan, instances)
    rendered = house.now()
    text = house.draftsman.draft(plan, images, said)
    drafted = house.now()
    made = Draft(
        case_id=case.id,
        version=version,
        template=plan.template.name,
        text=text,
        images=images,
        order=order,
        drafted_at=drafted,
        seconds={
            "queue": (started - (case.closed_at or started)).total_seconds(),
            "render": (rendered - started).total_seconds(),
            "infer": (drafted - rendered).total_seconds(),
        },
    )
    return made, house.documents.compose(case, made, instances)


def deliver(house: House, case_id: str) -> None:
    """Send what is due of a case, to all its destinations side by side: none waits for another."""
    now = house.now()
    leased = house.delivering.lease(case_id, now, now + house.policy.delivery_lease)
    if leased:
        with ThreadPoolExecutor(len(leased), thread_name_prefix="deliver") as threads:
            list(threads.map(partial(_attempt, house), leased))


def _attempt(house: House, delivery: Delivery) -> None:
    about: dict[str, str | int] = {
        "destination": delivery.destination,
        "document": delivery.document.id,
        "version": delivery.version,
        "attempt": delivery.attempts,
    }
    try:
        answer = house.destinations.send(delivery)
    except DeliveryRefused as refused:
        house.delivering.dead(delivery, str(refused), house.now())
        house.audit.note("delivery refused", delivery.case_id, outcome=str(refused), **about)
    except DestinationUnavailable as unavailable:
        if delivery.attempts >= house.policy.delivery_attempts:
            house.delivering.dead(
                delivery, f"tried {delivery.attempts} times; the last time: {unavailable}", house.now()
            )
            house.audit.note("delivery given up", delivery.case_id, outcome=str(unavailable), **about)
            return
        now = house.now()
        retry_at = now + pause(house.policy, delivery.attempts)
        down_until = now + pause(house.policy, house.delivering.failures(delivery.destination) + 1)
        house.delivering.postponed(delivery, str(unavailable), retry_at, down_until)
        house.audit.note("delivery postponed", delivery.case_id, outcome=str(unavailable), **about)
    else:
        house.delivering.delivered(delivery, answer, house.now())
        house.audit.note("delivered", delivery.case_id, outcome=answer, **about)


def pause(policy: Policy, failures: int) -> timedelta:
    """How long to wait after so many failures in a row: doubled each time, up to the longest."""
    doubled: int = 2 ** min(failures - 1, 30)
    return min(policy.first_retry * doubled, policy.longest_retry)
