"""What passes between a FHIRcast hub and those who take part in a session (FHIRcast 3.0.0, STU 3), in words.

Resources in an event are often but parts of one, and a Bundle's entries lack what R4 wants of a transaction: here they
are JSON objects, and what is read from one is validated by whoever reads it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from radplug.fhir.errors import Malformed
from radplug.fhir.resources import Element, instant

OPEN, UPDATE = "diagnosticreport-open", "diagnosticreport-update"
CLOSE, SYNC_ERROR = "diagnosticreport-close", "syncerror"
WANTED: Final = (
    "DiagnosticReport-open",
    "DiagnosticReport-update",
    "DiagnosticReport-select",
    "DiagnosticReport-close",
    SYNC_ERROR,
)
_SYNC: Final = "https://fhircast.hl7.org/events/syncerror/"


_Kind = TypeVar("_Kind", bound=BaseModel)


class _Words(BaseModel):
    model_config = ConfigDict(populate_by_name=True, frozen=True)


class Reference(_Words):
    reference: str = ""


class Item(_Words):
    """One of an event's context: a resource, or a reference to one."""

    key: str
    resource: Element = {}
    reference: Reference = Reference()

    @property
    def target(self) -> str:
        """Type and id of the resource that it is about; empty where it names none."""
        kind, id = self.resource.get("resourceType"), self.resource.get("id")
        return self.reference.reference or (f"{kind}/{id}" if kind and id else "")


class Event(_Words):
    topic: str = Field(alias="hub.topic")
    named: str = Field(alias="hub.event")
    version: str = Field("", alias="context.versionId")
    prior: str = Field("", alias="context.priorVersionId")
    context: tuple[Item, ...] = ()

    @property
    def name(self) -> str:
        return self.named.lower()

    def item(self, key: str) -> Item | None:
        return next((item for item in self.context if item.key.lower() == key), None)


class Notification(_Words):
    id: str = Field(min_length=1)
    timestamp: str
    event: Event

    def as_json(self) -> Element:
        return self.model_dump(by_alias=True, exclude_defaults=True)


class Standing(_Words):
    """What a hub says of a subscription: that it stands, or that it is denied."""

    mode: str = Field(alias="hub.mode")
    lease_seconds: float = Field(0, alias="hub.lease_seconds")

    @property
    def denied(self) -> bool:
        return self.mode == "denied"


class Current(_Words):
    """What a hub answers to Get Current Context."""

    type: str = Field("", alias="context.type")
    version: str = Field("", alias="context.versionId")
    context: tuple[Item, ...] = ()

    @classmethod
    def read(cls, answer: bytes) -> Self:
        """Raises Malformed."""
        return _read(cls, answer, "answer to Get Current Context")


def read(message: str | bytes) -> Notification | Standing:
    """What came over the channel. Raises Malformed."""
    if "hub.mode" in _object(message):
        return _read(Standing, message, "confirmation")
    return _read(Notification, message, "event notification")


def id_of(message: str | bytes) -> str:
    """Of what is no event otherwise; empty where it has none."""
    return str(_object(message).get("id", ""))


def notification(topic: str, name: str, context: Iterable[Element], at: datetime, version: str = "") -> Notification:
    """One of ours, under an id that no other has."""
    return Notification(
        id=str(uuid.uuid4()),
        timestamp=instant(at),
        event=Event.model_validate(
            {"hub.topic": topic, "hub.event": name, "context.versionId": version, "context": list(context)}
        ),
    )


def sync_error(about: Notification, subscriber: str, reason: str, at: datetime) -> Notification:
    """That we could not follow an event, and why."""
    details = {"eventid": about.id, "eventname": about.event.named, "subscriber": subscriber}
    issue = {
        "severity": "warning",
        "code": "processing",
        "diagnostics": reason,
        "details": {"coding": [{"system": _SYNC + name, "code": code} for name, code in details.items()]},
    }
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    return notification(about.event.topic, SYNC_ERROR, [{"key": "operationoutcome", "resource": outcome}], at)


def sync_error_codes(event: Event) -> dict[str, str]:
    """What a syncerror is about: eventid, eventname and subscriber, as far as it tells."""
    item = event.item("operationoutcome")
    issues = item.resource.get("issue") if item else None
    codes: dict[str, str] = {}
    for issue in issues if isinstance(issues, list) else []:
        details = issue.get("details") if isinstance(issue, dict) else None
        for coding in details.get("coding", []) if isinstance(details, dict) else []:
            if isinstance(coding, dict) and str(coding.get("system", "")).startswith(_SYNC):
                codes[str(coding["system"]).removeprefix(_SYNC)] = str(coding.get("code", ""))[:100]
    return codes


def _object(message: str | bytes) -> Element:
    try:
        made = json.loads(message)
    except ValueError:
        return {}
    return made if isinstance(made, dict) else {}


def _read(kind: type[_Kind], given: str | bytes, what: str) -> _Kind:
    try:
        return kind.model_validate_json(given)
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False)
        where = dict.fromkeys(".".join(map(str, fault["loc"][:3])) or "its beginning" for fault in faults)
        raise Malformed(f"is no {what} of FHIRcast, at {', '.join(list(where)[:5])}") from None
