"""Whether destinations keep what they were sent (storage commitment, PS3.4 Annex J)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from dicom_io.commitment import Result
from radplug.domain import Commitment, CommitmentState, DeliveryRefused, DestinationUnavailable
from radplug.parts import House


def expire(house: House, case_id: str) -> None:
    """What was asked of a case and never answered in time counts as not kept."""
    for late in house.committing.overdue(case_id, house.now()):
        _not_committed(house, late, CommitmentState.LATE, "no confirmation came in time")


def ask(house: House, case_id: str) -> None:
    """Ask for what is due of a case, side by side: an answer may take a moment, and many pages would add them up."""
    now = house.now()
    leased = house.committing.lease(case_id, now, now + house.policy.delivery_lease)
    if leased:
        with ThreadPoolExecutor(len(leased), thread_name_prefix="commit") as threads:
            list(threads.map(partial(_ask, house), leased))


def _ask(house: House, commitment: Commitment) -> None:
    """Ask a destination whether it keeps what it was sent."""
    try:
        result = house.destinations.ask(commitment)
    except DeliveryRefused as refused:
        _not_committed(house, commitment, CommitmentState.FAILED, str(refused))
    except DestinationUnavailable as unavailable:
        retry_at = house.now() + house.policy.pause(commitment.attempts)
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
    send_at = now + house.policy.pause(sent) if again else None
    if house.committing.failed(commitment, state, outcome, now, send_at):
        house.audit.note("not committed", delivery.case_id, outcome=outcome, again=again, **_about(commitment))


def _about(commitment: Commitment) -> dict[str, str | int]:
    delivery = commitment.delivery
    about: dict[str, str | int] = {"destination": delivery.destination, "document": delivery.document.id}
    return about | {"version": delivery.version, "transaction": commitment.transaction_uid}
