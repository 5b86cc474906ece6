"""START HERE: the way of a study through the house, one plain function for each stage, in order.

    receive ──► close ──► draft ──► deliver
    listener    clock     model     delivery
                          worker    worker
                      ▲
                   redraft, accept: for whoever has the case open

Every stage can be done again: what it decides stands in rows, and a stage that finds its work done, or taken by
another, does nothing. What the stages ask of the house's parts stands in `parts`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from time import sleep

from dicom_io.commitment import Result
from dicom_io.study import Instance
from hl7.orders import Order
from model_runtime.canvas import Template
from model_runtime.draft_text import DraftText, SectionText
from radplug.desk import BadEdit, Desk, Ending, Frame, StaleEdit, without, without_struck
from radplug.domain import (
    Brief,
    Case,
    CaseState,
    Commitment,
    CommitmentState,
    Delivery,
    DeliveryRefused,
    DestinationUnavailable,
    Draft,
    KeptInstance,
    Lease,
    NotDraftable,
    Received,
    StaleWork,
)
from radplug.parts import Held, House, Policy


def receive(
    house: House, instance: Instance, header: bytes, data_set: bytes, calling_ae: str, called_ae: str = ""
) -> Received:
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
        received = house.receiving.add(instance, stored, calling_ae, now, house.policy.patience, called_ae)
    finally:
        if received is Received.DUPLICATE:  # a second sender was faster, or the row could not be written
            house.store.discard(stored)
    return received


def close(house: House, case_id: str) -> None:
    """The study has been quiet for long enough: it is complete, unless series that the site expects are missing.

    This is when the site's rules are asked: what they say holds until late images close the study once more.
    """
    instances, now = house.drafting.instances(case_id), house.now()
    images = [kept.instance for kept in instances if kept.instance.is_image]
    series = {image.series_uid for image in images}
    wanted = max((house.policy.expected_series.get(image.modality, 0) for image in images), default=0)
    if len(series) < wanted and house.drafting.wait_for_more(case_id):
        return
    routing = house.router.route(instances, house.drafting.order(house.viewing.case(case_id)), now)
    try:
        house.drafting.close(case_id, now, routing)
    except StaleWork:
        return  # an image came just now
    about = {"images": len(images), "series": len(series), "series_expected": wanted}
    house.audit.note("study closed", case_id, **about, rule=routing.rule or "none")
    if routing.not_drafted:
        house.audit.note("not drafted", case_id, reason=routing.not_drafted)


def draft(house: House, case_id: str, owner: str) -> None:
    """Draft a complete case, if nobody else is at it, in one batch with others that wait.

    A case that is tried again goes by itself: it may be the one that has brought a whole batch down.
    """
    leases = _lease(house, case_id, owner)
    if leases and leases[0].attempt == 1 and house.policy.batch > 1:
        sleep(house.policy.gather.total_seconds())
        for other in house.drafting.waiting(house.now(), house.policy.batch - 1):
            leases += _lease(house, other, owner)
    _draft(house, leases)


def draft_at_once(house: House, case_id: str, owner: str) -> None:
    """As `draft`, for a case that a radiologist waits for: it waits for no company, and has none."""
    _draft(house, _lease(house, case_id, owner))


def _lease(house: House, case_id: str, owner: str) -> list[Lease]:
    now = house.now()
    lease = house.drafting.lease(case_id, owner, now, now + house.policy.lease)
    return [lease] if lease else []


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A case whose images are rendered and whose text is still to come."""

    lease: Lease
    case: Case
    instances: Sequence[KeptInstance]
    order: Order | None
    brief: Brief
    started: datetime
    rendered: datetime


def _draft(house: House, leases: Sequence[Lease]) -> None:
    """Render, draft in one batch, and write down the documents of each case."""
    if not leases:
        return
    under_way: list[_UnderWay] = []
    with house.holding(leases) as held:
        for lease in leases:
            with _by_itself(house, held, lease):
                if lease.attempt <= house.policy.drafting_attempts:
                    under_way.append(_render(house, lease))
                else:
                    _give_up(house, lease)
        texts = house.draftsman.draft([work.brief for work in under_way])
        for work, text in zip(under_way, texts, strict=True):
            with _by_itself(house, held, work.lease):
                if isinstance(text, Exception):
                    raise text
                _keep(house, work, text, batch=len(under_way))


@contextmanager
def _by_itself(house: House, held: Held, lease: Lease) -> Iterator[None]:
    """One case of a batch: however it ends, the others go on."""
    with held.by_itself(lease):
        try:
            try:
                yield
            except NotDraftable as reason:
                house.drafting.set_aside(lease, CaseState.NOT_DRAFTED, str(reason))
                house.audit.note("not drafted", lease.case_id, reason=str(reason))
        except StaleWork as stale:
            house.audit.note("draft thrown away", lease.case_id, reason=str(stale))


def _render(house: House, lease: Lease) -> _UnderWay:
    started, case = house.now(), house.viewing.case(lease.case_id)
    instances, order = house.drafting.instances(case.id), house.drafting.order(case)
    plan = house.draftsman.plan(case, instances, order)
    images = house.key_images.render(case, case.version + 1, plan, instances)
    brief = Brief(plan, images, house.drafting.dictations(case))
    return _UnderWay(lease, case, instances, order, brief, started, rendered=house.now())


def _give_up(house: House, lease: Lease) -> None:
    tries, last = lease.attempt - 1, house.viewing.case(lease.case_id).reason or "the worker died"
    reason = f"drafting was tried {tries} times; the last time: {last}"
    house.drafting.set_aside(lease, CaseState.FAILED, reason)
    house.audit.note("drafting failed", lease.case_id, attempts=tries)


def _keep(house: House, work: _UnderWay, text: DraftText, batch: int) -> None:
    case, template, drafted, model = work.case, work.brief.plan.template, house.now(), text.identity
    made = Draft(
        case_id=case.id,
        version=case.version + 1,
        template=template.name,
        title=template.title,
        sections=template.sections,
        text=text,
        doubtful=text.doubtful(house.policy.floor),
        images=work.brief.images,
        order=work.order,
        drafted_at=drafted,
        seconds={
            "queue": (work.started - (case.closed_at or work.started)).total_seconds(),
            "render": (work.rendered - work.started).total_seconds(),
            "infer": (drafted - work.rendered).total_seconds(),
        },
        offered=house.desks.in_hand(case.id),
    )
    house.drafting.keep(work.lease, made, [] if made.offered else house.documents.compose(case, made, work.instances))
    house.audit.note(
        "drafted",
        case.id,
        version=made.version,
        offered=made.offered,
        batch=batch,
        model=model.name,
        fingerprint=model.fingerprint,
        adapter=model.adapter or "none",
    )


def redraft(house: House, case_id: str) -> None:
    """Draft the gaps of an edited case anew, its steps before the eyes of whoever has it open."""
    desk = house.desks.waiting(case_id)
    if desk is None:
        return
    edit, case, instances = desk.edit, house.viewing.case(case_id), house.drafting.instances(case_id)
    (draft,) = (each for each in house.viewing.drafts(case_id) if each.version == edit.version)

    def tell(step: int, sections: Sequence[SectionText]) -> bool:
        written = tuple((section.name, without(section.text, edit.struck)) for section in sections)
        return house.desks.frame(edit, Frame(edit.number, step, written))

    try:
        plan = house.draftsman.plan(case, instances, house.drafting.order(case))
        if draft.sections:
            plan = replace(plan, template=Template(draft.template, draft.title, draft.sections))
        text = house.draftsman.redraft(Brief(plan, draft.images, ()), desk, tell)
    except NotDraftable as reason:
        house.desks.refuse(edit, str(reason))
    else:
        if text is not None:
            house.desks.keep(edit, without_struck(text, edit.struck))


def accept(house: House, desk: Desk, by: str) -> Desk:
    """What stands on the desk is the case's next version, as a draft still, and goes to every destination.

    Raises:
        BadEdit: its gaps are being drafted, or images have come since whose draft is yet to be seen.
        StaleEdit: somebody else was faster.
        NotDraftable: the text cannot stand in a document.
    """
    edit, case = desk.edit, house.viewing.case(desk.edit.case_id)
    if desk.ending is Ending.DISCARDED:
        raise BadEdit("it has been discarded; undo takes it up again")
    if edit.text is None:
        raise BadEdit("the gaps are still being drafted; accept what comes of them")
    if case.state not in (CaseState.DRAFTED, CaseState.DELIVERED):
        raise BadEdit("images have come since; their draft is on its way: see it first")
    (begun_with,) = (each for each in house.viewing.drafts(case.id) if each.version == edit.version)
    made = replace(
        begun_with,
        version=case.version + 1,
        text=edit.text,
        doubtful=edit.text.doubtful(house.policy.floor),
        order=house.drafting.order(case),
        drafted_at=house.now(),
        seconds={},
        accepted_by=by,
        offered=False,
    )
    outgoing = house.documents.compose(case, made, house.drafting.instances(case.id))
    try:
        return house.desks.accept(edit, made, outgoing)
    except StaleWork as stale:
        raise StaleEdit("the case has changed since; look at it first") from stale


def deliver(house: House, case_id: str) -> None:
    """Send what is due of a case, to all its destinations side by side: none waits for another."""
    now = house.now()
    for late in house.committing.overdue(case_id, now):
        _not_committed(house, late, CommitmentState.LATE, "no confirmation came in time")
    leased = house.delivering.lease(case_id, now, now + house.policy.delivery_lease)
    if leased:
        with ThreadPoolExecutor(len(leased), thread_name_prefix="deliver") as threads:
            list(threads.map(partial(_attempt, house), leased))
    now = house.now()
    for commitment in house.committing.lease(case_id, now, now + house.policy.delivery_lease):
        _ask(house, commitment)


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
        now, patience = house.now(), house.destinations.patience(delivery.destination)
        house.delivering.delivered(delivery, answer, now, now + patience if patience else None)
        house.audit.note("delivered", delivery.case_id, outcome=answer, **about)


def _ask(house: House, commitment: Commitment) -> None:
    """Ask a destination whether it keeps what it was sent."""
    try:
        result = house.destinations.ask(commitment)
    except DeliveryRefused as refused:
        _not_committed(house, commitment, CommitmentState.FAILED, str(refused))
    except DestinationUnavailable as unavailable:
        retry_at = house.now() + pause(house.policy, commitment.attempts)
        house.committing.postponed(commitment, str(unavailable), retry_at)
    else:
        house.committing.asked(commitment)
        house.audit.note("commitment asked for", commitment.delivery.case_id, **_about(commitment))
        if result:
            take_commitment(house, result, commitment.delivery.destination)


def take_commitment(house: House, result: Result, told_by: str) -> bool:
    """A destination has said whether it keeps a document; False where we had not asked."""
    commitment = house.committing.find(result.transaction_uid)
    if commitment is None:
        return False
    document = commitment.delivery.document.id
    if any(reference.sop_instance_uid == document for reference in result.committed):
        house.committing.committed(commitment, house.now())
        house.audit.note("committed", commitment.delivery.case_id, told_by=told_by, **_about(commitment))
        return True
    reasons = [str(failed) for failed in result.failed if failed.reference.sop_instance_uid == document]
    _not_committed(house, commitment, CommitmentState.FAILED, *(reasons or ["its answer does not name the document"]))
    return True


def _not_committed(house: House, commitment: Commitment, state: CommitmentState, reason: str) -> None:
    """The document is sent once more and asked for again, until that was done often enough."""
    delivery, now, sent = commitment.delivery, house.now(), commitment.asked_before + 1
    again = sent < house.destinations.most_commitments(delivery.destination)
    outcome = f"not committed: {reason}" if again else f"sent {sent} times and not committed; the last time: {reason}"
    send_at = now + pause(house.policy, sent) if again else None
    if house.committing.failed(commitment, state, outcome, now, send_at):
        house.audit.note("not committed", delivery.case_id, outcome=outcome, again=again, **_about(commitment))


def _about(commitment: Commitment) -> dict[str, str | int]:
    delivery = commitment.delivery
    about: dict[str, str | int] = {"destination": delivery.destination, "document": delivery.document.id}
    return about | {"version": delivery.version, "transaction": commitment.transaction_uid}


def pause(policy: Policy, failures: int) -> timedelta:
    """How long to wait after so many failures in a row: doubled each time, up to the longest."""
    doubled: int = 2 ** min(failures - 1, 30)
    return min(policy.first_retry * doubled, policy.longest_retry)
