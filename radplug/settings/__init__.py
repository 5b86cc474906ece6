"""Every setting, with its default and what it is for: one TOML file, and `RADPLUG_…` variables for secrets."""

from radplug.settings.reading import Settings, load
from radplug.settings.receiving import ListenerSettings
from radplug.settings.reference import reference
from radplug.settings.sending import DeviceSettings, PacsDestination, ReportingDestination, Shape
from radplug.settings.station import LogSettings
from radplug.settings.tls import ListenerTlsSettings, PeerTlsSettings
from radplug.settings.values import SettingsError
from radplug.settings.web import OpenIdSettings, WebSettings

__all__ = [
    "DeviceSettings",
    "ListenerSettings",
    "ListenerTlsSettings",
    "LogSettings",
    "OpenIdSettings",
    "PacsDestination",
    "PeerTlsSettings",
    "ReportingDestination",
    "Settings",
    "SettingsError",
    "Shape",
    "WebSettings",
    "load",
    "reference",
]
