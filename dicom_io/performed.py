"""What a performer tells of a workitem before it ends (PS3.4 CC.2.5): its results, or why there are none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from dicom_io.commitment import Reference
from dicom_io.sop_reference import sop_reference
from dicom_io.workitems import Code

REPORTING = Code("110005", "DCM", "Interpretation")
UNSPECIFIED = Code("110513", "DCM", "Discontinued for unspecified reason")


@dataclass(frozen=True, slots=True)
class Output:
    """An object that was made, and where it can be had: from an AE, or at the address of a DICOMweb server."""

    reference: Reference
    study_uid: str
    series_uid: str
    ae_title: str = ""
    url: str = ""


def results(station: Code, did: Code, begun: datetime, ended: datetime, outputs: Iterable[Output]) -> Dataset:
    """The changes of a workitem that has been done."""
    performed = Dataset()
    performed.PerformedStationNameCodeSequence = Items([_code(station)])
    performed.PerformedStationClassCodeSequence = Items()
    performed.PerformedStationGeographicLocationCodeSequence = Items()
    performed.PerformedWorkitemCodeSequence = Items([_code(did)])
    performed.PerformedProcedureStepStartDateTime = _dt(begun)
    performed.PerformedProcedureStepEndDateTime = _dt(ended)
    performed.OutputInformationSequence = Items(_outputs(outputs))
    changes = _progress("100")
    changes.UnifiedProcedureStepPerformedProcedureSequence = Items([performed])
    return changes


def reason(why: str, at: datetime) -> Dataset:
    """The changes of a workitem that will not be done."""
    changes = Dataset()
    progress = Dataset()
    progress.ProcedureStepCancellationDateTime = _dt(at)
    progress.ReasonForCancellation = why
    progress.ProcedureStepDiscontinuationReasonCodeSequence = Items([_code(UNSPECIFIED)])
    changes.ProcedureStepProgressInformationSequence = Items([progress])
    return changes


def begun() -> Dataset:
    """The changes of a workitem that has been claimed."""
    return _progress("0")


def _progress(percent: str) -> Dataset:
    changes, progress = Dataset(), Dataset()
    progress.ProcedureStepProgress = percent
    changes.ProcedureStepProgressInformationSequence = Items([progress])
    return changes


def _outputs(outputs: Iterable[Output]) -> list[Dataset]:
    """An item for each series in each place."""
    where = sorted(outputs, key=_place)
    return [_series(list(group)) for _, group in groupby(where, key=_place)]


def _place(output: Output) -> tuple[str, str, str, str]:
    return (output.study_uid, output.series_uid, output.ae_title, output.url)


def _series(outputs: list[Output]) -> Dataset:
    item, first = Dataset(), outputs[0]
    item.TypeOfInstances = "DICOM"
    item.StudyInstanceUID, item.SeriesInstanceUID = first.study_uid, first.series_uid
    item.ReferencedSOPSequence = Items([sop_reference(one.reference) for one in outputs])
    place = Dataset()
    if first.url:
        place.RetrieveURL = f"{first.url}/studies/{first.study_uid}/series/{first.series_uid}"
        item.WADORSRetrievalSequence = Items([place])
    else:
        place.RetrieveAETitle = first.ae_title
        item.DICOMRetrievalSequence = Items([place])
    return item


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def _dt(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y%m%d%H%M%S%z")
