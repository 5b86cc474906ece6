"""Studies by STOW-RS instead of C-STORE, and drafts likewise."""

from __future__ import annotations

from collections.abc import Sequence

import requests

from radplug.acceptance.check import Check
from radplug.acceptance.expecting import expect, needed
from radplug.acceptance.returned import ReturnedSr
from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.acceptance.ward import Ward

GROUP = "DICOMweb"
BOUNDARY = "acceptance"
TIMEOUT = 60.0  # seconds
NO_ARCHIVE = "the target names no archive_port, where the kit's archive would be"


def _stow(ward: Ward, parts: Sequence[bytes], study_uid: str = "", token: str | None = None) -> requests.Response:
    head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{BOUNDARY}--".encode()
    address = "/".join(filter(None, (f"{ward.api.address}/dicom-web/studies", study_uid)))
    headers = {"Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'}
    headers["Authorization"] = f"Bearer {ward.api.token if token is None else token}"
    return requests.post(address, body, headers=headers, timeout=TIMEOUT)


def _files(study: SyntheticStudy) -> list[bytes]:
    return [file.read_bytes() for file in study.files]


def _in(ward: Ward) -> str:
    study = ward.study(views=2)
    answer = _stow(ward, _files(study), study.study_uid)
    expect(answer.status_code == 200, f"answered {answer.status_code} {answer.text[:100]}")
    case = ward.settled(study.order.accession_number)
    expect((case["instances"], case["state"]) == (2, "delivered"), f"{case['instances']} instances, {case['state']}")
    again = _stow(ward, _files(study))
    expect(again.status_code == 200, f"the second time answered {again.status_code}")
    case = ward.settled(study.order.accession_number)
    expect(
        (case["instances"], case["version"]) == (2, 1), f"then {case['instances']} instances, draft {case['version']}"
    )
    return f"answered 200 both times; {case['instances']} instances, draft {case['version']}, {case['state']}"


def _damaged(ward: Ward) -> str:
    study = ward.study()
    some = _stow(ward, [*_files(study), b"no DICOM"])
    none = _stow(ward, [b"no DICOM"])
    other = _stow(ward, _files(ward.study()), study.study_uid)
    seen = f"answered {some.status_code}, {none.status_code}, {other.status_code}"
    expect((some.status_code, none.status_code, other.status_code) == (202, 409, 409), seen)
    return seen


def _stranger(ward: Ward) -> str:
    study = ward.study()
    answer = _stow(ward, _files(study), token="none")
    expect(answer.status_code == 401, f"answered {answer.status_code}")
    expect(ward.api.case(study.order.accession_number) is None, "and yet there is a case")
    return "answered 401, and there is no case"


def _out(ward: Ward) -> str:
    archive, study = needed(ward.archive, NO_ARCHIVE), ward.study()
    with archive.busy():
        ward.send(study.files)
        ward.with_delivery(study, lambda one: one["state"] == "waiting" and one["attempts"] > 0, "a first attempt")
    ward.settled(study.order.accession_number)
    (sr,) = ward.srs(study)
    came = [one for one in map(ReturnedSr.read, archive.received) if one.study_uid == study.study_uid]
    expect([one.sop_instance_uid for one in came] == [sr.sop_instance_uid], f"{len(came)} objects came")
    return "the PACS's SR came to the archive as well, once it answered 200 again"


CHECKS = (
    Check("stow", GROUP, "a study by STOW-RS, twice", "200; drafted once, as by C-STORE", _in),
    Check("stow-damaged", GROUP, "a damaged part, nothing else, and another study's", "202, 409 and 409", _damaged),
    Check("stow-stranger", GROUP, "a study by STOW-RS without a token of radplug's", "401, and no case", _stranger),
    Check("stow-out", GROUP, "a DICOMweb archive that is too busy at first", "the same SR, once", _out),
)
