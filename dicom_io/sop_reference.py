"""The SOP Instance Reference macro (PS3.3 10.8): one instance that another object speaks of."""

from __future__ import annotations

from pydicom.dataset import Dataset

from dicom_io.commitment import Reference
from dicom_io.study import Instance


def sop_reference(of: Instance | Reference) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID = of.sop_class_uid
    item.ReferencedSOPInstanceUID = of.sop_instance_uid
    return item
