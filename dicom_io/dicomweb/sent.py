"""An instance as it comes over HTTP: a file in DICOM's format, of which we keep the data set to the last byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from dicom_io.part10 import file_header, read_transfer_syntax
from dicom_io.reading import identify
from dicom_io.study import Instance


@dataclass(frozen=True, slots=True)
class Sent:
    """`header` and `data_set` one after the other are its file in DICOM's format."""

    instance: Instance
    header: bytes  # preamble and file meta information, ours
    data_set: bytes  # the sender's


def sent_as(file: BinaryIO, source: str) -> Sent:
    """The instance in a file that came from `source`, which stands where an AE title does.

    Raises:
        Unreadable: it is no DICOM file, or lacks what identifies it.
    """
    syntax = read_transfer_syntax(file)
    data_set = file.read()
    instance = identify(data_set, syntax)
    header = file_header(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=syntax,
        source_ae_title=source,
    )
    return Sent(instance, header, data_set)
