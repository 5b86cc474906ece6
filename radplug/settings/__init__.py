"""Every setting, with its default and what it is for: one TOML file, and `RADPLUG_…` variables for secrets."""

from radplug.settings.fhir import FhircastSettings, FhirDestination, Trusted
from radplug.settings.reading import Settings, load
from radplug.settings.receiving import ListenerSettings, ListenerTlsSettings
from radplug.settings.reference import reference
from radplug.settings.sending import DeviceSettings, PacsDestination, PacsTlsSettings, ReportingDestination, Shape
from radplug.settings.station import LogSettings
from radplug.settings.values import SettingsError
from radplug.settings.web import OpenIdSettings, WebSettings

__all__ = [
    "DeviceSettings",
    "FhirDestination",
    "FhircastSettings",
    "ListenerSettings",
    "ListenerTlsSettings",
    "LogSettings",
    "OpenIdSettings",
    "PacsDestination",
    "PacsTlsSettings",
    "ReportingDestination",
    "Settings",
    "SettingsError",
    "Shape",
    "Trusted",
    "WebSettings",
    "load",
    "reference",
]
