"""Complete cases → drafts and their documents, several in one batch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from time import sleep

from hl7.orders import Order
from model_runtime.draft_text import DraftText
from radplug.domain import (
    Brief,
    Case,
    CaseState,
    Draft,
    KeptInstance,
    Lease,
    NotDraftable,
    StaleWork,
)
from radplug.parts import Held, House


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
    if misfits := house.identities.misfits(case):
        house.audit.note("order left out", case.id, alarm=True, reason="; ".join(misfits))
    plan = house.draftsman.plan(case, instances, order)
    images = house.key_images.render(case, case.version + 1, plan, instances)
    priors = house.comparing.take(case.id, plan.priors)
    brief = Brief(plan, images, house.drafting.dictations(case), priors)
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
        priors=work.brief.priors,
        offered=house.desks.in_hand(case.id),
    )
    house.drafting.keep(work.lease, made, [] if made.offered else house.documents.compose(case, made, work.instances))
    house.audit.note(
        "drafted",
        case.id,
        version=made.version,
        offered=made.offered,
        priors=len(made.priors),
        batch=batch,
        model=model.name,
        fingerprint=model.fingerprint,
        adapter=model.adapter or "none",
    )
