"""An instance as C-STORE brings it (PS3.4 B), and what it may be answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, cast

from pynetdicom import evt
from pynetdicom.dimse_primitives import C_STORE

from dicom_io.errors import Unreadable
from dicom_io.part10 import file_header
from dicom_io.reading import identify
from dicom_io.study import Instance

# PS3.4 B.2.3
SUCCESS: Final = 0x0000
OUT_OF_RESOURCES: Final = 0xA700
DOES_NOT_MATCH: Final = 0xA900  # the data set and its SOP Class
CANNOT_UNDERSTAND: Final = 0xC000

MEANINGS: Final[Mapping[int, str]] = MappingProxyType(
    {
        SUCCESS: "the bytes and their row are safe on disk, now or since an earlier time",
        OUT_OF_RESOURCES: "the disk is below its watermark, or full; send again later",
        DOES_NOT_MATCH: "the data set cannot be read, or is not what the request or the context says",
        CANNOT_UNDERSTAND: "it could not be kept for another reason; our log says which",
    }
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An instance as it came: `header` and `data_set` one after the other are its file in DICOM's format."""

    instance: Instance
    header: bytes  # preamble and file meta information, ours
    data_set: bytes  # the sender's, to the last byte
    calling_ae: str
    called_ae: str
    originator: str = ""  # the AE title whose C-MOVE has brought it, as the sender says; empty: it says nothing

    def is_moved_by(self, ae_title: str) -> bool | None:
        """Whether a C-MOVE of that AE title has brought it; None: not told. Some senders name themselves."""
        if self.originator in ("", self.calling_ae):
            return None
        return self.originator == ae_title


def arrival_of(event: evt.Event) -> Arrival:
    """What a C-STORE request brings. Raises Unreadable."""
    request = cast(C_STORE, event.request)
    data_set = event.encoded_dataset(include_meta=False)
    instance = identify(data_set, str(event.context.transfer_syntax))
    if request.AffectedSOPInstanceUID != instance.sop_instance_uid:
        raise Unreadable("SOPInstanceUID differs from the one in the request")
    if not request.AffectedSOPClassUID == event.context.abstract_syntax == instance.sop_class_uid:
        raise Unreadable("SOPClassUID differs from the one requested or agreed")
    calling_ae, originator = event.assoc.requestor.ae_title, request.MoveOriginatorApplicationEntityTitle or ""
    header = file_header(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        source_ae_title=calling_ae,
    )
    return Arrival(instance, header, data_set, calling_ae, event.assoc.acceptor.ae_title, originator.strip())
