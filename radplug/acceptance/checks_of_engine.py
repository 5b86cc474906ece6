"""Drafts on the ways of a hospital: through its interface engine, and back to radplug itself."""

from __future__ import annotations

from hl7.mllp import exchange
from radplug.acceptance.check import Check
from radplug.acceptance.checks_of_dictation import ANCHORS, dictate
from radplug.acceptance.checks_of_orders import taken
from radplug.acceptance.expecting import expect, needed
from radplug.acceptance.returned import SECTION_CODES, ReturnedOru, anchors_stand
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.acceptance.ward import Ward, until

GROUP = "round trips"
NO_ENGINE = "no interface engine is named: name [engine] in the target"
TIMEOUT = 30.0  # seconds


def _engine(ward: Ward) -> str:
    host, port = needed(ward.engine, NO_ENGINE)
    study = ward.study()
    dictate(ward, study)
    ward.send(study.files)
    _, sent = ward.came_back(study)
    exchange(sent.file.read_bytes(), host, port, timeout=TIMEOUT)
    through = _second(ward, study)
    expect(not through.not_a_draft, f"behind the engine {through.not_a_draft}")
    expect(not through.faults, f"behind the engine: {'; '.join(through.faults)}")
    expect(anchors_stand(ANCHORS, SECTION_CODES, through.texts), "not every phrase stands in it behind the engine")
    expect(through.texts == sent.texts, "the text is another one behind the engine")
    return f"OBR-25 {through.obr_25}, OBX-11 {', '.join(through.obx_11)}; the same text, and every phrase in its place"


def _second(ward: Ward, study: SyntheticStudy) -> ReturnedOru:
    def come() -> ReturnedOru | None:
        _, *more = ward.orus(study)
        return more[-1] if more else None

    return until(come, ward.patience, lambda: "nothing came out of the engine")


def _back_again(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    sr, oru = ward.came_back(study)
    (said,) = ward.send([sr.file])
    expect(not said, f"the SR was refused: {said}")
    if ward.dictation:
        taken(ward.dictation.send(oru.file.read_bytes()))
    another = ward.study()
    ward.send(another.files)
    ward.came_back(another)  # by now the first would have been drafted anew
    again, _ = ward.came_back(study)
    expect(again.sop_instance_uid == sr.sop_instance_uid, "there is another SR")
    return f"{'SR and message were' if ward.dictation else 'the SR was'} taken, and made no new draft"


CHECKS = (
    Check("engine", GROUP, "the message, put into the site's engine", "a draft still, byte for byte", _engine),
    Check("back-again", GROUP, "SR and message, sent back to radplug", "taken, and left alone", _back_again),
)
