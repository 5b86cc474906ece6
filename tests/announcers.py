"""A modality and an archive that announce studies, by pynetdicom alone: data sets of MPPS and IAN, and their way."""

from __future__ import annotations

from collections.abc import Iterable

from pydicom import Dataset
from pydicom.uid import CTImageStorage
from pynetdicom import AE

MPPS = "1.2.840.10008.3.1.2.3.3"
IAN = "1.2.840.10008.5.1.4.33"
STUDY = "1.2.3.4.5"


def instance(uid: str, sop_class: str = CTImageStorage, availability: str = "") -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
    if availability:
        item.InstanceAvailability, item.RetrieveAETitle = availability, "ARCHIVE"
    return item


def begun(*study_uids: str) -> Dataset:
    """N-CREATE of a procedure step, with what PS3.4 table F.7.2-1 wants."""
    step = Dataset()
    step.ScheduledStepAttributesSequence = [Dataset() for _ in study_uids or (STUDY,)]
    for item, uid in zip(step.ScheduledStepAttributesSequence, study_uids or (STUDY,), strict=True):
        item.StudyInstanceUID, item.AccessionNumber, item.ReferencedStudySequence = uid, "A1", []
    step.PatientName, step.PatientID, step.PatientBirthDate, step.PatientSex = "Doe^Jane", "P1", "", ""
    step.PerformedProcedureStepID, step.PerformedStationAETitle = "PPS1", "MODALITY"
    step.PerformedProcedureStepStartDate, step.PerformedProcedureStepStartTime = "20261124", "100000"
    step.PerformedProcedureStepStatus, step.Modality, step.PerformedSeriesSequence = "IN PROGRESS", "CT", []
    return step


def ended(*images: Dataset, status: str = "COMPLETED") -> Dataset:
    """N-SET that ends a procedure step with these images in one series."""
    change, series = Dataset(), Dataset()
    series.SeriesInstanceUID, series.ProtocolName = f"{STUDY}.1", "Thorax"
    series.ReferencedImageSequence, series.ReferencedNonImageCompositeSOPInstanceSequence = list(images), []
    change.PerformedProcedureStepStatus, change.PerformedSeriesSequence = status, [series]
    return change


def available(*instances: Dataset, study_uid: str = STUDY) -> Dataset:
    """An Instance Availability Notification of one series."""
    notification, series = Dataset(), Dataset()
    series.SeriesInstanceUID, series.ReferencedSOPSequence = f"{study_uid}.1", list(instances)
    notification.ReferencedPerformedProcedureStepSequence = []
    notification.StudyInstanceUID, notification.ReferencedSeriesSequence = study_uid, [series]
    return notification


def online(uids: Iterable[str], study_uid: str = STUDY, sop_class: str = CTImageStorage) -> Dataset:
    return available(*(instance(uid, sop_class, "ONLINE") for uid in uids), study_uid=study_uid)


class Announcer:
    """Sends to RADPLUG at a port; what each method gives is the command set of the answer."""

    def __init__(self, port: int, ae_title: str = "MODALITY") -> None:
        self._port, self._ae_title = port, ae_title

    def create(self, data_set: Dataset, uid: str | None, sop_class: str = MPPS) -> Dataset:
        return self._send(sop_class, lambda to: to.send_n_create(data_set, sop_class, uid))

    def notify(self, data_set: Dataset, uid: str | None) -> Dataset:
        return self.create(data_set, uid, IAN)

    def set(self, data_set: Dataset, uid: str) -> Dataset:
        return self._send(MPPS, lambda to: to.send_n_set(data_set, MPPS, uid))

    def _send(self, sop_class: str, send) -> Dataset:  # type: ignore[no-untyped-def]
        ae = AE(self._ae_title)
        ae.add_requested_context(sop_class)
        association = ae.associate("127.0.0.1", self._port, ae_title="RADPLUG")
        if not association.is_established:
            raise ConnectionRefusedError("no association, or no such service")
        try:
            answer, _ = send(association)
            return answer
        finally:
            association.release()
