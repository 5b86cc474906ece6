"""DICOM over TLS: who is let in, and who is not."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from socket import create_connection

from dicom_io.certificates import Files
from dicom_io.errors import DicomError
from dicom_io.sending import Peer, echo
from radplug.acceptance.check import Check
from radplug.acceptance.expecting import Failed, NotApplicable, expect, needed
from radplug.acceptance.ward import SecureDoor, Ward

GROUP = "TLS"
NO_DOOR = "radplug is said to have no port with TLS: name [tls] in the target, if [listener.tls] is set there"
NO_SIGNING = "nothing can be signed here in the name of the authority that radplug knows"
NO_BRANCH = "the kit has no PACS with TLS among this radplug's destinations"
SECONDS = 10.0


def _door(ward: Ward) -> SecureDoor:
    return needed(ward.door, NO_DOOR)


def _behind(ward: Ward, show: tuple[Files, bool]) -> Peer:
    """radplug by TLS, shown the certificate of these files, or none."""
    door, (files, shown) = _door(ward), show
    context = ssl.create_default_context(cafile=files.authorities)
    if shown and files.own:
        context.load_cert_chain(*files.own)
    return replace(ward.radplug, port=door.port, tls=context, server_name=door.server_name)


def _ours(door: SecureDoor) -> tuple[Files, bool]:
    return door.ours, True


def _none(door: SecureDoor) -> tuple[Files, bool]:
    return door.ours, False


def _strangers(door: SecureDoor) -> tuple[Files, bool]:
    return door.strangers, True


def _expired(door: SecureDoor) -> tuple[Files, bool]:
    return needed(door.expired, NO_SIGNING), True


def _echo(ward: Ward) -> str:
    peer = _behind(ward, _ours(_door(ward)))
    echo(peer, calling_ae=ward.calling_ae, timeout=SECONDS)
    return f"{peer} answered 0x0000"


def _refused(ward: Ward, show: Callable[[SecureDoor], tuple[Files, bool]]) -> str:
    shown = show(_door(ward))
    _echo(ward)  # it does let in whom it should
    return _not_let_in(ward, _behind(ward, shown))


def _plain(ward: Ward) -> str:
    _echo(ward)
    return _not_let_in(ward, replace(ward.radplug, port=_door(ward).port))


def _not_let_in(ward: Ward, peer: Peer) -> str:
    try:
        echo(peer, calling_ae=ward.calling_ae, timeout=SECONDS)
    except DicomError as error:
        return str(error)
    raise Failed("it was let in")


def _old(ward: Ward) -> str:
    door = _door(ward)
    context = ssl.create_default_context(cafile=door.ours.authorities)
    if door.ours.own:
        context.load_cert_chain(*door.ours.own)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    host = ward.radplug.host
    try:
        with (
            create_connection((host, door.port), SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=door.server_name or host),
        ):
            raise Failed("it was let in")
    except ssl.SSLError as error:
        if error.reason == "NO_PROTOCOLS_AVAILABLE":
            raise NotApplicable("this machine's OpenSSL has no TLS 1.1 any more") from None
        return f"refused: {(error.reason or 'no reason given').replace('_', ' ').lower()}"


def _study(ward: Ward) -> str:
    peer, study = _behind(ward, _ours(_door(ward))), ward.study()
    expect(not any(ward.send(study.files, peer)), "the study was refused")
    ward.came_back(study)
    return "taken by TLS, drafted and delivered"


def _draft(ward: Ward) -> str:
    branch, study = needed(ward.encrypted, NO_BRANCH), ward.study()
    expect(not any(ward.send(study.files, branch.radplug)), "the study was refused")
    ward.settled(study.order.accession_number)
    expect(len(ward.srs(study, branch.pacs)) == 1, f"{len(ward.srs(study, branch.pacs))} SRs came")
    return "the SR came by TLS"


CHECKS = (
    Check("tls-echo", GROUP, "C-ECHO with the right certificate", "0x0000", _echo),
    Check("tls-study", GROUP, "a study by TLS", "drafted and delivered", _study),
    Check("tls-draft", GROUP, "a draft for a PACS with TLS", "the SR comes", _draft),
    Check("tls-none", GROUP, "C-ECHO without a certificate", "not let in", partial(_refused, show=_none)),
    Check(
        "tls-stranger",
        GROUP,
        "C-ECHO with a certificate of an unknown authority",
        "not let in",
        partial(_refused, show=_strangers),
    ),
    Check("tls-expired", GROUP, "C-ECHO with an expired certificate", "not let in", partial(_refused, show=_expired)),
    Check("tls-old", GROUP, "TLS 1.1", "refused", _old),
    Check("tls-plain", GROUP, "C-ECHO without TLS at the port with TLS", "not let in", _plain),
)
