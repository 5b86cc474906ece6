"""An association with a peer (PS3.8 7.1), or in plain words why there is none."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from pydicom.uid import UID
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.pdu_primitives import A_ASSOCIATE, SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from dicom_io.association_checkpoint import Checkpoint
from dicom_io.connection import LONGEST_PDU, limit_connection
from dicom_io.errors import DicomError, Rejected, Unavailable
from dicom_io.tls import explained
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

MAXIMUM_PDU: Final = 16382  # bytes that peers are asked not to exceed; what they say to us is short

# Result of an A-ASSOCIATE-RJ, and its source with its diagnostic (PS3.8 9.3.4).
_PERMANENT: Final = 1
_CALLING_UNKNOWN: Final = (1, 3)
_CALLED_UNKNOWN: Final = (1, 7)

# With TLS 1.3 a peer looks at our certificate when the handshake is over on our side; so long its alert may take.
_VERDICT_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Peer:
    """An application entity that listens somewhere."""

    ae_title: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None  # None: without TLS
    server_name: str = ""  # for which its certificate must be; empty: host

    @property
    def tls_name(self) -> str:
        return self.server_name or self.host

    def __str__(self) -> str:
        return f"{self.ae_title} at {self.host}:{self.port}"


@contextmanager
def associated(
    peer: Peer,
    contexts: list[PresentationContext],
    *,
    calling_ae: str,
    timeout: float,
    answers: int = 1,
    largest: int = LONGEST_PDU,
    handlers: Sequence[evt.EventHandlerType] = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """An established association, released at the end.

    Args:
        timeout: seconds that the peer has for the connection, and then for each of its answers.
        answers: of the peer that may wait for us to take them; a query has many.
        largest: bytes of a message of the peer's.
        handlers: of what the peer may ask of us in turn.
        roles: other than that we ask and it answers (PS3.7 D.3.3.4).

    Raises:
        Rejected: the peer refuses the association for good, or every context.
        Unavailable: the peer cannot be reached, does not answer in time, or refuses for now.
    """
    ae = AE(calling_ae)
    ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
    ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
    ae.maximum_pdu_size = MAXIMUM_PDU
    ae.connection_timeout = ae.acse_timeout = ae.dimse_timeout = timeout
    ae.network_timeout = None  # an association that we hold open ourselves is not idle
    rejections: list[A_ASSOCIATE_RJ] = []
    all_handlers: list[evt.EventHandlerType] = [
        *handlers,
        (evt.EVT_CONN_OPEN, limit_connection, [timeout, largest, None, answers]),
        (evt.EVT_PDU_RECV, _note_rejection, [rejections]),
    ]
    try:
        association = ae.associate(
            peer.host,
            peer.port,
            contexts,
            peer.ae_title,
            ext_neg=list(roles),
            evt_handlers=all_handlers,
            tls_args=(peer.tls, peer.tls_name) if peer.tls else None,
        )
    except OSError as error:  # the name of the host
        raise Unavailable(f"{peer}: the host is not known ({error.strerror}); is its name right?") from None
    if not association.is_established:
        if rejections:
            raise _rejection(rejections[0].to_primitive(), peer, calling_ae)
        raise _why_not(association, peer, timeout)
    association._reactor_checkpoint = Checkpoint(association)
    try:
        yield association
    finally:
        association.release()


def _note_rejection(event: evt.Event, rejections: list[A_ASSOCIATE_RJ]) -> None:
    """For EVT_PDU_RECV. A peer that rejects at once and hangs up looks to pynetdicom, half of the time, as if it had
    aborted; the rejection itself always comes by here."""
    if isinstance(event.pdu, A_ASSOCIATE_RJ):
        rejections.append(event.pdu)


def _why_not(association: Association, peer: Peer, timeout: float) -> DicomError:
    if association.rejected_contexts:
        names = ", ".join(
            sorted({UID(context.abstract_syntax or "").name for context in association.rejected_contexts})
        )
        return Rejected(f"{peer} takes nothing of what was to be sent: {names}")
    try:
        connection = socket.create_connection((peer.host, peer.port), timeout)
    except OSError as error:
        return Unavailable(f"{peer}: no connection ({error.strerror or error}); is it running, and its port right?")
    with connection:
        if why := _why_no_tls(connection, peer):
            return Unavailable(f"{peer}: no TLS with it: {why}")
    spoken = "with TLS" if peer.tls else "without TLS"
    return Unavailable(f"{peer} took the connection and gave no answer; does DICOM {spoken} listen there?")


def _why_no_tls(connection: socket.socket, peer: Peer) -> str:
    """Empty where the peer and we agree on TLS, or want none."""
    if peer.tls:
        try:
            with peer.tls.wrap_socket(connection, server_hostname=peer.tls_name) as secured, suppress(TimeoutError):
                secured.settimeout(_VERDICT_SECONDS)
                secured.recv(1)
        except OSError as error:
            return explained(error)
    return ""


def _rejection(answer: A_ASSOCIATE, peer: Peer, calling_ae: str) -> DicomError:
    diagnosis = (answer.result_source, answer.diagnostic)
    if diagnosis == _CALLING_UNKNOWN:
        return Rejected(f"{peer} does not know the calling AE title {calling_ae}: enter it there")
    if diagnosis == _CALLED_UNKNOWN:
        return Rejected(f"{peer.host}:{peer.port} is not {peer.ae_title}: correct the called AE title")
    kind = Rejected if answer.result == _PERMANENT else Unavailable
    return kind(f"{peer} rejected the association: {answer.reason_str}")
