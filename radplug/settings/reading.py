"""All sections together, from a file under the environment."""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import ValidationError, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from radplug.settings.asking import ModalityWorklistSettings, WorkitemsSettings
from radplug.settings.drafting import DraftingSettings, FurtherModel, ModelSettings
from radplug.settings.fhir import FhircastSettings, FhirDestination
from radplug.settings.receiving import AssemblySettings, Hl7Settings, ListenerSettings, StowSettings
from radplug.settings.sending import (
    DeliverySettings,
    DeviceSettings,
    DicomwebDestination,
    ObjectDestination,
    PacsDestination,
    PagesSettings,
    ReportingDestination,
)
from radplug.settings.station import AuditSettings, BrokerSettings, DatabaseSettings, LogSettings, StoreSettings
from radplug.settings.values import SettingsError
from radplug.settings.web import WebSettings


class Settings(BaseSettings):
    """All sections. Unknown keys are refused."""

    model_config = SettingsConfigDict(
        env_prefix="RADPLUG_", env_nested_delimiter="__", extra="forbid", frozen=True, validate_default=True
    )

    listener: ListenerSettings = ListenerSettings()
    stow: StowSettings = StowSettings()
    modality_worklist: ModalityWorklistSettings | None = None
    workitems: WorkitemsSettings | None = None
    fhircast: FhircastSettings | None = None
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
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()
    further_model: tuple[FurtherModel, ...] = ()
    pacs: tuple[PacsDestination, ...] = ()
    dicomweb: tuple[DicomwebDestination, ...] = ()
    reporting: tuple[ReportingDestination, ...] = ()
    fhir: tuple[FhirDestination, ...] = ()

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
        models = [model.name for model in self.further_model]
        for what, names in (("destinations", self.destinations), ("models", models)):
            twice = sorted({n for n in names if names.count(n) > 1})
            if twice:
                raise ValueError(f"two {what} are named {', '.join(twice)}; give each a name of its own")
        return self

    @property
    def objects(self) -> tuple[ObjectDestination, ...]:
        """Where drafts go as DICOM objects, whichever way they take."""
        return (*self.pacs, *self.dicomweb)

    @property
    def destinations(self) -> list[str]:
        """Names of all that drafts can go to."""
        named = [d.name for d in (*self.objects, *self.reporting, *self.fhir)]
        return [*named, self.fhircast.name] if self.fhircast else named

    @property
    def further_stations(self) -> tuple[str, ...]:
        """Stations that this site has, and not every one."""
        asks = self.modality_worklist is not None or self.workitems is not None
        has = {"hl7": self.hl7.on, "ask": asks, "fhircast": self.fhircast is not None}
        return tuple(name for name, on in has.items() if on)

    @property
    def commitment(self) -> bool:
        """Whether the listener takes part in storage commitment, in either direction."""
        return self.listener.commitment or any(pacs.commitment for pacs in self.pacs)

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
