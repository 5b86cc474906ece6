"""Where drafts go, and as what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, FilePath, StringConstraints, model_validator

from hl7.errors import Malformed
from hl7.overrides import overrides
from radplug.settings.tls import PeerTlsSettings
from radplug.settings.values import AeTitle, Name, Port, Seconds, Section
from radplug.settings.web_service import WebService


class DeliverySettings(Section):
    """How drafts go out."""

    first_retry_seconds: Seconds = Field(
        5.0, description="pause after a destination's first failure; doubles each time"
    )
    longest_retry_seconds: Seconds = Field(300.0, description="longest pause")
    attempts: int = Field(50, ge=1, description="a delivery that failed so often becomes a dead letter")
    workers: int = Field(4, ge=1, le=64, description="deliveries at a time")


class Named(Section):
    name: Name = Field(description="how cases and logs call it; unique")


class Destination(Named):
    host: str = Field(description="host name or address")
    port: Port = Field(description="its port")
    timeout_seconds: Seconds = Field(30.0, description="longest wait for an answer")


Shape = Literal["basic-text-sr", "comprehensive-3d-sr", "pdf", "secondary-capture"]


class PacsWebSettings(WebService):
    """The DICOMweb server of the PACS whose lines it follows, for `priors = "dicomweb"`; left out: none."""


class PacsDestination(Destination):
    """A PACS that takes the draft as DICOM objects; `[[pacs]]`, none or several."""

    ae_title: AeTitle = Field(description="its AE title")
    shapes: tuple[Shape, ...] = Field(
        ("basic-text-sr",),
        min_length=1,
        description="what it is sent, each in a series of its own: basic-text-sr, comprehensive-3d-sr, pdf, "
        "secondary-capture",
    )
    count_instances: bool = Field(
        False, description="before a study is closed as quiet, ask whether it has more of it (C-FIND)"
    )
    commitment: bool = Field(False, description="ask it to confirm that it keeps each document (storage commitment)")
    commitment_seconds: Seconds = Field(
        3600.0, description="a document whose confirmation has not come in so long is sent again"
    )
    commitment_attempts: int = Field(
        3, ge=1, description="a document that was sent so often unconfirmed becomes a dead letter"
    )
    priors: Literal["off", "c-move", "c-get", "dicomweb"] = Field(
        "off", description="how earlier studies that rules want are fetched from it: off, c-move, c-get, dicomweb"
    )
    priors_issuer: str = Field(
        "", description="issuer of Patient IDs that come without one; empty: their patients' studies are left out"
    )
    tls: PeerTlsSettings | None = Field(None, description="TLS with it")
    dicomweb: PacsWebSettings | None = Field(None, description="how it is asked by DICOMweb")

    @model_validator(mode="after")
    def _dicomweb_is_set_where_it_is_asked(self) -> PacsDestination:
        if self.priors == "dicomweb" and not self.dicomweb:
            raise ValueError("priors is dicomweb and there is no [pacs.dicomweb]; add it, with the server's url")
        return self


class DicomwebDestination(WebService, Named):
    """A server that takes the draft as DICOM objects by DICOMweb (STOW-RS); `[[dicomweb]]`, none or several."""

    shapes: tuple[Shape, ...] = Field(
        ("basic-text-sr",), min_length=1, description="what it is sent, as with a [[pacs]]"
    )


ObjectDestination = PacsDestination | DicomwebDestination


def _settable(fields: dict[str, str]) -> dict[str, str]:
    try:
        overrides(fields)
    except Malformed as error:
        raise ValueError(str(error)) from None
    return fields


class ReportingDestination(Destination):
    """A reporting system that takes the draft as HL7 ORU^R01 over MLLP; `[[reporting]]`, none or several."""

    status: Literal["R", "P"] = Field(
        "R", description="OBR-25 and OBX-11: R stored, not verified; P only if the site signs"
    )
    text_style: Literal["repeat", "line", "ft"] = Field(
        "repeat", description="OBX-5: repetitions, an OBX a line, or FT"
    )
    version: Literal["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8"] = Field(
        "2.5.1", description="HL7 version, MSH-12: 2.3 to 2.8"
    )
    pdf: bool = Field(False, description="send the draft as a PDF as well, in a message of its own")
    fields: Annotated[dict[str, str], AfterValidator(_settable)] = Field(
        {}, description='fields that it wants otherwise: { "OBR-24" = "CT", "OBR-20" = "{accession_number}" }'
    )
    sending_facility: str = Field("HOSPITAL", description="MSH-4")
    receiving_application: str = Field("REPORTING", description="MSH-5")
    receiving_facility: str = Field("HOSPITAL", description="MSH-6")
    assigning_authority: str = Field("", description="PID-3.4 where the images name no issuer, namespace or ns&oid&ISO")
    processing_id: Literal["P", "T"] = Field("P", description="MSH-11: production or training")
    tls: PeerTlsSettings | None = Field(None, description="TLS with it")


class PagesSettings(Section):
    """How pages are drawn, for a PACS that takes pdf or secondary-capture."""

    fonts: tuple[FilePath, ...] = Field(
        (), description="TrueType files for what DejaVu Sans, which comes along, cannot draw, such as Chinese"
    )


class DeviceSettings(Section):
    """How drafts name the device that wrote them."""

    manufacturer: str = Field("radplug", description="Manufacturer")
    station_name: Annotated[str, StringConstraints(max_length=16)] = Field("RADPLUG", description="Station Name")
    serial_number: str = Field("SITE-1", description="Device Serial Number")

    @property
    def identity(self) -> str:
        """What the device's UID is made from."""
        return f"{self.manufacturer}/{self.serial_number}"
