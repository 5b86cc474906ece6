"""FHIR servers that take drafts, and the hub of a reporting session."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from radplug.settings.values import Name, Seconds, Section, SecureUrl, secret_in


class Trusted(Section):
    """Who is asked by HTTPS, and with which token."""

    token_file: Path | None = Field(None, description="file whose first line is the bearer token; empty: without one")
    ca: Path | None = Field(None, description="PEM file of the authorities that it is checked by; empty: the system's")
    timeout_seconds: Seconds = Field(30.0, description="longest wait for an answer")

    @property
    def token(self) -> str:
        """Empty where there is none to show. Raises SettingsError where the file holds none."""
        return secret_in(self.token_file, "token_file") if self.token_file else ""


class FhirDestination(Trusted):
    """A FHIR R4 server that takes the draft as a DiagnosticReport; `[[fhir]]`, none or several."""

    name: Name = Field(description="how cases and logs call it; unique")
    url: SecureUrl = Field(description="the server's base, which DiagnosticReport is put behind")


class FhircastSettings(Trusted):
    """The FHIRcast hub whose reporting sessions we take part in; off without url."""

    name: Name = Field("fhircast", description="how rules and logs call it; unique among the destinations")
    url: SecureUrl | None = Field(None, description="the hub's base; left out: no FHIRcast")
    topics: dict[Name, str] = Field(
        {}, description='sessions to take part in, { "room-1" = "fdb2f928-5546-4f52-87a0-0648e9ded065" }'
    )
    lease_seconds: int = Field(7200, ge=60, description="how long a subscription is asked for; it is renewed in time")
    publish: bool = Field(True, description="put our draft into a report that is open there; false: take phrases alone")

    @property
    def on(self) -> bool:
        return self.url is not None

    @model_validator(mode="after")
    def _has_sessions(self) -> FhircastSettings:
        if self.on and not self.topics:
            raise ValueError('url names a hub and topics no session there; name one, { "room-1" = "its topic" }')
        return self
