"""The DICOM file format (PS3.10 7.1): what stands before the encoded data set of an instance in its file."""

from __future__ import annotations

from typing import BinaryIO

from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import data_element_generator, read_preamble
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag
from pydicom.uid import UID

from dicom_io.elements import DAMAGE, Header
from dicom_io.errors import Unreadable
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME


def file_header(
    *, sop_class_uid: str, sop_instance_uid: str, transfer_syntax_uid: str, source_ae_title: str = ""
) -> bytes:
    """Preamble and file meta information; the data set follows in the bytes of its transfer syntax, as they came."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION_NAME
    if source_ae_title:
        meta.SourceApplicationEntityTitle = source_ae_title
    stream = DicomBytesIO()
    write_file_meta_info(stream, meta)
    return bytes(128) + b"DICM" + stream.getvalue()


def read_transfer_syntax(stream: BinaryIO) -> str:
    """The Transfer Syntax UID of a file, whose stream then stands at the data set.

    Raises:
        Unreadable: it is no DICOM file, or does not name its transfer syntax.
    """
    try:
        read_preamble(stream, force=False)
        meta = Header(
            data_element_generator(stream, is_implicit_VR=False, is_little_endian=True, stop_when=_after_meta)
        )
    except InvalidDicomError:
        raise Unreadable("no DICM at byte 128, where every DICOM file has it") from None
    except DAMAGE as damage:
        raise Unreadable(f"the file meta information is damaged ({type(damage).__name__})") from None
    syntax = meta.code("TransferSyntaxUID")
    if not syntax:
        raise Unreadable("Transfer Syntax UID (0002,0010) is absent")
    return syntax


def _after_meta(tag: BaseTag, vr: str | None, length: int) -> bool:
    return tag.group != 0x0002
