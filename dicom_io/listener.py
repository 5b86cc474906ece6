"""Verification and Storage SCP (PS3.4 A, B): what arrives goes to `keep`, and only then is the answer 0x0000.

Storage commitment (PS3.4 J) comes in by the same door, and goes to `committing`; what others announce of a study (PS3.4
F, R), to `signalling`.
"""

from __future__ import annotations

import logging
import ssl
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from socket import socket
from types import TracebackType
from typing import Final, Self, cast

from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.transport import ThreadedAssociationServer

from dicom_io import committing, signalling
from dicom_io.arrival import (
    CANNOT_UNDERSTAND,
    DOES_NOT_MATCH,
    OUT_OF_RESOURCES,
    SUCCESS,
    Arrival,
    arrival_of,
)
from dicom_io.connection import hang_up, limit_connection
from dicom_io.errors import DicomError, NoSpace, Unreadable
from dicom_io.offered import offered
from dicom_io.tls import Contexts
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME

logger = logging.getLogger(__name__)

LARGEST_INSTANCE: Final = 2 << 30  # bytes of an encoded data set
ACSE_SECONDS: Final = 30.0
IDLE_SECONDS: Final = 120.0

_STATUS: Final[dict[type[DicomError], int]] = {NoSpace: OUT_OF_RESOURCES, Unreadable: DOES_NOT_MATCH}


@dataclass(frozen=True, slots=True)
class SecurePort:
    """A port with TLS."""

    port: int  # 0 for any that is free
    contexts: Contexts
    distrusted: Callable[[str, str], None]  # is told the address of a peer with which TLS failed, and why

    def wrap_socket(self, connection: socket, server_side: bool) -> ssl.SSLSocket:
        """What pynetdicom asks an SSLContext for, on the thread that accepts connections.

        The context is that of this moment. The handshake is left to the first read, on the association's own thread,
        where it holds up nobody else and has the association's time-outs.
        """
        return self.contexts().wrap_socket(connection, server_side=server_side, do_handshake_on_connect=False)


class Listener:
    """Receives instances as `ae_title`, each handed to `keep` on the thread of its association.

    `keep` returns once the instance is safe. What it raises is the sender's answer: NoSpace 0xA700, Unreadable 0xA900,
    anything else 0xC000. Its text stands in the Error Comment if it is a DicomError.
    """

    def __init__(
        self,
        ae_title: str,
        host: str,
        port: int | None,
        keep: Callable[[Arrival], None],
        *,
        secure: SecurePort | None = None,
        calling_ae_titles: frozenset[str] | None,
        further_ae_titles: frozenset[str] = frozenset(),
        commitment: committing.Desk | None = None,
        signals: signalling.Desk | None = None,
        maximum_pdu: int = 128 << 10,
        maximum_associations: int = 32,
        largest_instance: int = LARGEST_INSTANCE,
        acse_timeout: float = ACSE_SECONDS,
        network_timeout: float = IDLE_SECONDS,
    ) -> None:
        """Nothing is bound before `start`.

        Args:
            port: without TLS; 0 for any that is free, None for none.
            calling_ae_titles: who may send; None for anybody.
            further_ae_titles: what we may be called besides `ae_title`.
            commitment: who is asked and told about storage commitment; None: it is not offered.
            signals: who is told what a study will have; None: nobody may tell.
            maximum_pdu: bytes that peers are asked not to exceed in a PDU.
            largest_instance: bytes of an encoded data set; it is held in memory until it is kept.
            acse_timeout: seconds that a connection has for its association request, and then for each PDU.
            network_timeout: seconds after which an idle association is aborted.

        Raises:
            ValueError: an AE title is not one, or no AE title at all may call.
        """
        if calling_ae_titles is not None and not calling_ae_titles:
            raise ValueError("no AE title may call: name those that may, or None for any")
        self._host, self._port, self._secure = host, port, secure
        self._keep = keep
        self._commitment, self._signals = commitment, signals
        self._largest_instance = largest_instance
        self._further_ae_titles = further_ae_titles
        self._ae = AE(ae_title)
        self._ae.implementation_class_uid = IMPLEMENTATION_CLASS_UID
        self._ae.implementation_version_name = IMPLEMENTATION_VERSION_NAME
        contexts = [*offered()]
        if commitment:
            contexts.append(committing.offered())
        if signals:
            contexts += signalling.offered(signals.kinds)
        for context in contexts:
            roles = context.scu_role, context.scp_role  # which assigning to `supported_contexts` would drop
            self._ae.add_supported_context(cast(str, context.abstract_syntax), context.transfer_syntax, *roles)
        self._ae.require_called_aet = True
        self._ae.require_calling_aet = sorted(calling_ae_titles or ())
        self._ae.maximum_pdu_size = maximum_pdu
        self._ae.maximum_associations = maximum_associations
        self._ae.acse_timeout = self._acse_timeout = acse_timeout
        self._ae.network_timeout = network_timeout
        self._plain_server: ThreadedAssociationServer | None = None
        self._secure_server: ThreadedAssociationServer | None = None

    @property
    def port(self) -> int:
        """The port that it listens at without TLS."""
        return _port_of(self._plain_server)

    @property
    def secure_port(self) -> int:
        """The port that it listens at with TLS."""
        return _port_of(self._secure_server)

    def start(self) -> None:
        """Listens from now on, on threads of its own.

        Raises:
            OSError: an address cannot be bound.
            UnusableCertificate: there can be no TLS.
        """
        if self._secure:
            self._secure.contexts()
        try:
            if self._secure:
                self._secure_server = self._serve(self._secure.port, self._secure)
            if self._port is not None:
                self._plain_server = self._serve(self._port)
        except OSError:
            self.stop()
            raise

    def _serve(self, port: int, secure: SecurePort | None = None) -> ThreadedAssociationServer:
        handlers: list[evt.EventHandlerType] = [
            (evt.EVT_CONN_OPEN, self._opened),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_REJECTED, self._refused),
            (evt.EVT_C_STORE, self._received),
            *(committing.handlers(self._commitment) if self._commitment else ()),
            *(signalling.handlers(self._signals) if self._signals else ()),
        ]
        context = cast(ssl.SSLContext, secure)  # of which it wants `wrap_socket` alone
        server = cast(
            ThreadedAssociationServer,
            self._ae.start_server((self._host, port), block=False, ssl_context=context, evt_handlers=handlers),
        )
        # It queues no more than five connections; others that come at the same time would have to wait for a second.
        cast(socket, server.socket).listen(128)
        return server

    def stop(self, grace: float = 10) -> None:
        """Accepts no more, lets associations end by themselves for `grace` seconds, then aborts them."""
        for server in (self._plain_server, self._secure_server):
            if server:
                server.shutdown()
        self._plain_server = self._secure_server = None
        deadline = time.monotonic() + grace
        for association in self._ae.active_associations:
            association.join(max(0.0, deadline - time.monotonic()))
        for association in self._ae.active_associations:
            if association.is_established:
                logger.warning("association with %r aborted: the listener stops", association.requestor.ae_title)
                association.abort(block=False)
                association.join(1)
            hang_up(association)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _opened(self, event: evt.Event) -> None:
        distrusted = self._secure.distrusted if self._secure else None
        limit_connection(event, self._acse_timeout, self._largest_instance, distrusted)
        # Associations beyond the maximum are refused politely; connections that never ask for one must not pile up.
        if len(self._ae.active_associations) >= 2 * self._ae.maximum_associations:
            hang_up(event.assoc)

    def _requested(self, event: evt.Event) -> None:
        """Be called as the caller says, where that is a name of ours; pynetdicom refuses all but one."""
        called = cast(A_ASSOCIATE, event.assoc.requestor.primitive).called_ae_title or ""
        if called in self._further_ae_titles:
            event.assoc.acceptor.ae_title = called

    def _refused(self, event: evt.Event) -> None:
        asked = cast(A_ASSOCIATE, event.assoc.requestor.primitive)
        answer = cast(A_ASSOCIATE, event.assoc.acceptor.primitive)
        logger.warning(
            "association refused: %s; calling %r from %s, called %r, and this is %r",
            answer.reason_str,
            asked.calling_ae_title,
            event.assoc.requestor.address,
            asked.called_ae_title,
            ", ".join(sorted({self._ae.ae_title, *self._further_ae_titles})),
        )

    def _received(self, event: evt.Event) -> int | Dataset:
        """The answer to a C-STORE request: whatever happens here, the sender hears of it."""
        uid, sender = cast(C_STORE, event.request).AffectedSOPInstanceUID, event.assoc.requestor.ae_title
        try:
            self._keep(arrival_of(event))
        except DicomError as error:
            logger.warning("instance %s from %r not kept: %s", uid, sender, error)
            return _failure(_STATUS.get(type(error), CANNOT_UNDERSTAND), str(error))
        except Exception as error:  # noqa: BLE001 - an entrance: all that fails becomes an answer; its text may name anybody
            frame = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{type(error).__name__} in {frame.name}, {frame.filename}:{frame.lineno}"
            logger.error("instance %s from %r not kept: %s", uid, sender, where)
            return _failure(CANNOT_UNDERSTAND, "it could not be kept; our log says why")
        return SUCCESS


def _port_of(server: ThreadedAssociationServer | None) -> int:
    if server is None:
        raise RuntimeError("the listener has not been started, or was not asked for this port")
    return int(server.server_address[1])


def _failure(status: int, comment: str) -> Dataset:
    answer = Dataset()
    answer.Status = status
    answer.ErrorComment = comment.encode("ascii", "replace").decode("ascii").replace("\\", "/")[:64]  # LO
    return answer
