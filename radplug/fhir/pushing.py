"""A draft to a FHIR server by REST: made there once, brought up to date by later versions, over nothing else.

The server is asked first what it has under the report's identifier. What nobody but us has touched is put in its place,
under the version that was seen (If-Match); a report that somebody has made more than a draft is left alone. A resend
finds itself there and changes nothing.
"""

from __future__ import annotations

import json
import re
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx2
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.diagnosticreport import DiagnosticReport
from fhir.resources.R4B.operationoutcome import OperationOutcome

from radplug.fhir.errors import Malformed, Refused, Unavailable
from radplug.fhir.resources import STATUS
from radplug.fhir.validated import validated

JSON = "application/fhir+json"
# Somebody was faster, we may not (yet), or there is too much to do: it may be otherwise the next time.
LATER: Final = frozenset({401, 403, 408, 409, 412, 423, 425, 429})


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and what it is shown."""

    url: str  # its base
    authorization: str  # empty: none
    tls: ssl.SSLContext
    timeout: float  # seconds


def push(server: Server, document: bytes) -> str:
    """Put a DiagnosticReport there that `checks` finds nothing wrong with; what became of it, in words.

    Raises:
        Refused: the server will not take it, or has something under its identifier that is not ours to change.
        Unavailable: it may take it later.
    """
    report = validated(DiagnosticReport, document)
    identifier = (report.identifier or [])[0]
    token = f"{identifier.system}|{identifier.value}"
    with _client(server) as client:
        found = _found(_asked(client, "GET", "DiagnosticReport", params={"identifier": token}), identifier)
        if found is None:
            made = _asked(
                client,
                "POST",
                "DiagnosticReport",
                content=document,
                headers={"If-None-Exist": urlencode({"identifier": token})},
            )
            if made.status_code == httpx2.codes.OK:  # it was made in the meantime, and this one was not taken
                raise Unavailable("the server has had the report since a moment ago; it is looked at again")
            return f"created{_version(made)}"
        if found.status != STATUS:
            raise Refused(f"the server's report is {_word(found.status)} by now, which no draft may take the place of")
        if found.issued == report.issued:
            return "the server has this version already"
        if found.issued and found.issued > report.issued:
            raise Refused("the server has a later version of this draft")
        seen = found.meta.versionId if found.meta else None
        put = _asked(
            client,
            "PUT",
            f"DiagnosticReport/{quote(found.id, safe='')}",
            content=json.dumps({**json.loads(document), "id": found.id}),
            headers={"If-Match": f'W/"{seen}"'} if seen else {},
        )
        return f"updated{_version(put)}"


def _client(server: Server) -> httpx2.Client:
    headers = {"Accept": JSON, "Content-Type": f"{JSON}; charset=utf-8", "Prefer": "return=minimal, handling=strict"}
    if server.authorization:
        headers["Authorization"] = server.authorization
    return httpx2.Client(
        base_url=server.url.rstrip("/") + "/", headers=headers, verify=server.tls, timeout=server.timeout
    )


def _found(answer: httpx2.Response, identifier: Any) -> Any:
    """The server's report with our identifier; a server may answer with others, which are none of our business."""
    try:
        bundle = validated(Bundle, answer.content)
    except Malformed as error:
        raise Refused(f"what the server answers to a search {error}") from error
    reports = [
        entry.resource
        for entry in bundle.entry or []
        if isinstance(entry.resource, DiagnosticReport)
        and any((i.system, i.value) == (identifier.system, identifier.value) for i in entry.resource.identifier or [])
    ]
    if len(reports) > 1:
        raise Refused(f"the server has {len(reports)} reports under one identifier; leave one there, then resend")
    if reports and not reports[0].id:
        raise Refused("the server's report has no id, so it cannot be brought up to date")
    return reports[0] if reports else None


def _asked(client: httpx2.Client, method: str, path: str, **given: Any) -> httpx2.Response:
    try:
        answer = client.request(method, path, **given)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise Unavailable(f"{method} {path}: {type(error).__name__}") from error
    if answer.is_success:
        return answer
    text = f"{method} {path.partition('/')[0]}: {answer.status_code}{_why(answer)}"
    raise Unavailable(text) if answer.is_server_error or answer.status_code in LATER else Refused(text)


def _why(answer: httpx2.Response) -> str:
    """Kinds and places of the server's issues; their texts may quote the patient."""
    try:
        issues = validated(OperationOutcome, answer.content).issue
    except Malformed:
        return ""
    told = [
        " at ".join(_word(word) for word in (issue.code, *(issue.expression or [])[:1]) if word) for issue in issues
    ]
    return f" ({', '.join(dict.fromkeys(told[:5]))})"


def _word(code: str) -> str:
    return code if re.fullmatch(r"[\w.\[\]-]{0,80}", code) else "?"


def _version(answer: httpx2.Response) -> str:
    """Which version the server calls it (meta.versionId), where it tells."""
    told = re.fullmatch(r'(?:W/)?"([A-Za-z0-9.-]{1,64})"', answer.headers.get("ETag", ""))
    return f", the server's version {told[1]}" if told else ""
