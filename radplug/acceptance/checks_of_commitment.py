"""Storage commitment: a PACS that does not vouch for a draft, and radplug that is asked what it keeps."""

from __future__ import annotations

from typing import Any

from pydicom import dcmread

from dicom_io import commitment, committing
from dicom_io.commitment import FailureReason, Reference, Request, Result
from dicom_io.uids import mint_uid
from radplug.acceptance.check import Check
from radplug.acceptance.expecting import Failed, expect, needed
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.acceptance.ward import Branch, Ward

GROUP = "storage commitment"
NONE = "storage commitment is said to be off: set commitment = true in the target, if it is on there; see the docs"
COMMITTED = "stored and committed"
ANSWER_SECONDS = 30.0


def _vouched(ward: Ward) -> str:
    branch, study = _sent(ward)
    case = _told(ward, study, COMMITTED)
    expect(len(ward.srs(study, branch.pacs)) == 1, "more than one SR came")
    return str(case["deliveries"][0]["outcome"])


def _denied(ward: Ward) -> str:
    branch = needed(ward.vouching, NONE)
    with branch.pacs.conscience.saying(_nothing_kept):
        _, study = _sent(ward)
        _told(ward, study, "not committed")
    _told(ward, study, COMMITTED)
    srs = ward.srs(study, branch.pacs)
    expect(len(srs) > 1 and len({sr.sop_instance_uid for sr in srs}) == 1, f"{len(srs)} SRs came")
    return f"sent {len(srs)} times, as the same SR, until it was committed"


def _denied_for_good(ward: Ward) -> str:
    branch = needed(ward.vouching, NONE)
    with branch.pacs.conscience.saying(_nothing_kept):
        _, study = _sent(ward)
        case = ward.with_delivery(study, lambda one: one["state"] == "dead", "a dead letter")
    outcome = case["deliveries"][0]["outcome"]
    ward.api.post(f"/cases/{case['id']}/resend", {})
    _told(ward, study, COMMITTED)
    return f"a dead letter: {outcome}; sent again on request, and committed"


def _asked(ward: Ward) -> str:
    branch, study = _sent(ward)
    image = dcmread(study.files[0], specific_tags=["SOPClassUID", "SOPInstanceUID"])
    here = Reference(str(image.SOPClassUID), str(image.SOPInstanceUID))
    nowhere = Reference(here.sop_class_uid, mint_uid())
    request = Request(mint_uid(), (here, nowhere))
    calling, conscience = branch.pacs.ae_title, branch.pacs.conscience
    at_once = committing.ask(branch.radplug, request, calling_ae=calling, timeout=ANSWER_SECONDS)
    result = at_once or conscience.told(request.transaction_uid, ANSWER_SECONDS)
    if result is None:
        raise Failed(f"no answer within {ANSWER_SECONDS:.0f} s")
    expect(result.committed == (here,), "it does not vouch for the image that it was sent")
    expect([each.reference for each in result.failed] == [nowhere], "it vouches for an image that it was never sent")
    return f"vouches for the image that it was sent; for the other: {result.failed[0]}"


def _sent(ward: Ward) -> tuple[Branch, SyntheticStudy]:
    branch, study = needed(ward.vouching, NONE), ward.study()
    expect(not any(ward.send(study.files, branch.radplug)), "the study was refused")
    return branch, study


def _told(ward: Ward, study: SyntheticStudy, outcome: str) -> dict[str, Any]:
    return ward.with_delivery(study, lambda one: one["outcome"].startswith(outcome), f"an SR that is {outcome}")


def _nothing_kept(request: Request) -> Result:
    reason = FailureReason.PROCESSING_FAILURE
    return Result(request.transaction_uid, (), tuple(commitment.Failed(each, reason) for each in request.references))


CHECKS = (
    Check("committed", GROUP, "the PACS vouches for the SR", "stored and committed", _vouched),
    Check("not-committed", GROUP, "the PACS does not vouch at first, then does", "the same SR again", _denied),
    Check("never-committed", GROUP, "the PACS never vouches, until asked by hand", "a dead letter", _denied_for_good),
    Check("asked", GROUP, "radplug is asked for an image that it has, and another", "one is kept, one not", _asked),
)
