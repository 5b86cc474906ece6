"""A FHIRcast hub with content sharing as radplug meets it, and the reporting client of one session on it.

Subscriptions, events and Get Current Context are real HTTP, notifications a real WebSocket. What others may do wrong,
`say` does: it sends what it is given to every subscriber.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
from fastapi import FastAPI, Request, Response, WebSocket, WebSocketDisconnect

from dicom_io import tls as transport
from dicom_io.certificates import Files
from radplug.acceptance.serving import HOST, SimulatedServer

TOPIC = "3f0c1e8a-session"
Element = dict[str, Any]


@dataclass
class _Subscriber:
    events: list[str]
    queue: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    joined: bool = False


class SimulatedHub(SimulatedServer):
    """Knows the session TOPIC."""

    def __init__(self, token: str = "", port: int = 0, host: str = HOST, tls: Files | None = None) -> None:
        super().__init__(token, port, host, tls)
        self.content: dict[str, Element] = {}  # of the open report, by type and id
        self.version = ""
        self.lease_seconds = 7200.0
        self.tells_context = True
        self.sync_errors: list[Element] = []
        self.refusals = 0  # updates that were refused for their version
        self.subscriptions = 0
        self._context: list[Element] = []
        self._answers: dict[str, int] = {}
        self._subscribers: dict[str, _Subscriber] = {}
        self._changed = threading.Condition()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        return f"{self.address}/hub"

    # ── the reporting client ──

    def open(self, report: str, study_uid: str, accession: str = "", status: str = "unknown") -> int:
        """Open a report on a study; how the subscriber answers."""
        identifiers: list[Element] = [{"system": "urn:dicom:uid", "value": f"urn:oid:{study_uid}"}] if study_uid else []
        if accession:
            kind = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "ACSN"}]}
            identifiers.append({"type": kind, "value": accession})
        patient = {"reference": "Patient/p1"}
        study = {"resourceType": "ImagingStudy", "id": "s1", "status": "available", "subject": patient}
        context = [
            {"key": "report", "resource": {**_report(report), "status": status, "subject": patient}},
            {"key": "patient", "resource": {"resourceType": "Patient", "id": "p1"}},
            {"key": "study", "resource": {**study, "identifier": identifiers}},
        ]
        return self.tell("DiagnosticReport-open", context)

    def put(self, report: str, *resources: Element, delete: tuple[str, ...] = ()) -> int:
        """Put resources into the open report, take others out; how the subscriber answers."""
        entries: list[Element] = [{"fullUrl": key, "request": {"method": "DELETE"}} for key in delete]
        entries += [{"request": {"method": "PUT"}, "resource": resource} for resource in resources]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        context = [_reference(report), {"key": "updates", "resource": bundle}]
        return self.tell("DiagnosticReport-update", context, self.version)

    def close(self, report: str) -> int:
        return self.tell("DiagnosticReport-close", [_reference(report)])

    def tell(self, name: str, context: list[Element], version: str = "") -> int:
        """Ask the hub for an event, as any subscriber may; how the subscriber answers to it."""
        event = {"hub.topic": TOPIC, "hub.event": name, "context": context}
        notification = _notification(event | ({"context.versionId": version} if version else {}))
        verify = transport.calling(Files(self._tls.authorities)) if self._tls else True
        answer = httpx2.post(self.url, json=notification, headers=self._headers(), verify=verify)
        return self.answer(notification["id"]) if answer.is_success else answer.status_code

    def say(self, message: str | Element) -> None:
        """Send this to every subscriber, whatever it is."""
        text = message if isinstance(message, str) else json.dumps(message)
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._send_all, text)

    def answer(self, id: str, seconds: float = 20.0) -> int:
        """How the subscriber has answered to an event; 0 where it has not in time."""
        self.wait_for(lambda: id in self._answers, seconds)
        return self._answers.get(id, 0)

    def wait_for(self, so: Callable[[], bool], seconds: float = 20.0) -> bool:
        """Whether that came to be so in time; `so` is asked whenever anything has happened here."""
        with self._changed:
            return self._changed.wait_for(so, seconds)

    @property
    def joined(self) -> bool:
        """Whether somebody follows the session just now."""
        return any(subscriber.joined for subscriber in self._subscribers.values())

    # ── on the network ──

    @contextmanager
    def away(self) -> Iterator[None]:
        """Within the block nobody listens there; what is open stays open, and nobody is subscribed any more."""
        with super().away():
            with self._changed:
                self._subscribers.clear()
            yield

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._token}"} if self._token else {}

    def _application(self) -> FastAPI:
        application = FastAPI(openapi_url=None)

        @application.post("/hub")
        async def asked(request: Request) -> Response:
            self._loop = asyncio.get_running_loop()
            if not self._lets_in(request):
                return Response(status_code=401)
            if request.headers["Content-Type"].startswith("application/json"):
                return self._take(await request.json())
            return self._subscribe({key: str(value) for key, value in (await request.form()).items()})

        @application.get("/hub/{topic}")
        async def current(topic: str) -> Response:
            return self._current() if self.tells_context and topic == TOPIC else Response(status_code=404)

        @application.websocket("/channel/{id}")
        async def channel(socket: WebSocket, id: str) -> None:
            if subscriber := self._subscribers.get(id):
                await self._follow(socket, subscriber)

        return application

    def _subscribe(self, form: dict[str, str]) -> Response:
        if (form.get("hub.channel.type"), form.get("hub.topic")) != ("websocket", TOPIC):
            return Response("hub.channel.type or hub.topic", 400)
        named = form.get("hub.channel.endpoint", "").rpartition("/")[2]
        id = named or secrets.token_urlsafe(16)
        with self._changed:
            if form["hub.mode"] == "unsubscribe":
                self._subscribers.pop(named, None)
                return Response(status_code=202)
            self._subscribers.setdefault(id, _Subscriber([])).events = form["hub.events"].lower().split(",")
            self.subscriptions += 1
            self._changed.notify_all()
        endpoint = f"{'wss' if self._tls else 'ws'}://{self._host}:{self.port}/channel/{id}"
        return Response(json.dumps({"hub.channel.endpoint": endpoint}), 202, media_type="application/json")

    async def _follow(self, socket: WebSocket, subscriber: _Subscriber) -> None:
        await socket.accept()
        standing = {"hub.mode": "subscribe", "hub.topic": TOPIC, "hub.events": ",".join(subscriber.events)}
        await socket.send_json({**standing, "hub.lease_seconds": self.lease_seconds})
        self._note(subscriber, joined=True)
        sending = asyncio.create_task(_send(socket, subscriber.queue))
        try:
            while True:
                answer = await socket.receive_json()
                with self._changed:
                    self._answers[answer["id"]] = int(answer["status"])
                    self._changed.notify_all()
        except WebSocketDisconnect:
            self._note(subscriber, joined=False)
        finally:
            sending.cancel()

    def _note(self, subscriber: _Subscriber, *, joined: bool) -> None:
        with self._changed:
            subscriber.joined = joined
            self._changed.notify_all()

    def _take(self, notification: Element) -> Response:
        event = notification["event"]
        name = event["hub.event"].lower()
        with self._changed:
            if name == "diagnosticreport-update":
                if event.get("context.versionId") != self.version:
                    self.refusals += 1
                    return Response("context.versionId", 409)
                self._update(next(each["resource"] for each in event["context"] if each["key"] == "updates"))
                event |= {"context.priorVersionId": self.version}
            elif name == "diagnosticreport-open":
                self._context, self.content = event["context"], {}
            elif name == "diagnosticreport-close":
                self._context, self.content = [], {}
            elif name == "syncerror":
                self.sync_errors.append(event["context"][0]["resource"])
            if name in ("diagnosticreport-update", "diagnosticreport-open"):
                self.version = uuid.uuid4().hex
                event["context.versionId"] = self.version
            self._changed.notify_all()
        self._send_all(json.dumps(notification), name)
        return Response(status_code=202)

    def _update(self, bundle: Element) -> None:
        for entry in bundle["entry"]:
            if entry["request"]["method"] == "DELETE":
                self.content.pop(entry["fullUrl"], None)
            else:
                resource = entry["resource"]
                self.content[f"{resource['resourceType']}/{resource['id']}"] = resource

    def _current(self) -> Response:
        content = {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": r} for r in self.content.values()],
        }
        context = [*self._context, {"key": "content", "resource": content}] if self._context else []
        told = {"context.type": "DiagnosticReport" if self._context else "", "context.versionId": self.version}
        return Response(json.dumps({**told, "context": context}), media_type="application/json")

    def _send_all(self, text: str, name: str = "") -> None:
        for subscriber in self._subscribers.values():
            if not name or name in subscriber.events:
                subscriber.queue.put_nowait(text)


async def _send(socket: WebSocket, queue: asyncio.Queue[str]) -> None:
    while True:
        await socket.send_text(await queue.get())


def _report(report: str) -> Element:
    return {"resourceType": "DiagnosticReport", "id": report, "code": {"text": "Radiology report"}}


def _reference(report: str) -> Element:
    return {"key": "report", "reference": {"reference": f"DiagnosticReport/{report}"}}


def _notification(event: Element) -> Element:
    return {"timestamp": datetime.now(UTC).isoformat(), "id": str(uuid.uuid4()), "event": event}


def observation(id: str, text: str, code: str = "59776-5", **changed: Any) -> Element:
    """A text under a LOINC code, as a reporting client puts it."""
    coding = {"system": "http://loinc.org", "code": code}
    made = {"resourceType": "Observation", "id": id, "status": "preliminary", "code": {"coding": [coding]}}
    return {**made, "valueString": text, **changed}
