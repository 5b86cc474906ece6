"""The order system and the dictation system as radplug meets them: they send HL7, and read what is answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from hl7 import acknowledgement
from hl7.acknowledgement import Acknowledgement
from hl7.header import Application, Header, header_segment
from hl7.message import Message, Segment, segment
from hl7.mllp import exchange
from hl7.orders import Order, build_order
from hl7.patient import Patient, patient_segment
from model_runtime.canvas import Anchor
from radplug.acceptance.returned import SECTION_CODES

TIMEOUT = 30.0  # seconds
VERSION = "2.5.1"


@dataclass(frozen=True, slots=True)
class Sender:
    """A system of the hospital's that is called `application`, and sends to radplug at `host` and `port`."""

    application: str
    host: str
    port: int

    def send(self, message: bytes) -> Acknowledgement:
        """What is answered. Raises Unavailable."""
        return acknowledgement.read(exchange(message, self.host, self.port, timeout=TIMEOUT))

    def say(self, kind: tuple[str, str, str], *segments: Segment) -> Acknowledgement:
        return self.send(Message((header_segment(self._header(), kind, VERSION), *segments)).encode())

    def order(self, order: Order, patient: Patient) -> bytes:
        """ORM^O01 of an imaging order, to be sent."""
        return build_order(order, patient, self._header())

    def merge(self, patient: Patient, former: str) -> Acknowledgement:
        """ADT^A40: whoever had the id `former` is this patient."""
        event = segment("EVN", {2: f"{datetime.now():%Y%m%d%H%M%S}"})
        gone = segment("MRG", {1: (former, "", "", "", "MR")})
        return self.say(("ADT", "A40", "ADT_A39"), event, patient_segment(patient), gone)

    def preliminary(self, accession: str, phrases: Sequence[Anchor]) -> Acknowledgement:
        """ORU^R01: what was dictated for a study so far."""
        return self._result(accession, phrases, "P")

    def signed(self, accession: str, phrases: Sequence[Anchor]) -> Acknowledgement:
        """ORU^R01: a radiologist's own final report."""
        return self._result(accession, phrases, "F")

    def document(self, accession: str, phrases: Sequence[Anchor]) -> Acknowledgement:
        """MDM^T02: the same as `preliminary`, as a document that is being dictated."""
        about = segment("TXA", {1: "1", 2: "RAD", 3: "TX", 12: uuid4().hex[:20], 17: "DI"})
        order = segment("OBR", {1: "1", 18: accession})
        return self.say(("MDM", "T02", "MDM_T02"), about, order, *_observations(phrases, "P"))

    def _result(self, accession: str, phrases: Sequence[Anchor], status: str) -> Acknowledgement:
        order = segment("OBR", {1: "1", 18: accession, 25: status})
        return self.say(("ORU", "R01", "ORU_R01"), order, *_observations(phrases, status))

    def _header(self) -> Header:
        ours, theirs = Application(self.application, "ACCEPTANCE"), Application("RADPLUG", "ACCEPTANCE")
        return Header(ours, theirs, uuid4().hex[:20], datetime.now().astimezone(), "T")


def _observations(phrases: Sequence[Anchor], status: str) -> list[Segment]:
    return [
        segment("OBX", {1: str(n), 2: "TX", 3: (SECTION_CODES[each.section], "", "LN"), 5: each.text, 11: status})
        for n, each in enumerate(phrases, 1)
    ]
