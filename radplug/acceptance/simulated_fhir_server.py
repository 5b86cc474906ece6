"""A FHIR R4 server as radplug meets it: searches by identifier, conditional create, updates under If-Match."""

from __future__ import annotations

import json
import uuid
from typing import Any
from urllib.parse import parse_qs

from fastapi import FastAPI, Request, Response
from fhir.resources.R4B.diagnosticreport import DiagnosticReport

from dicom_io.certificates import Files
from radplug.acceptance.serving import HOST, SimulatedServer
from radplug.fhir.errors import Malformed
from radplug.fhir.validated import validated

JSON = "application/fhir+json"


class SimulatedFhirServer(SimulatedServer):
    """Keeps every version of each DiagnosticReport, oldest first."""

    def __init__(self, token: str = "", port: int = 0, host: str = HOST, tls: Files | None = None) -> None:
        super().__init__(token, port, host, tls)
        self.reports: dict[str, list[dict[str, Any]]] = {}
        self.asked: list[str] = []  # methods of what came, in order
        self.refusing = 0  # with which status everything is answered; 0: as is right
        self.careless = False  # it answers a search with everything that it has

    @property
    def url(self) -> str:
        return f"{self.address}/r4"

    def of_study(self, study_uid: str) -> list[dict[str, Any]]:
        """Every version of the report on a study, oldest first."""
        return next((versions for versions in self.reports.values() if _has(versions[-1], study_uid)), [])

    def _application(self) -> FastAPI:
        application = FastAPI(openapi_url=None)

        @application.middleware("http")
        async def at_the_door(request: Request, go_on: Any) -> Response:
            self.asked.append(request.method)
            if self.refusing:
                return _outcome(self.refusing, "processing")
            if not self._lets_in(request):
                return _outcome(401, "login")
            answer: Response = await go_on(request)
            return answer

        @application.get("/r4/metadata")
        async def capabilities() -> Response:
            return _answer(200, {"resourceType": "CapabilityStatement", "fhirVersion": "4.0.1"})

        @application.get("/r4/DiagnosticReport")
        async def search(identifier: str) -> Response:
            newest = (versions[-1] for versions in self.reports.values())
            found = [{"resource": report} for report in newest if self.careless or _has(report, identifier)]
            bundle = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
            return _answer(200, bundle | ({"entry": found} if found else {}))

        @application.post("/r4/DiagnosticReport")
        async def create(request: Request) -> Response:
            (identifier,) = parse_qs(request.headers.get("If-None-Exist", "")).get("identifier", [""])
            known = [id for id, versions in self.reports.items() if identifier and _has(versions[-1], identifier)]
            return _answer(200, self.reports[known[0]][-1]) if known else await self._keep(request, uuid.uuid4().hex)

        @application.put("/r4/DiagnosticReport/{id}")
        async def update(request: Request, id: str) -> Response:
            seen = request.headers.get("If-Match")
            if seen and seen != f'W/"{len(self.reports.get(id, []))}"':
                return _outcome(412, "conflict")
            return await self._keep(request, id)

        return application

    async def _keep(self, request: Request, id: str) -> Response:
        body = await request.body()
        try:
            validated(DiagnosticReport, body)
        except Malformed:
            return _outcome(400, "structure")
        versions = self.reports.setdefault(id, [])
        number = len(versions) + 1
        made = json.loads(body)
        versions.append({**made, "id": id, "meta": {**made.get("meta", {}), "versionId": str(number)}})
        return Response(status_code=200 if number > 1 else 201, headers={"ETag": f'W/"{number}"'})


def _has(report: dict[str, Any], identifier: str) -> bool:
    """Whether that is one of its identifiers: `system|value`, or the value alone."""
    named = report.get("identifier", [])
    return any(identifier in (f"{each['system']}|{each['value']}", each["value"]) for each in named)


def _answer(status: int, resource: dict[str, Any]) -> Response:
    return Response(json.dumps(resource), status, media_type=JSON)


def _outcome(status: int, code: str) -> Response:
    issue = {"severity": "error", "code": code, "expression": ["DiagnosticReport"]}
    return _answer(status, {"resourceType": "OperationOutcome", "issue": [issue]})
