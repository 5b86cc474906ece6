"""Every setting, with its default and what it is for: one TOML file, and `RADPLUG_…` variables for secrets."""

from __future__ import annotations

import tomllib
from datetime import timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    FilePath,
    StringConstraints,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from hl7.errors import Malformed
from hl7.message import codec
from hl7.overrides import overrides
from radplug.people import Role, SessionLife

AeTitle = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=16, pattern=r"^[ -\[\]-~]+$")
]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
HostPort = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9.\[\]:-]+:[0-9]{1,5}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9_.-]+$")]


class SettingsError(Exception):
    """The settings cannot be used; the text names each one that is wrong."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ListenerTlsSettings(Section):
    """A second port, with TLS (PS3.15 B.12); left out: there is none. Changed files count without restart."""

    port: Port = Field(2762, description="port to listen on with TLS; 0 takes a free one")
    certificate: Path = Field(description="PEM file of our certificate and its chain")
    key: Path = Field(description="PEM file of its private key, not encrypted")
    ca: Path = Field(description="PEM file of the authorities whose certificates let a sender in")
    require_client_certificate: bool = Field(True, description="refuse senders that show no certificate")


class ListenerSettings(Section):
    """Where the PACS and the modalities send to."""

    ae_title: AeTitle = Field("RADPLUG", description="our AE title, as the PACS must call it")
    further_ae_titles: tuple[AeTitle, ...] = Field(
        (), description="further AE titles that we answer to; rules may ask as which one we were called"
    )
    host: str = Field("0.0.0.0", description="address to listen on")
    port: Port = Field(11112, description="port to listen on; 0 takes a free one")
    plain: bool = Field(True, description="listen on that port; false: on that of [listener.tls] alone")
    calling_ae_titles: tuple[AeTitle, ...] = Field(
        (), description="AE titles that may call us; all others are rejected"
    )
    accept_any_calling_ae: bool = Field(False, description="let every AE title in; for a demo or a test bench only")
    maximum_pdu: int = Field(131072, ge=4096, le=1 << 20, description="longest PDU that we take, bytes")
    maximum_associations: int = Field(50, ge=1, description="associations at a time; more are rejected for the moment")
    commitment: bool = Field(
        False, description="answer storage commitment; a sender may then delete what radplug has said it keeps"
    )
    commitment_reports: dict[AeTitle, HostPort] = Field(
        {},
        description='where senders that are no [[pacs]] take its answers, { "CT1" = "192.0.2.20:104" }; '
        "others have them on their own association",
    )
    tls: ListenerTlsSettings | None = Field(None, description="a second port, with TLS")

    @model_validator(mode="after")
    def _listens_somewhere(self) -> ListenerSettings:
        if not self.plain and not self.tls:
            raise ValueError("plain is false and there is no [listener.tls], so nobody could send; set either")
        return self

    @property
    def ae_titles(self) -> frozenset[str]:
        return frozenset((self.ae_title, *self.further_ae_titles))

    @property
    def callers(self) -> frozenset[str] | None:
        """The AE titles that may call; None for any. Raises SettingsError where nobody may."""
        if self.accept_any_calling_ae:
            return None
        if not self.calling_ae_titles:
            raise SettingsError("listener.calling_ae_titles is empty, so nobody could send; name the PACS's AE title")
        return frozenset(self.calling_ae_titles)


class StoreSettings(Section):
    """Where everything is kept."""

    data: Path = Field(Path("radplug-data"), description="directory of the study store, the drafts and the SQLite file")
    keep_free_mib: int = Field(1024, ge=0, description="below this much free disk, C-STORE is answered 0xA700")


class DatabaseSettings(Section):
    """The rows that are the truth."""

    url: str = Field("", description="SQLAlchemy URL, e.g. postgresql+psycopg://…; empty: SQLite in the data directory")


class BrokerSettings(Section):
    """The queue that is the doorbell."""

    url: str = Field("", description="Redis URL, rediss:// for TLS; empty: `radplug up` starts a private one")


class AssemblySettings(Section):
    """When a study counts as complete."""

    quiet_seconds: Seconds = Field(60.0, description="a study closes when no instance has come for so long")
    at_most_seconds: Seconds = Field(1800.0, description="a study closes so long after its first instance in any case")
    expected_series: dict[str, int] = Field(
        {}, description="image series to wait for (until at_most_seconds) by modality, e.g. { MR = 4 }"
    )


class ModelSettings(Section):
    """The model that drafts."""

    checkpoint: Path | None = Field(
        None, description="directory of the checkpoint; empty: the demo model that comes along"
    )
    adapters: tuple[Path, ...] = Field((), description="directories of LoRA adapters; rules say what each is for")
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where it runs")
    threads: int = Field(
        1, ge=0, description="CPU threads for the model; 0: as many as there are cores, if all are idle"
    )
    seed: int = Field(0, ge=0, description="seed of the denoising; the same inputs and seed give the same draft")
    floor: float = Field(
        0.8, ge=0, le=1, description="a draft with a sentence of less confidence is marked as doubtful; 0: none is"
    )


class DraftingSettings(Section):
    """How a case is drafted."""

    key_images: int = Field(4, ge=1, le=16, description="images that the model is shown, at most; it may allow fewer")
    assume_body_part: str = Field("", description="body part of a study that names none; empty: it is not drafted")
    batch: int = Field(4, ge=1, le=8, description="cases that are drafted together, at most, where so many wait")
    gather_milliseconds: int = Field(20, ge=0, le=1000, description="how long a batch waits for further cases")
    lease_seconds: Seconds = Field(5.0, description="a worker that is not heard of for so long is replaced in its case")
    attempts: int = Field(5, ge=1, description="a case whose drafting failed so often is set aside as failed")
    templates: Path | None = Field(None, description="directory of the site's own report templates (*.toml)")
    rules: Path | None = Field(
        None, description="file of the site's routing rules; empty: all studies are drafted alike"
    )


class DeliverySettings(Section):
    """How drafts go out."""

    first_retry_seconds: Seconds = Field(
        5.0, description="pause after a destination's first failure; doubles each time"
    )
    longest_retry_seconds: Seconds = Field(300.0, description="longest pause")
    attempts: int = Field(50, ge=1, description="a delivery that failed so often becomes a dead letter")
    workers: int = Field(4, ge=1, le=64, description="deliveries at a time")


class Destination(Section):
    name: Name = Field(description="how cases and logs call it; unique")
    host: str = Field(description="host name or address")
    port: Port = Field(description="its port")
    timeout_seconds: Seconds = Field(30.0, description="longest wait for an answer")


class PacsTlsSettings(Section):
    """TLS with the PACS whose lines it follows; left out: without. Changed files count without restart."""

    ca: Path = Field(description="PEM file of the authorities, one of which has signed its certificate")
    certificate: Path | None = Field(None, description="PEM file of our certificate and its chain, if it wants one")
    key: Path | None = Field(None, description="PEM file of its private key, not encrypted")
    server_name: str = Field("", description="host that its certificate names; empty: the PACS's host")

    @model_validator(mode="after")
    def _certificate_has_a_key(self) -> PacsTlsSettings:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together; set both, or neither")
        return self


Shape = Literal["basic-text-sr", "comprehensive-3d-sr", "pdf", "secondary-capture"]


class PacsDestination(Destination):
    """A PACS that takes the draft as DICOM objects; `[[pacs]]`, none or several."""

    ae_title: AeTitle = Field(description="its AE title")
    shapes: tuple[Shape, ...] = Field(
        ("basic-text-sr",),
        min_length=1,
        description="what it is sent, each in a series of its own: basic-text-sr, comprehensive-3d-sr, pdf, "
        "secondary-capture",
    )
    commitment: bool = Field(False, description="ask it to confirm that it keeps each document (storage commitment)")
    commitment_seconds: Seconds = Field(
        3600.0, description="a document whose confirmation has not come in so long is sent again"
    )
    commitment_attempts: int = Field(
        3, ge=1, description="a document that was sent so often unconfirmed becomes a dead letter"
    )
    tls: PacsTlsSettings | None = Field(None, description="TLS with it")


def _settable(fields: dict[str, str]) -> dict[str, str]:
    try:
        overrides(fields)
    except Malformed as error:
        raise ValueError(str(error)) from None
    return fields


class ReportingDestination(Destination):
    """A reporting system that takes the draft as HL7 ORU^R01 over MLLP; `[[reporting]]`, none or several."""

    status: Literal["R", "P"] = Field(
        "R", description="OBR-25 and OBX-11: R stored, not verified; P only if the site signs"
    )
    text_style: Literal["repeat", "line", "ft"] = Field(
        "repeat", description="OBX-5: repetitions, an OBX a line, or FT"
    )
    version: Literal["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8"] = Field(
        "2.5.1", description="HL7 version, MSH-12: 2.3 to 2.8"
    )
    pdf: bool = Field(False, description="send the draft as a PDF as well, in a message of its own")
    fields: Annotated[dict[str, str], AfterValidator(_settable)] = Field(
        {}, description='fields that it wants otherwise: { "OBR-24" = "CT", "OBR-20" = "{accession_number}" }'
    )
    sending_facility: str = Field("HOSPITAL", description="MSH-4")
    receiving_application: str = Field("REPORTING", description="MSH-5")
    receiving_facility: str = Field("HOSPITAL", description="MSH-6")
    assigning_authority: str = Field("", description="PID-3.4 where the images name no issuer, namespace or ns&oid&ISO")
    processing_id: Literal["P", "T"] = Field("P", description="MSH-11: production or training")


class PagesSettings(Section):
    """How pages are drawn, for a PACS that takes pdf or secondary-capture."""

    fonts: tuple[FilePath, ...] = Field(
        (), description="TrueType files for what DejaVu Sans, which comes along, cannot draw, such as Chinese"
    )


class DeviceSettings(Section):
    """How drafts name the device that wrote them."""

    manufacturer: str = Field("radplug", description="Manufacturer")
    station_name: Annotated[str, StringConstraints(max_length=16)] = Field("RADPLUG", description="Station Name")
    serial_number: str = Field("SITE-1", description="Device Serial Number")

    @property
    def identity(self) -> str:
        """What the device's UID is made from."""
        return f"{self.manufacturer}/{self.serial_number}"


def _hl7_character_set(name: str) -> str:
    try:
        codec(name)
    except Malformed as error:
        raise ValueError(str(error).replace("MSH-18 names", "this is")) from None
    return name


Network = Annotated[str, AfterValidator(lambda text: str(ip_network(text)))]
Hl7CharacterSet = Annotated[str, AfterValidator(_hl7_character_set)]


class Hl7Settings(Section):
    """Where other systems send orders, changes of patients and dictated text as HL7 v2 over MLLP; off without port."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port | None = Field(None, description="port to listen on; left out: no HL7 is taken")
    addresses: tuple[Network, ...] = Field(
        ("127.0.0.0/8", "::1/128"), description="addresses or networks that may send; all others are refused"
    )
    character_sets: dict[str, Hl7CharacterSet] = Field(
        {}, description='of messages without MSH-18, by MSH-3 or by MSH-3|MSH-4: { "OLD_RIS" = "8859/1" }; else UTF-8'
    )
    sections: dict[str, str] = Field(
        {}, description='sections of dictated text by OBX-3.1, OBX-3.2 or heading, { "GDT" = "FINDINGS" }'
    )
    keep_days: int = Field(7, ge=7, description="for so long a message that is sent again has no second effect")

    @property
    def on(self) -> bool:
        return self.port is not None

    def admits(self, address: str) -> bool:
        """Whether whoever has this address may send."""
        sender = ip_address(address)
        known = getattr(sender, "ipv4_mapped", None) or sender
        return any(known in ip_network(network) for network in self.addresses)

    def character_set(self, application: str, facility: str) -> str:
        """Python's codec for messages of that sender that name none."""
        named = self.character_sets.get(f"{application}|{facility}") or self.character_sets.get(application)
        return codec(named or "UNICODE UTF-8")


def _secure(url: str) -> str:
    """A URL that nobody on the way can change: HTTPS, or plain HTTP that does not leave the machine."""
    parts = urlsplit(url)
    if parts.hostname and (parts.scheme == "https" or (parts.scheme, parts.hostname) in LOOPBACK):
        return url
    raise ValueError("wanted is a URL that begins with https:// (http:// on this machine alone)")


LOOPBACK = frozenset(("http", host) for host in ("127.0.0.1", "::1", "localhost"))
SecureUrl = Annotated[str, AfterValidator(_secure)]


class OpenIdSettings(Section):
    """Sign-in with the hospital's own accounts (OpenID Connect); left out: with those of `radplug account` alone."""

    issuer: SecureUrl = Field(description="the provider's issuer, exactly as its discovery document names it")
    address: SecureUrl = Field(description="our own address, as browsers know it; they come back to /openid/back there")
    client_id: str = Field(min_length=1, description="what the provider calls us")
    client_secret_file: Path = Field(description="file whose first line is the client's secret")
    scopes: tuple[str, ...] = Field(("profile",), description="what is asked for besides openid")
    name_claim: str = Field("preferred_username", description="claim of the ID token with the person's name")
    roles_claim: str = Field("roles", description="claim of the ID token with the person's groups or roles")
    roles: dict[str, Role] = Field(
        min_length=1,
        description="our role for each group; a person's first one here counts, whoever has none is refused",
    )
    local: bool = Field(True, description="whether accounts of `radplug account` may sign in as well")

    @property
    def client_secret(self) -> str:
        """Raises SettingsError where there is none."""
        try:
            secret = self.client_secret_file.read_text(encoding="utf-8").partition("\n")[0].strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise SettingsError(f"web.openid.client_secret_file {self.client_secret_file}: {reason}") from None
        if not secret:
            raise SettingsError(f"web.openid.client_secret_file {self.client_secret_file} has an empty first line")
        return secret


class WebSettings(Section):
    """The worklist, for browsers."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8080, description="port to listen on; 0 takes a free one")
    certificate: Path | None = Field(None, description="PEM file of the certificate and its chain; empty: plain HTTP")
    key: Path | None = Field(None, description="PEM file of its private key")
    behind_https: bool = Field(False, description="a reverse proxy in front of us speaks HTTPS with the browsers")
    idle_minutes: Seconds = Field(20.0, description="who does nothing for so long is signed out")
    session_hours: Seconds = Field(10.0, description="everybody is signed out so long after signing in")
    changes_per_minute: int = Field(
        600, ge=1, description="changes that a person or a token may make in a minute; more are told to wait (429)"
    )
    strangers_per_minute: int = Field(
        1200, ge=1, description="requests that an address may make in a minute while nobody is signed in; more wait"
    )
    speech: bool = Field(
        False, description="dictation by the browser; most send what is said to their maker, out of the hospital"
    )
    openid: OpenIdSettings | None = Field(None, description="sign-in with the hospital's own accounts")

    @property
    def session_life(self) -> SessionLife:
        return SessionLife(timedelta(minutes=self.idle_minutes), timedelta(hours=self.session_hours))

    @property
    def https(self) -> bool:
        return self.certificate is not None or self.behind_https


class LogSettings(Section):
    """What the stations say."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="least important line that is written"
    )
    format: Literal["console", "json"] = Field("console", description="for people, or for a log collector")


class Settings(BaseSettings):
    """All sections. Unknown keys are refused."""

    model_config = SettingsConfigDict(
        env_prefix="RADPLUG_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    listener: ListenerSettings = ListenerSettings()
    hl7: Hl7Settings = Hl7Settings()
    store: StoreSettings = StoreSettings()
    database: DatabaseSettings = DatabaseSettings()
    broker: BrokerSettings = BrokerSettings()
    assembly: AssemblySettings = AssemblySettings()
    model: ModelSettings = ModelSettings()
    drafting: DraftingSettings = DraftingSettings()
    delivery: DeliverySettings = DeliverySettings()
    device: DeviceSettings = DeviceSettings()
    pages: PagesSettings = PagesSettings()
    web: WebSettings = WebSettings()
    log: LogSettings = LogSettings()
    pacs: tuple[PacsDestination, ...] = ()
    reporting: tuple[ReportingDestination, ...] = ()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment over the file."""
        return env_settings, init_settings

    @model_validator(mode="after")
    def _names_are_unique(self) -> Settings:
        names = [d.name for d in (*self.pacs, *self.reporting)]
        twice = sorted({n for n in names if names.count(n) > 1})
        if twice:
            raise ValueError(f"two destinations are named {', '.join(twice)}; give each a name of its own")
        return self

    @property
    def database_url(self) -> str:
        return self.database.url or f"sqlite:///{(self.store.data / 'radplug.sqlite').resolve()}"


def load(file: Path | None) -> Settings:
    """Settings from a TOML file (none: the defaults) under the environment's.

    Raises:
        SettingsError: no such file, not TOML, or a setting that is unknown or wrong.
    """
    if file is not None and not file.is_file():
        raise SettingsError(f"there is no settings file {file}; `radplug settings` prints one to start from")

    try:
        return Settings(**tomllib.loads(file.read_text(encoding="utf-8")) if file else {})
    except ValidationError as error:
        wrong = "\n".join(f"  {'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise SettingsError(f"{file or 'the environment'} cannot be used:\n{wrong}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} is not TOML: {error}") from None


SECTIONS: tuple[tuple[str, type[Section]], ...] = (
    *((name, info.annotation) for name, info in Settings.model_fields.items() if isinstance(info.annotation, type)),
    ("listener.tls", ListenerTlsSettings),
    ("web.openid", OpenIdSettings),
    ("pacs", PacsDestination),
    ("pacs.tls", PacsTlsSettings),
    ("reporting", ReportingDestination),
)


def reference() -> str:
    """A settings file with every setting at its default, each with its description; what has no default is a sample."""
    samples: dict[str, Any] = {"name": "main", "host": "192.0.2.10", "port": 104, "ae_title": "PACS"}
    samples |= {
        "issuer": "https://login.hospital.example/realms/hospital",
        "address": "https://radplug.hospital.example",
    }
    samples |= {"client_id": "radplug", "client_secret_file": "/etc/radplug/openid-secret"}
    samples |= {"roles": {"radiology-doctors": Role.RADIOLOGIST, "radiology-it": Role.IT}}
    samples |= {file: f"/etc/radplug/{file}.pem" for file in ("certificate", "key", "ca")}
    headers = {"web.openid": "# [{}]", "pacs": "# [[{}]]", "reporting": "# [[{}]]"}
    headers |= {"listener.tls": "# [{}]", "pacs.tls": "# [{}]"}
    lines = ["# radplug's settings: every one, at its default. Made by `radplug settings`."]
    for name, section in SECTIONS:
        lines += ["", f"# {(section.__doc__ or '').strip()}", headers.get(name, "[{}]").format(name)]
        for key, info in section.model_fields.items():
            if f"{name}.{key}" in dict(SECTIONS):
                continue
            value = samples.get(key) if info.is_required() else info.default
            setting = f"{key} = {_toml('' if value is None else value)}"
            lines.append(f"{'# ' if name in headers or value is None else ''}{setting}  # {info.description}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{k} = {_toml(v)}" for k, v in value.items()) + " }" if value else "{}"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
