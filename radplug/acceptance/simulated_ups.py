"""A server of workitems (UPS-RS) and of the studies that they are about (WADO-RS), as sites have one."""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence as Items

from dicom_io.dicomweb.workitems import MEDIA_TYPE, Code, Step
from dicom_io.uids import mint_uid

BOUNDARY = "simulated-ups"


@dataclass
class Held:
    """A workitem as the server holds it; its transaction is told to nobody (PS3.4 CC.2.1.3)."""

    told: Dataset
    transaction_uid: str = ""
    states: list[str] = field(default_factory=lambda: [Step.SCHEDULED.value])

    @property
    def state(self) -> str:
        return self.states[-1]


class SimulatedUps:
    """Listens on this machine while the block runs; `token` is the bearer's that it wants, empty: none.

    What `loses` names, as "PUT", is done, and its answer never sent, once for each time that it stands there.
    """

    def __init__(self, token: str = "", port: int = 0) -> None:
        self.token, self.loses = token, list[str]()
        self.asked: list[str] = []  # each request's method and address
        self._held: dict[str, Held] = {}
        self._files: list[Path] = []
        self._one = threading.RLock()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _handler(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}/ups"

    def schedule(self, files: Sequence[Path], station: Code, code: Code, **elements: Any) -> str:
        """A new workitem about the study in these files, which are at hand from now on; its UID."""
        image, uid = dcmread(files[0], stop_before_pixels=True), mint_uid()
        told = Dataset()
        told.SOPInstanceUID, told.ProcedureStepState, told.InputReadinessState = uid, Step.SCHEDULED.value, "READY"
        told.PatientID, told.PatientName = image.PatientID, image.PatientName
        told.ScheduledStationNameCodeSequence = Items([_code(station)])
        told.ScheduledWorkitemCodeSequence = Items([_code(code)])
        told.InputInformationSequence = Items([_input(image)])
        for keyword, value in elements.items():
            setattr(told, keyword, value)
        with self._one:
            self._held[uid] = Held(told)
            self._files += files
        return uid

    def held(self, uid: str) -> Held:
        with self._one:
            return self._held[uid]

    def answer(self, method: str, address: str, body: bytes) -> tuple[int, str, bytes]:
        """Status, media type and body."""
        parts = urlsplit(address)
        path = parts.path.removeprefix("/ups").strip("/").split("/")
        keys = dict(parse_qsl(parts.query))
        with self._one:
            self.asked.append(f"{method} {address}")
            match method, path:
                case "GET", ["workitems"]:
                    return self._found(keys)
                case "GET", ["workitems", uid] if uid in self._held:
                    return 200, MEDIA_TYPE, self._held[uid].told.to_json().encode()
                case "POST", ["workitems", uid] if uid in self._held:
                    return self._update(self._held[uid], keys.get("transaction-uid", ""), _data_set(body)), "", b""
                case "PUT", ["workitems", uid, "state"] if uid in self._held:
                    return self._change(self._held[uid], _data_set(body)), "", b""
                case "GET", ["studies", *uids]:
                    return self._instances(uids)
        return 404, "", b""

    def _found(self, keys: dict[str, str]) -> tuple[int, str, bytes]:
        limit = int(keys.pop("limit", "100"))
        matching = [held.told for held in self._held.values() if all(_has(held.told, *key) for key in keys.items())]
        if not matching:
            return 204, "", b""
        return 200, MEDIA_TYPE, json.dumps([told.to_json_dict() for told in matching[:limit]]).encode()

    def _update(self, held: Held, transaction_uid: str, changes: Dataset) -> int:
        if held.state != Step.IN_PROGRESS or transaction_uid != held.transaction_uid:
            return 409
        changes.pop("TransactionUID", None)
        held.told.update(changes)
        return 200

    def _change(self, held: Held, wanted: Dataset) -> int:
        """PS3.4 table CC.1.1-2; an end is refused before what it must tell has been told."""
        to, transaction_uid = str(wanted.ProcedureStepState), str(wanted.TransactionUID)
        if to == Step.IN_PROGRESS:
            if held.state != Step.SCHEDULED:
                return 409
            held.transaction_uid = transaction_uid
        else:
            untold = to == Step.COMPLETED and "UnifiedProcedureStepPerformedProcedureSequence" not in held.told
            if untold or held.state != Step.IN_PROGRESS or transaction_uid != held.transaction_uid:
                return 409
        held.states.append(to)
        held.told.ProcedureStepState = to
        return 200

    def _instances(self, uids: Sequence[str]) -> tuple[int, str, bytes]:
        study_uid, series_uid = uids[0], uids[2] if len(uids) > 2 else ""
        body = b""
        for file in dict.fromkeys(self._files):
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
            if self.command in ups.loses:
                ups.loses.remove(self.command)
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


def _has(told: Dataset, key: str, value: str) -> bool:
    """Whether an attribute, or one in a sequence's items, has the value."""
    tag, _, rest = key.partition(".")
    if int(tag, 16) not in told:
        return False
    found = told[int(tag, 16)].value
    return any(_has(item, rest, value) for item in found) if rest else str(found) == value


def _data_set(body: bytes) -> Dataset:
    return Dataset.from_json(body.decode("utf-8"))


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code.value, code.scheme, code.meaning
    return item


def _input(image: Dataset) -> Dataset:
    item, place = Dataset(), Dataset()
    item.TypeOfInstances, item.StudyInstanceUID, item.SeriesInstanceUID = (
        "DICOM",
        image.StudyInstanceUID,
        image.SeriesInstanceUID,
    )
    place.RetrieveURL = "http://elsewhere.example/studies"  # which is not followed
    item.WADORSRetrievalSequence = Items([place])
    item.ReferencedSOPSequence = Items()
    return item
