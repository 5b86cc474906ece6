"""Images, instances and files that the tests of selection and rendering share."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
from numpy.typing import NDArray
from peers import SHARED_DICOM
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from dicom_io.study import Instance

BUNDLED = Path(pydicom.data.__file__).parent
SHARED = SHARED_DICOM

CT = "1.2.840.10008.5.1.4.1.1.2"
ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2.1"
MR = "1.2.840.10008.5.1.4.1.1.4"
CR = "1.2.840.10008.5.1.4.1.1.1"
US = "1.2.840.10008.5.1.4.1.1.6.1"
US_CLIP = "1.2.840.10008.5.1.4.1.1.3.1"
SC = "1.2.840.10008.5.1.4.1.1.7"
SR = "1.2.840.10008.5.1.4.1.1.88.11"

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def bundled(name: str) -> Path:
    """A file that came with pydicom itself; nothing is downloaded."""
    return BUNDLED / "test_files" / name


def instance(uid: str, **facts: Any) -> Instance:
    """An instance of a CT study, with other facts as given."""
    facts = {"sop_class_uid": CT, "modality": "CT", "series_uid": "1.1", "study_uid": "1"} | facts
    return Instance(sop_instance_uid=uid, transfer_syntax_uid=ExplicitVRLittleEndian, has_pixels=True, **facts)


def slices(
    series_uid: str, number: int, *, spacing: float = 5.0, orientation: tuple[float, ...] = AXIAL, **facts: Any
) -> list[Instance]:
    """Parallel slices in the order of their places, their instance numbers running against it."""
    normal = np.cross(orientation[:3], orientation[3:])
    return [
        instance(
            f"{series_uid}.{at + 1}",
            series_uid=series_uid,
            position=tuple(normal * spacing * at),
            orientation=orientation,
            instance_number=number - at,
            **facts,
        )
        for at in range(number)
    ]


def image(samples: NDArray[Any], **elements: Any) -> Dataset:
    """An uncompressed CT image without rescale or window; `elements` are added, or taken away where they are None."""
    frames, colours = 1, samples.ndim == 3 and samples.shape[-1] == 3
    if samples.ndim == (4 if colours else 3):
        frames = samples.shape[0]
    rows, columns = samples.shape[-3:-1] if colours else samples.shape[-2:]
    data_set = Dataset()
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = generate_uid()
    data_set.StudyInstanceUID = generate_uid()
    data_set.SeriesInstanceUID = generate_uid()
    data_set.Modality = "CT"
    data_set.SamplesPerPixel = 3 if colours else 1
    data_set.PhotometricInterpretation = "RGB" if colours else "MONOCHROME2"
    if colours:
        data_set.PlanarConfiguration = 0
    if frames > 1:
        data_set.NumberOfFrames = frames
    data_set.Rows, data_set.Columns = rows, columns
    data_set.BitsAllocated = data_set.BitsStored = samples.dtype.itemsize * 8
    data_set.HighBit = data_set.BitsStored - 1
    data_set.PixelRepresentation = int(samples.dtype.kind == "i")
    data_set.PixelData = samples.tobytes()
    for keyword, value in elements.items():
        if value is None:
            del data_set[keyword]
        else:
            setattr(data_set, keyword, value)
    return data_set


def part10(data_set: Dataset, transfer_syntax: str = ExplicitVRLittleEndian) -> bytes:
    """The data set as a file's bytes."""
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = transfer_syntax
    file = BytesIO()
    pydicom.dcmwrite(file, data_set, enforce_file_format=True)
    return file.getvalue()


def item(**elements: Any) -> Dataset:
    """A sequence item."""
    data_set = Dataset()
    for keyword, value in elements.items():
        setattr(data_set, keyword, value)
    return data_set
