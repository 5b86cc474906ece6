"""PEM files of certificates and keys: whether they can be used now, and how long they will be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from dicom_io.errors import UnusableCertificate


@dataclass(frozen=True, slots=True)
class Files:
    """Whom we trust, and what we show ourselves: nothing without `own`."""

    authorities: Path  # certificates of those that sign our peers' certificates
    own: tuple[Path, Path] | None = None  # our certificate with its chain, and its private key

    def __iter__(self) -> Iterator[Path]:
        yield self.authorities
        yield from self.own or ()

    @property
    def certificates(self) -> list[Path]:
        return [self.authorities, *(self.own or ())[:1]]

    def check(self, now: datetime) -> None:
        """Raises UnusableCertificate where one is missing, damaged, not valid now, or does not belong to the other."""
        authorities = read(self.authorities)
        if not any(_is_valid(one, now) for one in authorities):
            raise UnusableCertificate(_out_of_time(self.authorities, authorities[0], now))
        if self.own:
            _check_own(*self.own, now)


def read(file: Path) -> list[x509.Certificate]:
    """All certificates in a PEM file, at least one. Raises UnusableCertificate."""
    try:
        return x509.load_pem_x509_certificates(_bytes(file))
    except ValueError:
        text = f"{file} holds no certificate that can be read; wanted is PEM, which begins with -----BEGIN CERTIFICATE"
        raise UnusableCertificate(text) from None


def ends(file: Path, now: datetime) -> datetime:
    """When the first of a file's certificates that are valid now will not be any more."""
    return min(one.not_valid_after_utc for one in read(file) if _is_valid(one, now))


def _check_own(certificate: Path, key: Path, now: datetime) -> None:
    chain = read(certificate)
    for one in chain:
        if not _is_valid(one, now):
            raise UnusableCertificate(_out_of_time(certificate, one, now))
    try:
        private = load_pem_private_key(_bytes(key), password=None)
    except TypeError:
        text = f"{key} is encrypted, and nobody is there to type its password; store it without, mode 0600"
        raise UnusableCertificate(text) from None
    except (ValueError, UnsupportedAlgorithm):
        text = f"{key} holds no private key that can be read; wanted is PEM, which begins with -----BEGIN PRIVATE KEY"
        raise UnusableCertificate(text) from None
    if private.public_key() != chain[0].public_key():
        text = f"{key} is not the key of the first certificate in {certificate}; install the two that belong together"
        raise UnusableCertificate(text)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        text = f"{file} cannot be read ({error.strerror}); put it there, and let the user that runs radplug read it"
        raise UnusableCertificate(text) from None


def _is_valid(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _out_of_time(file: Path, certificate: x509.Certificate, now: datetime) -> str:
    if now < certificate.not_valid_before_utc:
        return f"{file} is not valid before {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; check the clock"
    return f"{file} has expired on {certificate.not_valid_after_utc:%Y-%m-%d}; have it renewed"
