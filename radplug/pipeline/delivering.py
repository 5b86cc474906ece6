"""Documents → destinations, as often as it takes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

from radplug.domain import Delivery, DeliveryRefused, DestinationUnavailable, WrongPatient
from radplug.parts import House
from radplug.pipeline.committing import ask, expire


def deliver(house: House, case_id: str) -> None:
    """Send what is due of a case, to all its destinations side by side: none waits for another."""
    now = house.now()
    expire(house, case_id)
    leased = house.delivering.lease(case_id, now, now + house.policy.delivery_lease)
    if leased:
        with ThreadPoolExecutor(len(leased), thread_name_prefix="deliver") as threads:
            list(threads.map(partial(_attempt, house), leased))
    ask(house, case_id)


def _attempt(house: House, delivery: Delivery) -> None:
    about: dict[str, str | int] = {
        "destination": delivery.destination,
        "document": delivery.document.id,
        "version": delivery.version,
        "attempt": delivery.attempts,
    }
    try:
        answer = house.destinations.send(delivery)
    except WrongPatient as wrong:
        house.delivering.dead(delivery, str(wrong), house.now())
        house.audit.note("wrong patient stopped", delivery.case_id, alarm=True, outcome=str(wrong), **about)
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
        retry_at = now + house.policy.pause(delivery.attempts)
        down_until = now + house.policy.pause(house.delivering.failures(delivery.destination) + 1)
        house.delivering.postponed(delivery, str(unavailable), retry_at, down_until)
        house.audit.note("delivery postponed", delivery.case_id, outcome=str(unavailable), **about)
    else:
        now, patience = house.now(), house.destinations.patience(delivery.destination)
        house.delivering.delivered(delivery, answer, now, now + patience if patience else None)
        house.audit.note("delivered", delivery.case_id, outcome=answer, **about)
