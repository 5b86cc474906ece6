"""radplug as a program sees it: its REST interface, with a token."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

TIMEOUT = 30.0  # seconds


class NotAnswered(Exception):
    """The answer is not one of success; the text has its status and what it said."""


@dataclass(frozen=True, slots=True)
class Api:
    """`address` is the worklist's, without /api/v1; `token` one with the scopes that the kit names."""

    address: str
    token: str

    def get(self, path: str) -> Any:
        """Raises NotAnswered."""
        return _read(self.content(path))

    def content(self, path: str) -> bytes:
        """What is no JSON. Raises NotAnswered."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: object) -> Any:
        """Raises NotAnswered."""
        return _read(self._ask("POST", path, body))

    def case(self, accession: str) -> dict[str, Any] | None:
        """The case with this accession number; None before its study has come."""
        try:
            found: dict[str, Any] = self.get(f"/cases/{quote(accession, safe='')}")
        except NotAnswered as answer:
            if answer.args[0].startswith("404"):
                return None
            raise
        return found

    def _ask(self, method: str, path: str, body: object) -> bytes:
        parts = urlsplit(self.address)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.netloc, timeout=TIMEOUT)
        try:
            headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
            connection.request(method, f"/api/v1{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise NotAnswered(f"{answer.status} to {method} {path}: {content[:200].decode('utf-8', 'replace')}")
        return content


def _read(content: bytes) -> Any:
    return json.loads(content) if content else None
