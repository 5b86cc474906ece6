"""A settings file in which every setting stands at its default, with its description."""

from __future__ import annotations

from typing import Any

from radplug.people import Role
from radplug.settings.asking import ModalityWorklistSettings, UpsPeerSettings, WorkitemsSettings
from radplug.settings.drafting import FurtherModel
from radplug.settings.fhir import FhircastSettings, FhirDestination
from radplug.settings.reading import Settings
from radplug.settings.sending import DicomwebDestination, PacsDestination, PacsWebSettings, ReportingDestination
from radplug.settings.tls import DicomTlsSettings, ListenerTlsSettings, PeerTlsSettings
from radplug.settings.values import Section
from radplug.settings.web import OpenIdSettings

SECTIONS: tuple[tuple[str, type[Section]], ...] = (
    *((name, info.annotation) for name, info in Settings.model_fields.items() if isinstance(info.annotation, type)),
    ("listener.tls", DicomTlsSettings),
    ("hl7.tls", ListenerTlsSettings),
    ("modality_worklist", ModalityWorklistSettings),
    ("modality_worklist.tls", PeerTlsSettings),
    ("workitems", WorkitemsSettings),
    ("workitems.peer", UpsPeerSettings),
    ("workitems.peer.tls", PeerTlsSettings),
    ("fhircast", FhircastSettings),
    ("web.openid", OpenIdSettings),
    ("further_model", FurtherModel),
    ("pacs", PacsDestination),
    ("pacs.tls", PeerTlsSettings),
    ("pacs.dicomweb", PacsWebSettings),
    ("dicomweb", DicomwebDestination),
    ("reporting", ReportingDestination),
    ("reporting.tls", PeerTlsSettings),
    ("fhir", FhirDestination),
)


def reference() -> str:
    """A settings file with every setting at its default, each with its description; what has no default is a sample."""
    samples: dict[str, Any] = {"name": "main", "host": "192.0.2.10", "port": 104, "ae_title": "PACS"}
    samples |= {"hl7.tls.port": 2576, "reporting.port": 2575, "fhir.url": "https://fhir.hospital.example/r4"}
    samples |= {"fhircast.url": "https://hub.hospital.example/fhircast"}
    samples |= {"topics": {"room-1": "fdb2f928-5546-4f52-87a0-0648e9ded065"}}
    samples |= {
        "issuer": "https://login.hospital.example/realms/hospital",
        "address": "https://radplug.hospital.example",
    }
    samples |= {"client_id": "radplug", "client_secret_file": "/etc/radplug/openid-secret"}
    samples |= {"roles": {"radiology-doctors": Role.RADIOLOGIST, "radiology-it": Role.IT}}
    samples |= {file: f"/etc/radplug/{file}.pem" for file in ("certificate", "key", "ca")}
    samples |= {"further_model.name": "chest-ct", "checkpoint": "/srv/radplug/models/chest-ct"}
    samples |= {"station": "RADPLUG^99HOSPITAL^AI drafts"}
    samples |= {"workitems.peer.ae_title": "WORKFLOW"}
    samples |= {"url": "https://archive.hospital.example/dicom-web"}
    headers = {name: f"# [[{name}]]" for name in ("further_model", "pacs", "dicomweb", "reporting", "fhir")}
    headers |= dict.fromkeys(("web.openid", "workitems", "workitems.peer", "fhircast"), "# [{}]")
    headers |= dict.fromkeys(("modality_worklist", "pacs.dicomweb"), "# [{}]")
    headers |= {name: "# [{}]" for name, _ in SECTIONS if name.endswith(".tls")}
    lines = ["# radplug's settings: every one, at its default. Made by `radplug settings`."]
    for name, section in SECTIONS:
        lines += ["", f"# {(section.__doc__ or '').strip()}", headers.get(name, "[{}]").format(name)]
        for key, info in section.model_fields.items():
            if f"{name}.{key}" in dict(SECTIONS):
                continue
            value = samples.get(f"{name}.{key}", samples.get(key)) if info.is_required() else info.default
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
