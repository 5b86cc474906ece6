"""What a setting can hold, and what is said of one that is wrong."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from hl7.errors import Malformed
from hl7.message import codec


class SettingsError(Exception):
    """The settings cannot be used; the text names each one that is wrong."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def secret_in(file: Path, setting: str) -> str:
    """The first line of a file that a setting names, read each time. Raises SettingsError where there is none."""
    try:
        secret = file.read_text(encoding="utf-8").partition("\n")[0].strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"{setting} {file}: {reason}") from None
    if not secret:
        raise SettingsError(f"{setting} {file} has an empty first line")
    return secret


AeTitle = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$")
]

Port = Annotated[int, Field(ge=0, le=65535)]


@dataclass(frozen=True, slots=True)
class Address:
    """Where somebody listens."""

    host: str
    port: int
    tls: bool

    @classmethod
    def read(cls, text: object) -> Address:
        """`host:port`, or `tls://host:port`; IPv6 in brackets."""
        parts = urlsplit(str(text) if "://" in str(text) else f"//{text}")
        if parts.scheme not in ("", "tls") or not parts.hostname or not parts.port or parts.path or parts.username:
            raise ValueError("wanted is host:port, or tls://host:port")
        return cls(parts.hostname, parts.port, parts.scheme == "tls")


HostPort = Annotated[Address, BeforeValidator(Address.read)]

Seconds = Annotated[float, Field(gt=0)]

Name = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_.-]+$")]


def _hl7_character_set(name: str) -> str:
    try:
        codec(name)
    except Malformed as error:
        raise ValueError(str(error).replace("MSH-18 names", "this is")) from None
    return name


Network = Annotated[str, AfterValidator(lambda text: str(ip_network(text)))]

Hl7CharacterSet = Annotated[str, AfterValidator(_hl7_character_set)]


def _secure(url: str) -> str:
    """A URL that nobody on the way can change: HTTPS, or plain HTTP that does not leave the machine."""
    parts = urlsplit(url)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme, parts.hostname) in LOOPBACK):
        return url
    raise ValueError("wanted is a URL that begins with https:// (http:// on this machine alone)")


LOOPBACK = frozenset(("http", host) for host in ("127.0.0.1", "::1", "localhost"))

SecureUrl = Annotated[str, AfterValidator(_secure)]
