"""FHIR servers that take drafts, and the hub of a reporting session."""

from __future__ import annotations

from pydantic import Field

from radplug.settings.sending import Named
from radplug.settings.values import Name
from radplug.settings.web_service import WebService


class FhirDestination(WebService, Named):
    """A FHIR R4 server that takes the draft as a DiagnosticReport; `[[fhir]]`, none or several."""


class FhircastSettings(WebService):
    """The FHIRcast hub whose reporting sessions we take part in; left out: none."""

    name: Name = Field("fhircast", description="how rules and logs call it; unique among the destinations")
    topics: dict[Name, str] = Field(min_length=1, description="sessions to take part in: a name of ours for each topic")
    lease_seconds: int = Field(7200, ge=60, description="how long a subscription is asked for; it is renewed in time")
    publish: bool = Field(True, description="put our draft into a report that is open there; false: take phrases alone")
