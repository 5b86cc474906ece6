"""The limits that pynetdicom's connections lack: length and time of a PDU, size of a message, probes that say nothing.

They are handlers of its events, hold for the association that they are bound to, and leave pynetdicom itself as it is.
"""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Queue
from typing import Any, Final, cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.transport import AssociationSocket

from dicom_io.tls import explained

logger = logging.getLogger(__name__)

LONGEST_PDU: Final = 1 << 20  # bytes; a PDU announces up to 4 GiB, which pynetdicom would set out to read

# PS3.8 9.2.1, 9.3.1
_AWAITING_REQUEST: Final = ("Sta1", "Sta2")
_PDU_HEADER: Final = 6  # bytes
_ASSOCIATE_RQ: Final = 0x01


def limit_connection(
    event: evt.Event,
    seconds: float,
    largest_message: int,
    distrusted: Callable[[str, str], None] | None = None,
    waiting: int = 1,
) -> None:
    """For EVT_CONN_OPEN: bounds what is read from the peer, and sends without Nagle's delay.

    Args:
        seconds: what one PDU may take from its first byte to its last, and a send that makes no progress.
        largest_message: bytes of a DIMSE message; pynetdicom holds its command and data set in memory.
        distrusted: is told the address of a peer with which TLS failed, and why.
        waiting: messages that may have come before one is dealt with; a query has many answers.
    """
    association = event.assoc
    transport = cast(AssociationSocket, association.dul.socket)
    connection = cast(socket.socket, transport.socket)
    connection.settimeout(seconds)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def receive(length: int) -> bytearray:
        """`length` bytes; fewer tell pynetdicom that the connection is at its end."""
        data = bytearray()
        if not (flaw := _flaw(association, length, largest_message, waiting)):
            try:
                data = _receive(connection, length, time.monotonic() + seconds)
            except TimeoutError:
                flaw = f"a PDU, or the handshake before it, took longer than {seconds:g} s"
            except ssl.SSLError as error:  # the first read begins the handshake, where that was left to it
                hang_up(association)
                logger.warning("TLS with %s failed: %s", association.remote["address"], explained(error))
                if distrusted:
                    distrusted(association.remote["address"], explained(error))
                return data
            except OSError:
                return data  # it was reset
        first = association.dul.state_machine.current_state in _AWAITING_REQUEST and length == _PDU_HEADER
        if first and data and data[0] != _ASSOCIATE_RQ:
            flaw = f"it began with 0x{data[0]:02X}, not with an association request"
        if flaw:
            logger.warning("connection with %s closed: %s", association.remote["address"], flaw)
            hang_up(association)
            return bytearray()
        return data

    association.bind(evt.EVT_CONN_CLOSE, _ended, [connection])
    transport.recv = receive  # type: ignore[assignment, method-assign] # of this one only


def _flaw(association: Association, length: int, largest_message: int, waiting: int) -> str:
    """Why the `length` bytes that come next are not to be read; empty when they are."""
    if length > LONGEST_PDU:
        return f"a PDU of {length} bytes was announced, at most {LONGEST_PDU} are read"
    if _bytes_held(association) + length > largest_message:
        return f"a message of more than {largest_message} bytes was sent"
    if association.dimse.msg_queue.qsize() > waiting:
        return "messages came before the last was answered, which was not agreed (PS3.7 D.3.3.3)"
    return ""


def _ended(event: evt.Event, connection: socket.socket) -> None:
    """For EVT_CONN_CLOSE: frees the socket, and an acceptor whose peer left without an association request.

    pynetdicom leaves the one to the garbage collector, and the other, say a load balancer's probe, to its ACSE timeout,
    until when it counts as an association.
    """
    connection.close()
    if event.assoc.is_acceptor and event.assoc.requestor.primitive is None:
        answers: Queue[Any] = event.assoc.dul.to_user_queue
        answers.put(None)  # as if the time were up


def hang_up(association: Association) -> None:
    """Closes the TCP connection at once, whatever the association is doing."""
    if association.dul.socket and (connection := association.dul.socket.socket):
        with suppress(OSError):  # the peer was quicker
            connection.shutdown(socket.SHUT_RDWR)


def _receive(connection: socket.socket, length: int, deadline: float) -> bytearray:
    """All `length` bytes, or fewer where the peer closes."""
    data = bytearray(length)
    view = memoryview(data)
    received = 0
    while received < length:
        if time.monotonic() > deadline:
            raise TimeoutError
        count = connection.recv_into(view[received:])
        if not count:
            return data[:received]
        received += count
    return data


def _bytes_held(association: Association) -> int:
    message = association.dimse.message
    if message is None:
        return 0
    return message.encoded_command_set.tell() + (message.data_set.tell() if message.data_set else 0)
