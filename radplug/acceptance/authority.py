"""Certificates made in a moment: an authority, and whom it vouches for. Not for patients' data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from dicom_io.certificates import Files

DAY = timedelta(days=1)
Key: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Authority:
    """Its certificate stands in `file`."""

    file: Path
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def vouches(
        self, name: str, *, since: float = -30, days: float = 365, host: str = "127.0.0.1", key: Key | None = None
    ) -> Files:
        """Certificate and key of `name`, for `host`, valid from `since` to `days` from now."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        at = x509.IPAddress(ip_address(host)) if host[0].isdigit() else x509.DNSName(host)
        certificate = (
            _begun(name, self.certificate.subject, key, since, days)
            .add_extension(x509.SubjectAlternativeName([at]), critical=False)
            .sign(self.key, hashes.SHA256())
        )
        return Files(self.file, _written(self.file.parent / name, certificate, key))


def authority(folder: Path, name: str, *, days: float = 3650) -> Authority:
    """A new one, which vouches for itself; all files stand in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _begun(name, _named(name), key, -30, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    file, _ = _written(folder / name, certificate, key)
    return Authority(file, certificate, key)


def _begun(name: str, issuer: x509.Name, key: Key, since: float, days: float) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + since * DAY)
        .not_valid_after(now + days * DAY)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _written(where: Path, certificate: x509.Certificate, key: Key) -> tuple[Path, Path]:
    files = where.with_suffix(".pem"), where.with_suffix(".key")
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    files[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, *private))
    return files
