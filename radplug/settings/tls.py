"""TLS where others call us, and where we call them."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from radplug.settings.values import Port, Section


class ListenerTlsSettings(Section):
    """A second port, with TLS; left out: there is none. Changed files count without restart."""

    port: Port = Field(description="port to listen on with TLS; 0 takes a free one")
    certificate: Path = Field(description="PEM file of our certificate and its chain")
    key: Path = Field(description="PEM file of its private key, not encrypted")
    ca: Path = Field(description="PEM file of the authorities whose certificates let a sender in")
    require_client_certificate: bool = Field(True, description="refuse senders that show no certificate")


class DicomTlsSettings(ListenerTlsSettings):
    """A second port, with TLS (PS3.15 B.12); left out: there is none. Changed files count without restart."""

    port: Port = Field(2762, description="port to listen on with TLS; 0 takes a free one")


class PeerTlsSettings(Section):
    """TLS with the peer whose lines it follows; left out: without. Changed files count without restart."""

    ca: Path = Field(description="PEM file of the authorities, one of which has signed its certificate")
    certificate: Path | None = Field(None, description="PEM file of our certificate and its chain, if it wants one")
    key: Path | None = Field(None, description="PEM file of its private key, not encrypted")
    server_name: str = Field("", description="host that its certificate names; empty: the host above")

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> PeerTlsSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; set both, or neither")
        return self
