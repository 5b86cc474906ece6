"""Where a site's radplug is, and under which names the kit's simulated peers are known there."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class BadTarget(Exception):
    """The file does not say where radplug is; the text says what is wrong with it."""


class Target(BaseModel):
    """The file that `--target` names, in TOML."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field(description="where radplug listens for DICOM")
    port: int = Field(ge=1, le=65535)
    worklist: str = Field(pattern="^https?://", description="the worklist's address")
    token_file: Path = Field(description="holds a token made with `radplug token`, with all of the kit's scopes")
    ae_title: str = Field("RADPLUG", description="radplug's")
    pacs_ae_title: str = Field("ACCEPTANCE", description="the kit's, a [[pacs]] and a calling AE title there")
    pacs_port: int = Field(ge=1, le=65535, description="where that [[pacs]] is said to listen: here")
    reporting_port: int = Field(ge=1, le=65535, description="where the kit's [[reporting]] is said to listen: here")
    archive_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="where the kit's [[dicomweb]] is said to listen: here; left out: none is",
    )
    fhir_port: int | None = Field(None, description="where the kit's [[fhir]] is said to listen, on radplug's machine")
    hub_port: int | None = Field(None, description="where its [fhircast] hub is said to listen, on radplug's machine")
    listen_on: str = Field("0.0.0.0", description="the address that the simulated peers listen on")
    patience_seconds: float = Field(
        120.0, gt=0, description="how long a case may take, its last image to its deliveries"
    )

    @classmethod
    def read(cls, file: Path) -> Self:
        """Raises BadTarget."""
        try:
            return cls.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise BadTarget(f"{file}: {error}") from None
        except ValidationError as error:
            faults = (f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())
            raise BadTarget(f"{file}: {'; '.join(faults)}") from None

    def token(self) -> str:
        """Raises BadTarget."""
        try:
            return self.token_file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise BadTarget(f"token_file {self.token_file}: {error.strerror}") from None
