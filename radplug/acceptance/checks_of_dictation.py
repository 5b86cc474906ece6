"""What somebody has dictated stands in the draft byte for byte, whichever way it came."""

from __future__ import annotations

from model_runtime.canvas import Anchor
from radplug.acceptance.check import Check
from radplug.acceptance.checks_of_orders import NO_HL7, taken
from radplug.acceptance.expecting import expect, needed
from radplug.acceptance.returned import SECTION_CODES, anchors_stand
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.acceptance.ward import Ward

GROUP = "dictation"
ANCHORS = (
    Anchor("FINDINGS", "Small right pleural effusion, new since 3|11 (see ^ and \\ and ~ & more)."),
    Anchor("IMPRESSION", "Mit Station besprochen; 已电话通知."),
)


def dictate(ward: Ward, study: SyntheticStudy) -> None:
    """The ANCHORS, by REST."""
    path = f"/cases/{study.order.accession_number}/anchors"
    for anchor in ANCHORS:
        ward.api.post(path, {"section": anchor.section, "text": anchor.text, "source": "acceptance"})


def _by_rest(ward: Ward) -> str:
    study = ward.study()
    dictate(ward, study)
    ward.send(study.files)
    return _stand(ward, study)


def _by_hl7(ward: Ward) -> str:
    study = ward.study()
    taken(needed(ward.dictation, NO_HL7).preliminary(study.order.accession_number, ANCHORS))
    ward.send(study.files)
    return _stand(ward, study)


def _by_hl7_late(ward: Ward) -> str:
    study, dictation = ward.study(), needed(ward.dictation, NO_HL7)
    ward.send(study.files)
    ward.came_back(study)
    taken(dictation.document(study.order.accession_number, ANCHORS))
    return _stand(ward, study, version=2)


def _signed(ward: Ward) -> str:
    study, dictation = ward.study(), needed(ward.dictation, NO_HL7)
    taken(dictation.signed(study.order.accession_number, ANCHORS))
    ward.send(study.files)
    sr, oru = ward.came_back(study)
    repeated = [a for a in ANCHORS if any(a.text in text for text in (*sr.texts.values(), *oru.texts.values()))]
    expect(not repeated, "a draft was written around it")
    return "answered AA, and left alone"


def _stand(ward: Ward, study: SyntheticStudy, version: int = 1) -> str:
    sr, oru = ward.came_back(study, version)
    expect(anchors_stand(ANCHORS, SECTION_CODES, sr.texts), "not all stand in the SR")
    expect(anchors_stand(ANCHORS, SECTION_CODES, oru.texts), "not all stand in the message")
    return f"{len(ANCHORS)} phrases, in SR and message of draft {version}"


CHECKS = (
    Check("anchors-rest", GROUP, "phrases by REST, then the study", "each stands byte for byte", _by_rest),
    Check("anchors-hl7", GROUP, "phrases by ORU^R01, then the study", "each stands byte for byte", _by_hl7),
    Check("anchors-hl7-late", GROUP, "study, draft, then phrases by MDM^T02", "each stands in draft 2", _by_hl7_late),
    Check("signed-text", GROUP, "a radiologist's final report by ORU^R01", "it is left alone", _signed),
)
