"""A server of workitems (UPS-RS) and of the studies that they are about (WADO-RS), as sites have one."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

from pydicom import Dataset, dcmread

from dicom_io.dicomweb.workitems import MEDIA_TYPE
from radplug.acceptance.held_workitems import Asked, HeldWorkitems, Said

BOUNDARY = "simulated-ups"
STATUSES = {Said.DONE: 200, Said.NO_SUCH_WORKITEM: 404}  # all others are a conflict


class SimulatedUps(HeldWorkitems):
    """Listens on this machine while the block runs; `token` is the bearer's that it wants, empty: none."""

    def __init__(self, token: str = "", port: int = 0) -> None:
        super().__init__()
        self.token = token
        self.asked: list[str] = []  # each request's method and address
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}/ups"

    def answer(self, method: str, address: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, media type and body."""
        parts = urlsplit(address)
        path = parts.path.removeprefix("/ups").strip("/").split("/")
        keys = dict(parse_qsl(parts.query))
        self.asked.append(f"{method} {address}")
        match method, path:
            case "GET", ["workitems"]:
                return self._found(keys)
            case "GET", ["workitems", uid] if told := self.told(uid):
                return 200, MEDIA_TYPE, told.to_json().encode()
            case "POST", ["workitems", uid]:
                said = self.update(uid, keys.get("transaction-uid", ""), _data_set(body))
                return STATUSES.get(said, 409), "", b""
            case "PUT", ["workitems", uid, "state"]:
                wanted = _data_set(body)
                said = self.change(uid, str(wanted.TransactionUID), str(wanted.ProcedureStepState))
                return STATUSES.get(said, 409), "", b""
            case "GET", ["studies", *uids]:
                return self._instances(uids)
        return 404, "", b""

    def _found(self, keys: dict[str, str]) -> tuple[int, str, bytes]:
        limit = int(keys.pop("limit", "100"))
        matching = self.matching(lambda told: all(_has(told, *key) for key in keys.items()))
        if not matching:
            return 204, "", b""
        return 200, MEDIA_TYPE, json.dumps([told.to_json_dict() for told in matching[:limit]]).encode()

    def _instances(self, uids: Sequence[str]) -> tuple[int, str, bytes]:
        study_uid, series_uid = uids[0], uids[2] if len(uids) > 2 else ""
        body = b""
        for file in dict.fromkeys(self.files):
            image = dcmread(file, stop_before_pixels=True)
            if image.StudyInstanceUID == study_uid and series_uid in ("", image.SeriesInstanceUID):
                body += f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
                body += file.read_bytes() + b"\r\n"
        if not body:
            return 404, "", b""
        media_type = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
        return 200, media_type, body + f"--{BOUNDARY}--".encode()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(ups: SimulatedUps) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if ups.token and self.headers.get("Authorization") != f"Bearer {ups.token}":
                status, media_type, sent = 401, "", b""
            else:
                status, media_type, sent = ups.answer(self.command, self.path, body)
            if ups.is_lost(_asked(self.command, self.path)):
                self.close_connection = True
                return
            self.send_response(status)
            if media_type:
                self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_GET = do_POST = do_PUT = _answer  # noqa: N815  as http.server calls them

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def _asked(method: str, address: str) -> Asked | None:
    path = urlsplit(address).path
    if "/workitems" not in path:
        return None
    search = Asked.SEARCH if path.endswith("/workitems") else Asked.RETRIEVE
    return {"GET": search, "PUT": Asked.CHANGE, "POST": Asked.UPDATE}.get(method)


def _has(told: Dataset, key: str, value: str) -> bool:
    """Whether an attribute, or one in a sequence's items, has the value."""
    tag, _, rest = key.partition(".")
    if int(tag, 16) not in told:
        return False
    found = told[int(tag, 16)].value
    return any(_has(item, rest, value) for item in found) if rest else str(found) == value


def _data_set(body: bytes) -> Dataset:
    return Dataset.from_json(body.decode("utf-8"))
