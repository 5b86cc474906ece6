"""What the order system tells: orders and merges, before and after that which they are about."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hl7.acknowledgement import Acknowledgement
from hl7.patient import Patient
from radplug.acceptance.altered import under_new_uid
from radplug.acceptance.check import Check
from radplug.acceptance.expecting import expect, needed
from radplug.acceptance.simulated_senders import Sender
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.acceptance.ward import Ward

GROUP = "orders"
NO_HL7 = "radplug is said to take no HL7: name hl7_port in the target, if [hl7] is set there"
INDICATION = "Shortness of breath & fever | since 3 days"


def _system(ward: Ward) -> Sender:
    return needed(ward.orders, NO_HL7)


def _ordered(ward: Ward, study: SyntheticStudy) -> None:
    order, orders = replace(study.order, indication=INDICATION), _system(ward)
    taken(orders.send(orders.order(order, Patient(study.patient_id))))


def taken(answer: Acknowledgement) -> None:
    """Raises Failed."""
    expect(answer.code == "AA", f"answered {answer.code} {answer.text}".strip())


def _before(ward: Ward) -> str:
    study = ward.study()
    _ordered(ward, study)
    ward.send(study.files)
    _, oru = ward.came_back(study)
    expect(oru.placer_order_number == study.order.placer_order_number, "the message has another placer order number")
    _known(ward.settled(study.order.accession_number))
    return "answered AA; the message names the order, and the case its indication"


def _after(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    ward.came_back(study)
    _ordered(ward, study)
    _known(ward.settled(study.order.accession_number))
    ward.send([under_new_uid(study.files[0])])
    _, oru = ward.came_back(study, version=2)
    expect(oru.placer_order_number == study.order.placer_order_number, "the message has another placer order number")
    return "answered AA; the case has its indication at once, and the message of the next draft names the order"


def _known(case: Mapping[str, Any]) -> None:
    expect(case["order"] is not None, "the case has no order")
    expect(case["order"]["indication"] == INDICATION, "the case has another indication")


def _again(ward: Ward) -> str:
    study, orders = ward.study(), _system(ward)
    message = orders.order(study.order, Patient(study.patient_id))
    first, second = orders.send(message), orders.send(message)
    taken(first)
    expect(first == second, f"answered {first.code}, then {second.code}")
    another = orders.send(message.replace(b"Shortness", b"Loudness "))
    expect(another.code in ("AE", "AR"), f"another message under the same MSH-10 was answered {another.code}")
    return f"answered AA both times; another message under the same MSH-10: {another.code}"


def _unusable(ward: Ward) -> str:
    orders = _system(ward)
    answer = orders.send(orders.order(replace(ward.study().order, accession_number=""), Patient("NOBODY")))
    expect(answer.code in ("AE", "AR"), f"answered {answer.code}")
    return f"answered {answer.code}: {answer.text}"


def _merge_first(ward: Ward) -> str:
    study = ward.study()
    now = _merged(ward, study)
    ward.send(study.files)
    return _theirs(ward, study, now, version=1)


def _merge_before(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    now = _merged(ward, study)
    accession = study.order.accession_number
    case = ward.case(accession, lambda case: _is(case, now) and case["state"] == "delivered", "a draft, delivered")
    return _theirs(ward, study, now, case["version"])


def _merge_after(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    first, _ = ward.came_back(study)
    expect(first.patient_id == study.patient_id, "the first SR has another patient id than the images")
    seen = _theirs(ward, study, _merged(ward, study), version=2)
    expect(ward.srs(study)[-1].predecessor == first.sop_instance_uid, "the SR does not name the first as predecessor")
    return f"{seen}, and the SR names the first as its predecessor"


def _merged(ward: Ward, study: SyntheticStudy) -> str:
    """The patient's id from now on."""
    now = f"KIT-{secrets.token_hex(5).upper()}"
    taken(_system(ward).merge(Patient(now), study.patient_id))
    return now


def _is(case: Mapping[str, Any], patient_id: str) -> bool:
    return bool(case["patient"]["id"] == patient_id)


def _theirs(ward: Ward, study: SyntheticStudy, patient_id: str, version: int) -> str:
    sr, oru = ward.came_back(study, version)
    expect(sr.patient_id == patient_id, "the SR has the former id")
    expect(oru.patient_id == patient_id, "the message has the former id")
    return f"answered AA; SR and message of draft {version} have the patient's new id"


CHECKS = (
    Check("order-before", GROUP, "ORM^O01, then the images", "the draft belongs to the order", _before),
    Check("order-after", GROUP, "images, draft, then ORM^O01", "known at once, and to the next draft", _after),
    Check("order-again", GROUP, "the same ORM^O01 twice, then another one under its MSH-10", "AA, AA, AE", _again),
    Check("order-unusable", GROUP, "ORM^O01 without accession number", "AE, and the field is named", _unusable),
    Check("merge-first", GROUP, "ADT^A40, then images under the former id", "a draft for the new id", _merge_first),
    Check("merge-before-draft", GROUP, "images, then ADT^A40 at once", "a draft for the new id", _merge_before),
    Check("merge-after-draft", GROUP, "images, draft, then ADT^A40", "draft 2, for the new id", _merge_after),
)
