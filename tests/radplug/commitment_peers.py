"""A PACS for storage commitment, by pynetdicom alone: it keeps what it is sent, and answers as a test wants it to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from peers import free_port
from pydicom import Dataset
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    BasicTextSRStorage,
    Comprehensive3DSRStorage,
    EncapsulatedPDFStorage,
    SecondaryCaptureImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

PUSH, INSTANCE = StorageCommitmentPushModel, StorageCommitmentPushModelInstance


@dataclass
class Pacs:
    """Takes drafts in all shapes, and requests that it answers when told to."""

    ae_title: str
    port: int
    answers_at_once: bool = False
    stored: list[str] = field(default_factory=list)
    asked: list[Dataset] = field(default_factory=list)
    proposed: set[tuple[str, str]] = field(default_factory=set)  # abstract and transfer syntaxes
    maximum_lengths: set[int] = field(default_factory=set)  # of PDUs, as we were asked

    def on_request(self, event: evt.Event) -> None:
        requestor = event.assoc.requestor
        self.maximum_lengths.add(requestor.maximum_length)
        for context in requestor.primitive.presentation_context_definition_list:
            self.proposed |= {(str(context.abstract_syntax), str(syntax)) for syntax in context.transfer_syntax}

    def on_action(self, event: evt.Event) -> tuple[int, None]:
        self.asked.append(event.action_information)
        if self.answers_at_once:
            event.assoc.bind(evt.EVT_DIMSE_SENT, self.after_answer)
        return 0x0000, None

    def after_answer(self, event: evt.Event) -> None:
        if type(event.message).__name__ == "N_ACTION_RSP":
            event.assoc.unbind(evt.EVT_DIMSE_SENT, self.after_answer)
            event.assoc.send_n_event_report(self.report(), 1, PUSH, INSTANCE)

    def report(self, failure: int | None = None) -> Dataset:
        asked, report = self.asked[-1], Dataset()
        report.TransactionUID = asked.TransactionUID
        items = list(asked.ReferencedSOPSequence)
        if failure is None:
            report.ReferencedSOPSequence = items
        else:
            items[0].FailureReason = failure
            report.FailedSOPSequence = items
        return report

    def call_back(self, port: int, failure: int | None = None, *, as_scp: bool = True) -> int:
        """Reports on an association of its own; the status that it is answered."""
        ae = AE(self.ae_title)
        ae.add_requested_context(PUSH)
        roles = [build_role(PUSH, scp_role=True)] if as_scp else []
        association = ae.associate("127.0.0.1", port, ae_title="RADPLUG", ext_neg=roles)
        assert association.is_established
        (context,) = association.accepted_contexts
        assert context.as_scp == as_scp
        event_type = 1 if failure is None else 2
        answer, _ = association.send_n_event_report(self.report(failure), event_type, PUSH, INSTANCE)
        association.release()
        return int(answer.Status)


@contextmanager
def pacs(ae_title: str = "PACS") -> Iterator[Pacs]:
    peer = Pacs(ae_title, free_port())

    def store(event: evt.Event) -> int:
        peer.stored.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    ae = AE(ae_title)
    ae.add_supported_context(BasicTextSRStorage)
    for further in (Comprehensive3DSRStorage, EncapsulatedPDFStorage, SecondaryCaptureImageStorage):
        ae.add_supported_context(further)
    ae.add_supported_context(PUSH)
    handlers = [(evt.EVT_C_STORE, store), (evt.EVT_N_ACTION, peer.on_action), (evt.EVT_REQUESTED, peer.on_request)]
    server = ae.start_server(("127.0.0.1", peer.port), block=False, evt_handlers=handlers)
    try:
        yield peer
    finally:
        server.shutdown()
