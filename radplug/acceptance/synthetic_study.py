"""A study that no patient ever had: a phantom's chest radiograph as DICOM files, with its order."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, mint_uid
from hl7.orders import Order
from model_runtime.phantoms.phantom import Phantom

SIZE = 768  # rows and columns
BITS = 12
PROCEDURE = ("36643-5", "LN", "XR Chest 2 Views")


@dataclass(frozen=True, slots=True)
class SyntheticStudy:
    files: tuple[Path, ...]
    study_uid: str
    patient_id: str
    order: Order


def write(
    folder: Path, seed: int, at: datetime, views: int = 1, size: int = SIZE, patient_id: str = "PHANTOM-1"
) -> SyntheticStudy:
    """Square digital X-ray images of phantom `seed`, taken at `at`, under new UIDs and a new accession number."""
    folder.mkdir(parents=True, exist_ok=True)
    study_uid, series_uid = mint_uid(), mint_uid()
    accession = f"DEMO{secrets.token_hex(6).upper()}"
    files = []
    for number in range(1, views + 1):
        data_set = _image(Phantom.of(seed + number - 1), at, size)
        data_set.StudyInstanceUID, data_set.SeriesInstanceUID = study_uid, series_uid
        data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = UID(mint_uid())
        data_set.AccessionNumber, data_set.PatientID = accession, patient_id
        data_set.InstanceNumber = number
        files.append(folder / f"image-{number}.dcm")
        data_set.save_as(files[-1], enforce_file_format=True)
    order = Order(
        accession_number=accession,
        placer_order_number=f"P{accession}",
        filler_order_number=f"F{accession}",
        procedure_code=PROCEDURE,
        requested_procedure_id="RP1",
        indication="Shortness of breath",
        study_uid=study_uid,
    )
    return SyntheticStudy(tuple(files), study_uid, patient_id, order)


def _image(phantom: Phantom, at: datetime, size: int) -> Dataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = DigitalXRayImageStorageForPresentation
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    d = Dataset()
    d.file_meta = meta
    d.SpecificCharacterSet = "ISO_IR 192"
    d.SOPClassUID = DigitalXRayImageStorageForPresentation
    d.PatientName = "Phantom^Demo"
    d.PatientBirthDate, d.PatientSex = "19600101", "O"
    d.StudyID, d.StudyDescription = "1", "Chest radiograph, synthetic"
    d.StudyDate = d.SeriesDate = d.AcquisitionDate = d.ContentDate = f"{at:%Y%m%d}"
    d.StudyTime = d.SeriesTime = d.AcquisitionTime = d.ContentTime = f"{at:%H%M%S}"
    d.ReferringPhysicianName = ""
    d.Modality, d.SeriesNumber, d.SeriesDescription = "DX", 1, "Chest PA"
    d.PresentationIntentType = "FOR PRESENTATION"
    d.BodyPartExamined, d.ViewPosition, d.ImageLaterality = "CHEST", "PA", "U"
    d.Manufacturer, d.ManufacturerModelName = "radplug", "phantom"
    d.ImageType = ["DERIVED", "PRIMARY"]
    d.BurnedInAnnotation = "NO"
    d.Rows = d.Columns = size
    d.SamplesPerPixel, d.PhotometricInterpretation = 1, "MONOCHROME2"
    d.BitsAllocated, d.BitsStored, d.HighBit, d.PixelRepresentation = 16, BITS, BITS - 1, 0
    d.RescaleIntercept, d.RescaleSlope, d.RescaleType = 0, 1, "US"
    d.PresentationLUTShape = "IDENTITY"
    d.WindowCenter, d.WindowWidth = 2 ** (BITS - 1), 2**BITS
    d.PixelData = phantom.image(size, BITS).tobytes()
    return d
