"""Verification and Storage SCU (PS3.4 A, B): instances to a peer, and what it said to each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final, TypeAlias

from pydicom import Dataset, dcmread
from pynetdicom import build_context
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from pynetdicom.status import STATUS_SUCCESS, STATUS_WARNING, STORAGE_SERVICE_CLASS_STATUS, code_to_category

from dicom_io.association import Peer, associated
from dicom_io.elements import DAMAGE
from dicom_io.errors import DicomError, Rejected, Unavailable, Unreadable
from dicom_io.offered import COMMON, UNCOMPRESSED, verification
from dicom_io.reading import read_instance
from dicom_io.study import Instance

__all__ = ["Peer", "Source", "Stored", "echo", "send", "send_each"]

Source: TypeAlias = bytes | Path | Dataset  # a DICOM file's bytes, the path to it, or a data set with file meta

# Failures that pass: processing failure, resource limitation (PS3.7 C.5), out of resources (PS3.4 B.2.3).
PASSING: Final = frozenset({0x0110, 0x0213, *range(0xA700, 0xA800)})
# "Duplicate SOP Instance": an earlier attempt arrived after all, for no two objects have the same UID.
THERE_ALREADY: Final = 0x0111


@dataclass(frozen=True, slots=True)
class Stored:
    """The peer has the instance; `warning` says in the standard's words what it did to it, empty for nothing."""

    sop_instance_uid: str
    warning: str = ""
    comment: str = ""  # the peer's own words, as in DicomError: to be shown, never logged


def echo(peer: Peer, *, calling_ae: str, timeout: float) -> None:
    """Returns if the peer answers as it should.

    Raises:
        Rejected: it does not want to talk to us, or not under these AE titles.
        Unavailable: it does not answer within `timeout` seconds.
    """
    with associated(peer, [verification()], calling_ae=calling_ae, timeout=timeout) as association:
        if failure := _failure(association.send_c_echo(), peer):
            raise failure


def send(source: Source, peer: Peer, *, calling_ae: str, timeout: float) -> Stored:
    """Sends one instance.

    Raises:
        Unreadable: the source is no DICOM file that says which instance it is.
        Rejected: the peer refuses it, or the association, for good.
        Unavailable: the peer may take it later, or does not answer within `timeout` seconds.
    """
    (outcome,) = send_each([source], peer, calling_ae=calling_ae, timeout=timeout)
    if isinstance(outcome, DicomError):
        raise outcome
    return outcome


def send_each(
    sources: Iterable[Source], peer: Peer, *, calling_ae: str, timeout: float
) -> Iterator[Stored | DicomError]:
    """Sends many instances over one association, and yields what became of each, in order, as it happens.

    Raises:
        Rejected: the peer refuses the association for good, or all that is to be sent.
        Unavailable: there is no association with the peer, or no longer; what was not yielded may be sent again.
    """
    files = [_file(source) for source in sources]
    instances = [_identified(file) for file in files]
    contexts = _contexts(instance for instance in instances if isinstance(instance, Instance))
    if not contexts:
        yield from (unreadable for unreadable in instances if isinstance(unreadable, Unreadable))
        return
    with associated(peer, contexts, calling_ae=calling_ae, timeout=timeout) as association:
        for number, (file, instance) in enumerate(zip(files, instances, strict=True)):
            if isinstance(instance, Unreadable):
                yield instance
            else:
                yield _store(file, instance, association, peer, message_id=number % 0xFFFF + 1)


def _store(
    file: bytes | Path, instance: Instance, association: Association, peer: Peer, message_id: int
) -> Stored | DicomError:
    if not association.is_established:
        raise Unavailable(f"{peer} ended the association before all was sent")
    try:
        data_set = dcmread(BytesIO(file) if isinstance(file, bytes) else file)
    except DAMAGE as damage:
        return Unreadable(f"it is damaged behind its header ({type(damage).__name__})")
    try:
        answer = association.send_c_store(data_set, message_id)
    except AttributeError as error:
        return Unreadable(str(error))  # it is encoded otherwise than its file meta information says
    except ValueError as error:
        return Rejected(f"{peer}: {error}")  # no context for it was accepted
    if failure := _failure(answer, peer):
        return failure
    warning = _meaning(answer.Status) if answer.Status else ""
    return Stored(instance.sop_instance_uid, warning, _comment(answer))


def _failure(answer: Dataset, peer: Peer) -> DicomError | None:
    """What a response's status means for us; None where it is success or a warning.

    Raises:
        Unavailable: there is no response.
    """
    if "Status" not in answer:
        raise Unavailable(f"{peer} broke the association off, or did not answer in time")
    status = answer.Status
    if status == THERE_ALREADY or code_to_category(status) in (STATUS_SUCCESS, STATUS_WARNING):
        return None
    kind = Unavailable if status in PASSING else Rejected
    return kind(f"{peer} answered {_meaning(status)}", comment=_comment(answer))


def _comment(answer: Dataset) -> str:
    return str(answer.get("ErrorComment", ""))


def _meaning(status: int) -> str:
    _, text = STORAGE_SERVICE_CLASS_STATUS.get(status, ("", "a status that the standard does not know"))
    return f"0x{status:04X} {text}"


def _file(source: Source) -> bytes | Path:
    if not isinstance(source, Dataset):
        return source
    stream = BytesIO()
    source.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _identified(file: bytes | Path) -> Instance | Unreadable:
    try:
        return read_instance(file)
    except Unreadable as error:
        return error


def _contexts(instances: Iterable[Instance]) -> list[PresentationContext]:
    """One for each SOP Class in each transfer syntax."""
    wanted = {
        (instance.sop_class_uid, syntax)
        for instance in instances
        for syntax in proposed_syntaxes(instance.transfer_syntax_uid)
    }
    return [build_context(sop_class, syntax) for sop_class, syntax in sorted(wanted)]


def proposed_syntaxes(of_file: str) -> frozenset[str]:
    """In which transfer syntaxes a file is offered to a peer: what is not compressed can be had in both common ones."""
    return frozenset({of_file, *(COMMON if of_file in UNCOMPRESSED else ())})
