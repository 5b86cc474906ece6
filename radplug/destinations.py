"""A document to its destination: checked once more, sent, and the answer in words.

The last door of the house: whatever may be of another patient (`patient_guard`), is not a plain draft, or fails our
own checks, stops here.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import dicom_io.errors
import hl7.errors
from dicom_io import committing, page_checks, report_checks, sending
from dicom_io.commitment import Reference, Request, Result
from dicom_io.dicomweb import stow
from dicom_io.reading import read_instance
from dicom_io.tls import explained
from hl7 import acknowledgement, checks, mllp, oru
from hl7.message import Message
from radplug import certificates, document_identity, web_services
from radplug.domain import Commitment, Delivery, DeliveryRefused, DestinationUnavailable, DocumentKind, WrongPatient
from radplug.fhir import checks as fhir_checks
from radplug.fhir import errors as fhir_errors
from radplug.fhir import pushing
from radplug.patient_guard import contradictions, stopped
from radplug.records.identities import Identities
from radplug.settings import (
    DicomwebDestination,
    FhirDestination,
    PacsDestination,
    ReportingDestination,
    SettingsError,
)
from radplug.study_store import StudyStore

# What may be otherwise when it is tried again: somebody may also have mended a file by then.
LATER = (
    dicom_io.errors.Unavailable,
    dicom_io.errors.UnusableCertificate,
    hl7.errors.Unavailable,
    fhir_errors.Unavailable,
    SettingsError,
)


class Destinations:
    """The site's PACS, DICOMweb servers, reporting systems and FHIR servers, by name; `ae_title` is ours."""

    def __init__(
        self,
        store: StudyStore,
        identities: Identities,
        ae_title: str,
        *,
        pacs: Sequence[PacsDestination],
        dicomweb: Sequence[DicomwebDestination] = (),
        reporting: Sequence[ReportingDestination],
        fhir: Sequence[FhirDestination],
    ) -> None:
        self._store = store
        self._identities = identities
        self._ae_title = ae_title
        self._pacs = {p.name: (p, certificates.calling(p)) for p in pacs}
        self._dicomweb = {d.name: d for d in dicomweb}
        self._reporting = {r.name: (r, certificates.calling_with(r.tls)) for r in reporting}
        self._fhir = {f.name: f for f in fhir}

    def send(self, delivery: Delivery) -> str:
        """The destination's answer in words.

        Raises:
            WrongPatient: it, or what it was made from, may be of somebody else than the case's patient.
            DeliveryRefused: the document is unfit, its destination is not in the settings any more, or said no.
            DestinationUnavailable: it may take the document later.
        """
        data = self._store.path(delivery.document.file).read_bytes()
        try:
            self._require_one_patient(data, delivery)
            if delivery.document.kind.is_hl7:
                return self._send_oru(data, delivery)
            if delivery.document.kind is DocumentKind.FHIR:
                return self._send_resource(data, delivery)
            return self._send_object(data, delivery)
        except KeyError:
            raise DeliveryRefused(f"no destination is named {delivery.destination}; name one so, then resend") from None
        except hl7.errors.NoTls as error:
            raise DestinationUnavailable(f"{error}: {explained(error.reason)}") from error
        except LATER as error:
            raise DestinationUnavailable(str(error)) from error
        except (dicom_io.errors.DicomError, hl7.errors.Hl7Error, fhir_errors.FhirError) as error:
            raise DeliveryRefused(str(error)) from error

    def patience(self, destination: str) -> timedelta | None:
        """How long the destination may take to confirm that it keeps a document; None where it is not asked."""
        if destination not in self._pacs or not self._pacs[destination][0].commitment:
            return None
        return timedelta(seconds=self._pacs[destination][0].commitment_seconds)

    def most_commitments(self, destination: str) -> int:
        """How often it is sent a document that it does not confirm."""
        return self._pacs[destination][0].commitment_attempts if destination in self._pacs else 1

    def ask(self, commitment: Commitment) -> Result | None:
        """Ask whether the destination keeps a document; its answer, where that comes at once.

        Raises:
            DeliveryRefused: it does not take such questions, or is not in the settings any more.
            DestinationUnavailable: it may take the question later.
        """
        delivery = commitment.delivery
        if delivery.destination not in self._pacs:
            raise DeliveryRefused(f"no PACS is named {delivery.destination}")
        pacs, peer = self._pacs[delivery.destination]
        try:
            document = read_instance(self._store.path(delivery.document.file))
            request = Request(
                commitment.transaction_uid, (Reference(document.sop_class_uid, document.sop_instance_uid),)
            )
            return committing.ask(peer(), request, calling_ae=self._ae_title, timeout=pacs.timeout_seconds)
        except (dicom_io.errors.Unavailable, dicom_io.errors.UnusableCertificate) as error:
            raise DestinationUnavailable(str(error)) from error
        except dicom_io.errors.DicomError as error:
            raise DeliveryRefused(str(error)) from error

    def _require_one_patient(self, data: bytes, delivery: Delivery) -> None:
        """As all is at this moment: what was wrong may have been mended since, and what was right may not be now."""
        reporting, _ = self._reporting.get(delivery.destination, (None, None))
        document = document_identity.claims(data, delivery.document.kind, reporting)
        if wrong := contradictions(self._identities.of(delivery.case_id, delivery.version), document):
            raise WrongPatient(stopped(wrong))

    def _send_object(self, data: bytes, delivery: Delivery) -> str:
        _require_fit(_faults(data, delivery.document.kind))
        if service := self._dicomweb.get(delivery.destination):
            stored = stow.store(data, web_services.server(service))
        else:
            pacs, peer = self._pacs[delivery.destination]
            stored = sending.send(data, peer(), calling_ae=self._ae_title, timeout=pacs.timeout_seconds)
        return f"stored, with a warning: {stored.warning}" if stored.warning else "stored"

    def _send_oru(self, data: bytes, delivery: Delivery) -> str:
        reporting, contexts = self._reporting[delivery.destination]
        _require_fit([str(finding) for finding in checks.check(data)])
        if pdf := oru.pdf_of(Message.parse(data)):
            _require_fit(list(page_checks.check_pages(pdf)))
        answer = mllp.exchange(
            data,
            reporting.host,
            reporting.port,
            timeout=reporting.timeout_seconds,
            tls=contexts(),
            server_name=reporting.tls.server_name if reporting.tls else "",
        )
        acknowledged = acknowledgement.read(answer)
        acknowledgement.settle(acknowledged, delivery.document.id)
        return acknowledged.code

    def _send_resource(self, data: bytes, delivery: Delivery) -> str:
        to = self._fhir[delivery.destination]
        _require_fit(fhir_checks.check(data))
        _require_fit(_faults(fhir_checks.sr_of(data), DocumentKind.SR))
        server = pushing.Server(to.url, to.authorization(), certificates.asking(to), to.timeout_seconds)
        return pushing.push(server, data)


def _faults(data: bytes, kind: DocumentKind) -> Sequence[str]:
    if kind is DocumentKind.PDF:
        return page_checks.check_pdf(data)
    if kind is DocumentKind.CAPTURE:
        return page_checks.check_capture(data)
    return [fault.text for fault in report_checks.check(data)]


def _require_fit(faults: Sequence[str]) -> None:
    if faults:
        raise DeliveryRefused("not fit to be sent: " + "; ".join(faults))
