"""Every setting, with its default and what it is for: one TOML file, and `RADPLUG_…` variables for secrets."""

from radplug.settings.asking import ModalityWorklistSettings, UpsPeerSettings, WorkitemsSettings
from radplug.settings.fhir import FhircastSettings, FhirDestination
from radplug.settings.reading import Settings, load
from radplug.settings.receiving import ListenerSettings
from radplug.settings.reference import reference
from radplug.settings.sending import (
    DeviceSettings,
    DicomwebDestination,
    ObjectDestination,
    PacsDestination,
    ReportingDestination,
    Shape,
)
from radplug.settings.station import LogSettings
from radplug.settings.tls import ListenerTlsSettings, PeerTlsSettings
from radplug.settings.values import SettingsError
from radplug.settings.web import OpenIdSettings, WebSettings
from radplug.settings.web_service import WebAccess, WebService

__all__ = [
    "DeviceSettings",
    "DicomwebDestination",
    "FhirDestination",
    "FhircastSettings",
    "ListenerSettings",
    "ListenerTlsSettings",
    "LogSettings",
    "ModalityWorklistSettings",
    "ObjectDestination",
    "OpenIdSettings",
    "PacsDestination",
    "PeerTlsSettings",
    "ReportingDestination",
    "Settings",
    "SettingsError",
    "Shape",
    "UpsPeerSettings",
    "WebAccess",
    "WebService",
    "WebSettings",
    "WorkitemsSettings",
    "load",
    "reference",
]
