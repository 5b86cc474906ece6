"""TLS as the BCP 195 RFC 8996, 9325 profile wants it (PS3.15 B.12), and in plain words why a handshake failed."""

from __future__ import annotations

import logging
import ssl
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from dicom_io.certificates import Files
from dicom_io.errors import UnusableCertificate

logger = logging.getLogger(__name__)

# Of TLS 1.2 (RFC 9325 4.2); those of 1.3 are all fit. At level 2 no RSA key is shorter than 2048 bits, nothing SHA-1.
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:@SECLEVEL=2"

Contexts: TypeAlias = Callable[[], ssl.SSLContext]  # the one to be used for the next connection


def accepting(files: Files, *, wants_certificate: bool = True) -> ssl.SSLContext:
    """For those who call us. Without `wants_certificate` they may show none; one that is shown is checked all the same.

    Raises:
        UnusableCertificate: a file cannot be used.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, files)
    context.verify_mode = ssl.CERT_REQUIRED if wants_certificate else ssl.CERT_OPTIONAL
    return context


def calling(files: Files) -> ssl.SSLContext:
    """For those whom we call; their certificate must be for the name by which we call them.

    Raises:
        UnusableCertificate: a file cannot be used.
    """
    return _context(ssl.PROTOCOL_TLS_CLIENT, files)


def _context(protocol: int, files: Files) -> ssl.SSLContext:
    files.check(datetime.now(UTC))
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(_CIPHERS)
    try:
        context.load_verify_locations(files.authorities)
        if files.own:
            context.load_cert_chain(*files.own)
    except ssl.SSLError as error:
        text = f"{', '.join(map(str, files))} cannot be used: {_in_words(error)}; wanted are RSA of 2048 bits or more, "
        raise UnusableCertificate(f"{text}or ECDSA, signed with SHA-256 or better") from None
    return context


class Renewed:
    """The context of files as they are now; while changed ones cannot be used, as they were before.

    Raises UnusableCertificate, when it is called, as long as they never could be.
    """

    def __init__(self, files: Files, make: Callable[[Files], ssl.SSLContext]) -> None:
        self._files = files
        self._make = make
        self._lock = threading.Lock()
        self._seen: list[_State] | None = None
        self._context: ssl.SSLContext | None = None

    def __call__(self) -> ssl.SSLContext:
        with self._lock:
            seen = [_state(file) for file in self._files]
            if self._context is None or seen != self._seen:
                self._context = self._made(self._context)
                self._seen = seen
            return self._context

    def _made(self, before: ssl.SSLContext | None) -> ssl.SSLContext:
        try:
            context = self._make(self._files)
        except UnusableCertificate as error:
            if before is None:
                raise
            logger.error("TLS goes on with the certificates from before the last change: %s", error)
            return before
        if before:
            logger.info("TLS uses the changed certificates from now on: %s", ", ".join(map(str, self._files)))
        return context


_State: TypeAlias = tuple[int, int, int] | None


def _state(file: Path) -> _State:
    """What differs once a file is another; None for none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def explained(error: OSError) -> str:
    """Why a peer and we could not agree, and what to do about it."""
    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
        return _HUNG_UP
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(error.verify_code, f"its certificate was not taken: {error.verify_message}")
    return _REASON.get(error.reason or "", _in_words(error))


def _in_words(error: ssl.SSLError) -> str:
    return (error.reason or "no reason given").replace("_", " ").lower()


_UNKNOWN_AUTHORITY: Final = "its certificate is signed by nobody in our `ca` file; add the right authority there"
_OTHER_HOST: Final = "its certificate is for another host; correct `host`, or set `server_name` as it stands there"

# X509_V_ERR_… of OpenSSL's x509_vfy.h
_CERTIFICATE: Final[Mapping[int, str]] = {
    9: "its certificate is not valid yet; check its clock and ours",
    10: "its certificate, or an authority's, has expired; have it renewed",
    18: _UNKNOWN_AUTHORITY,
    19: _UNKNOWN_AUTHORITY,
    20: _UNKNOWN_AUTHORITY,
    21: _UNKNOWN_AUTHORITY,
    26: "its certificate was made for another purpose; wanted is clientAuth of who calls, serverAuth of who is called",
    62: _OTHER_HOST,
    64: _OTHER_HOST,
}

_NO_TLS: Final = "it does not speak TLS here; let it, or use the port without"
_HUNG_UP: Final = "it broke the handshake off, or did not answer; does it speak TLS here?"
_TOO_OLD: Final = "it offers nothing newer than TLS 1.1; wanted is TLS 1.2 or 1.3"
_OURS_REFUSED: Final = "it does not take our certificate; enter the authority that signed ours there"

# Names of OpenSSL's SSL_R_…; the alerts among them are what the peer said to us.
_REASON: Final[Mapping[str, str]] = {
    "PEER_DID_NOT_RETURN_A_CERTIFICATE": "it showed no certificate; give it one that our `ca` file's authority signed",
    "UNSUPPORTED_PROTOCOL": _TOO_OLD,
    "VERSION_TOO_LOW": _TOO_OLD,
    "TLSV1_ALERT_PROTOCOL_VERSION": _TOO_OLD,
    "NO_SHARED_CIPHER": "no cipher suite in common; wanted are those of TLS 1.3, or ECDHE with AES-GCM or ChaCha20",
    "SSLV3_ALERT_HANDSHAKE_FAILURE": "it says that nothing it wants is on offer; its log may tell more",
    "WRONG_VERSION_NUMBER": _NO_TLS,
    "HTTP_REQUEST": _NO_TLS,
    "UNEXPECTED_EOF_WHILE_READING": _HUNG_UP,
    "TLSV1_ALERT_UNKNOWN_CA": _OURS_REFUSED,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OURS_REFUSED,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OURS_REFUSED,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it says that our certificate has expired; have ours renewed",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it wants a certificate of ours; set `certificate` and `key`",
}
