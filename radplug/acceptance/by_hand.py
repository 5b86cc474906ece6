"""C-STORE as no careful sender does it: half of an instance, or one whose data set does not name it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from queue import Empty, Queue

from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import P_DATA

from dicom_io.offered import offered
from dicom_io.sending import Peer
from radplug.acceptance.expecting import Failed, expect

SECONDS = 30.0  # for an answer
LONGEST_PDU = 16384  # bytes, which every peer takes


@contextmanager
def associated(peer: Peer, image: Dataset, calling_ae: str) -> Iterator[Association]:
    """An association on which the image may be sent. Raises Failed."""
    scu = AE(calling_ae)
    scu.requested_contexts = [context for context in offered() if context.abstract_syntax == image.SOPClassUID]
    association = scu.associate(peer.host, peer.port, ae_title=peer.ae_title)
    expect(association.is_established, "no association was made")
    try:
        yield association
    finally:
        association.abort()


def half(association: Association, image: Dataset) -> None:
    """Begin to send the image, and break off in its middle."""
    pdus = _pdus(association, image, str(image.SOPInstanceUID))
    for pdu in pdus[: len(pdus) // 2]:
        association.dul.send_pdu(pdu)
    association.abort()


def answer_to(association: Association, image: Dataset, called: str) -> Dataset:
    """The response to the image, which the request calls `called` whatever the image says. Raises Failed."""
    answers: Queue[Dataset] = Queue()
    association.bind(evt.EVT_DIMSE_RECV, lambda event: answers.put(event.message.command_set))
    for pdu in _pdus(association, image, called):
        association.dul.send_pdu(pdu)
    try:
        return answers.get(timeout=SECONDS)
    except Empty:
        raise Failed(f"no answer within {SECONDS:.0f} s") from None


def _pdus(association: Association, image: Dataset, called: str) -> list[P_DATA]:
    syntax = image.file_meta.TransferSyntaxUID
    (context,) = (
        each
        for each in association.accepted_contexts
        if each.abstract_syntax == image.SOPClassUID and each.transfer_syntax[0] == syntax
    )
    request = C_STORE()
    request.MessageID, request.Priority = 1, 2
    request.AffectedSOPClassUID, request.AffectedSOPInstanceUID = image.SOPClassUID, called
    request.DataSet = BytesIO(encode(image, syntax.is_implicit_VR, syntax.is_little_endian) or b"")
    message = C_STORE_RQ()
    message.primitive_to_message(request)
    return list(message.encode_msg(context.context_id or 0, LONGEST_PDU))
