"""A web server on loopback that answers everybody alike, and remembers what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

DICOM_JSON = {"Content-Type": "application/dicom+json"}


class Asked(NamedTuple):
    method: str
    path: str
    headers: Mapping[str, str]  # by their names in small letters
    body: bytes


@dataclass
class WebServer:
    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: DICOM_JSON)
    asked: list[Asked] = field(default_factory=list)

    @contextmanager
    def running(self) -> Iterator[str]:
        """Gives its address."""
        with ThreadingHTTPServer(("127.0.0.1", 0), _handler(self)) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            try:
                yield f"http://127.0.0.1:{server.server_port}"
            finally:
                server.shutdown()
                thread.join()


def _handler(server: WebServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            server.asked.append(Asked(self.command, self.path, headers, body))
            self.send_response(server.status)
            for name, value in {**server.headers, "Content-Length": str(len(server.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(server.body)

        do_GET = do_POST = do_PUT = answer  # noqa: N815  as http.server calls them

        def log_message(self, *_: object) -> None:
            pass

    return Handler
