"""Who may send us what: images by DICOM, messages by HL7, and when a study counts as complete."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from typing import Literal

from pydantic import Field, model_validator

from hl7.message import codec
from radplug.settings.tls import DicomTlsSettings, ListenerTlsSettings
from radplug.settings.values import AeTitle, Hl7CharacterSet, HostPort, Network, Port, Seconds, Section, SettingsError


class ListenerSettings(Section):
    """Where the PACS and the modalities send to."""

    ae_title: AeTitle = Field("RADPLUG", description="our AE title, as the PACS must call it")
    further_ae_titles: tuple[AeTitle, ...] = Field(
        (), description="further AE titles that we answer to; rules may ask as which one we were called"
    )
    host: str = Field("0.0.0.0", description="address to listen on")
    port: Port = Field(11112, description="port to listen on; 0 takes a free one")
    plain: bool = Field(True, description="listen on that port; false: on that of [listener.tls] alone")
    calling_ae_titles: tuple[AeTitle, ...] = Field(
        (), description="AE titles that may call us; all others are rejected"
    )
    accept_any_calling_ae: bool = Field(False, description="let every AE title in; for a demo or a test bench only")
    maximum_pdu: int = Field(131072, ge=4096, le=1 << 20, description="longest PDU that we take, bytes")
    maximum_associations: int = Field(50, ge=1, description="associations at a time; more are rejected for the moment")
    commitment: bool = Field(
        False, description="answer storage commitment; a sender may then delete what radplug has said it keeps"
    )
    commitment_reports: dict[AeTitle, HostPort] = Field(
        {},
        description='where senders that are no [[pacs]] take its answers, { "CT1" = "192.0.2.20:104" }, or with TLS '
        '"tls://192.0.2.20:2762"; others have them on their own association',
    )
    tls: DicomTlsSettings | None = Field(None, description="a second port, with TLS")

    @model_validator(mode="after")
    def _listens_somewhere(self) -> ListenerSettings:
        if not self.plain and not self.tls:
            raise ValueError("plain is false and there is no [listener.tls], so nobody could send; set either")
        return self

    @model_validator(mode="after")
    def _reports_with_tls_have_certificates(self) -> ListenerSettings:
        if not self.tls and (named := [ae for ae, address in self.commitment_reports.items() if address.tls]):
            raise ValueError(
                f"commitment_reports wants TLS with {', '.join(named)}; set [listener.tls], whose files it uses"
            )
        return self

    @property
    def ae_titles(self) -> frozenset[str]:
        return frozenset((self.ae_title, *self.further_ae_titles))

    @property
    def callers(self) -> frozenset[str] | None:
        """The AE titles that may call; None for any. Raises SettingsError where nobody may."""
        if self.accept_any_calling_ae:
            return None
        if not self.calling_ae_titles:
            raise SettingsError("listener.calling_ae_titles is empty, so nobody could send; name the PACS's AE title")
        return frozenset(self.calling_ae_titles)


class StowSettings(Section):
    """What is sent by DICOMweb (STOW-RS) to /dicom-web at the worklist's address, with a token of the scope store."""

    largest_instance_mib: int = Field(2048, ge=1, description="longest instance that is taken")
    largest_request_mib: int = Field(16384, ge=1, description="longest request, which may bring many instances")
    at_once: int = Field(8, ge=1, description="requests at a time; more are told to come again (503)")


class Hl7Settings(Section):
    """Where other systems send orders, changes of patients and dictated text as HL7 v2 over MLLP; off without port."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port | None = Field(None, description="port to listen on; left out: none, or that of [hl7.tls] alone")
    addresses: tuple[Network, ...] = Field(
        ("127.0.0.0/8", "::1/128"), description="addresses or networks that may send; all others are refused"
    )
    character_sets: dict[str, Hl7CharacterSet] = Field(
        {}, description='of messages without MSH-18, by MSH-3 or by MSH-3|MSH-4: { "OLD_RIS" = "8859/1" }; else UTF-8'
    )
    sections: dict[str, str] = Field(
        {}, description='sections of dictated text by OBX-3.1, OBX-3.2 or heading, { "GDT" = "FINDINGS" }'
    )
    keep_days: int = Field(7, ge=7, description="for so long a message that is sent again has no second effect")
    tls: ListenerTlsSettings | None = Field(None, description="a port with TLS")

    @property
    def on(self) -> bool:
        return self.port is not None or self.tls is not None

    def admits(self, address: str) -> bool:
        """Whether whoever has this address may send."""
        sender = ip_address(address)
        known = getattr(sender, "ipv4_mapped", None) or sender
        return any(known in ip_network(network) for network in self.addresses)

    def character_set(self, application: str, facility: str) -> str:
        """Python's codec for messages of that sender that name none."""
        named = self.character_sets.get(f"{application}|{facility}") or self.character_sets.get(application)
        return codec(named or "UNICODE UTF-8")


class AssemblySettings(Section):
    """When a study counts as complete."""

    signals: tuple[Literal["mpps", "ian"], ...] = Field(
        ("mpps", "ian"),
        description="announcements to take from those who may call: a study of which all that was announced is here "
        "closes at once, others wait; mpps, ian",
    )
    quiet_seconds: Seconds = Field(60.0, description="a study closes when no instance has come for so long")
    at_most_seconds: Seconds = Field(1800.0, description="a study closes so long after its first instance in any case")
    expected_series: dict[str, int] = Field(
        {}, description="image series to wait for (until at_most_seconds) by modality, e.g. { MR = 4 }"
    )
