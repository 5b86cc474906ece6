"""Whether a study waits for what was announced of it, and no longer: Instance Availability Notification and MPPS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pydicom import Dataset, dcmread
from pynetdicom import AE
from pynetdicom.association import Association

from dicom_io.signalling import IAN, MPPS
from dicom_io.uids import mint_uid
from radplug.acceptance.check import Check
from radplug.acceptance.expecting import NotApplicable, expect
from radplug.acceptance.ward import Ward

GROUP = "completeness"


def _notified(ward: Ward) -> str:
    study = ward.study(views=2)
    with _associated(ward, IAN) as association:
        answer, _ = association.send_n_create(_available(study.files), IAN, mint_uid())
        _expect_status(answer, 0x0000, "the notification")
    return _waits_then_closes(ward, study.files, "ian")


def _performed(ward: Ward) -> str:
    study, uid = ward.study(views=2), mint_uid()
    with _associated(ward, MPPS) as association:
        for status, what in ((0x0000, "a new procedure step"), (0x0111, "the same UID once more")):
            answer, _ = association.send_n_create(_begun(study.files), MPPS, uid)
            _expect_status(answer, status, what)
        for to, status, what in (
            (mint_uid(), 0x0112, "a UID that is not known"),
            (uid, 0x0000, "the end of the step"),
            (uid, 0x0110, "a change after the end"),
        ):
            answer, _ = association.send_n_set(_ended(study.files), MPPS, to)
            _expect_status(answer, status, what)
    return _waits_then_closes(ward, study.files, "mpps")


def _waits_then_closes(ward: Ward, files: Sequence[Path], because: str) -> str:
    """Of an announced study first one image comes, then the rest."""
    accession = str(dcmread(files[0], stop_before_pixels=True).AccessionNumber)
    expect(not any(ward.send(files[:1])), "the first image was refused")
    waiting = ward.case(accession, lambda case: bool(case["lacks"]), "a case that waits for what is missing")
    expect(waiting["state"] == "receiving", f"it is {waiting['state']} while an image is missing")
    expect(not any(ward.send(files[1:])), "the second image was refused")
    case = ward.settled(accession)
    expect(case["complete_because"] == because, f"complete because of {case['complete_because']}")
    return f"waited for {waiting['lacks']}; then complete because of {case['complete_because']}"


@contextmanager
def _associated(ward: Ward, sop_class: str) -> Iterator[Association]:
    """Raises NotApplicable where the site does not take such announcements, Failed where there is no association."""
    scu, where = AE(ward.calling_ae), ward.radplug
    scu.add_requested_context(sop_class)
    association = scu.associate(where.host, where.port, ae_title=where.ae_title)
    if association.rejected_contexts:
        raise NotApplicable("assembly.signals does not name it, so it is not taken here")
    expect(association.is_established, "no association was made")
    try:
        yield association
    finally:
        association.release()


def _expect_status(answer: Dataset, status: int, what: str) -> None:
    said = f"0x{answer.Status:04X}" if "Status" in answer else "not at all"
    expect(said == f"0x{status:04X}", f"{what} was answered {said}, not 0x{status:04X}")


def _available(files: Sequence[Path]) -> Dataset:
    notification, series = Dataset(), Dataset()
    first = dcmread(files[0], stop_before_pixels=True)
    series.SeriesInstanceUID, series.ReferencedSOPSequence = first.SeriesInstanceUID, _references(files)
    for item in series.ReferencedSOPSequence:
        item.InstanceAvailability, item.RetrieveAETitle = "ONLINE", "ACCEPTANCE"
    notification.ReferencedPerformedProcedureStepSequence = []
    notification.StudyInstanceUID, notification.ReferencedSeriesSequence = first.StudyInstanceUID, [series]
    return notification


def _begun(files: Sequence[Path]) -> Dataset:
    step, scheduled = Dataset(), Dataset()
    first = dcmread(files[0], stop_before_pixels=True)
    scheduled.StudyInstanceUID, scheduled.AccessionNumber = first.StudyInstanceUID, first.AccessionNumber
    step.ScheduledStepAttributesSequence, step.PerformedSeriesSequence = [scheduled], []
    step.PerformedProcedureStepID, step.PerformedStationAETitle, step.Modality = "1", "ACCEPTANCE", first.Modality
    step.PerformedProcedureStepStartDate, step.PerformedProcedureStepStartTime = first.StudyDate, first.StudyTime
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    return step


def _ended(files: Sequence[Path]) -> Dataset:
    change, series = Dataset(), Dataset()
    series.SeriesInstanceUID = dcmread(files[0], stop_before_pixels=True).SeriesInstanceUID
    series.ProtocolName, series.ReferencedImageSequence = "Chest", _references(files)
    change.PerformedProcedureStepStatus, change.PerformedSeriesSequence = "COMPLETED", [series]
    return change


def _references(files: Sequence[Path]) -> list[Dataset]:
    items = []
    for image in (dcmread(file, stop_before_pixels=True) for file in files):
        item = Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
        items.append(item)
    return items


CHECKS = (
    Check(
        "ian",
        GROUP,
        "an Instance Availability Notification, then one of its two images, then the other",
        "the case waits, says for what, and is complete with the second",
        _notified,
    ),
    Check(
        "mpps",
        GROUP,
        "a procedure step, its end, and what may not be done to it; then its images as above",
        "0x0000, 0x0111, 0x0112, 0x0110 as PS3.4 F.7 says; the case waits, then is complete",
        _performed,
    ),
)
