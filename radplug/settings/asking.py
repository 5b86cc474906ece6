"""What we ask other systems for by ourselves."""

from __future__ import annotations

from pydantic import Field

from radplug.settings.sending import PacsTlsSettings
from radplug.settings.values import AeTitle, Port, Seconds, Section


class ModalityWorklistSettings(Section):
    """The site's modality worklist, asked for the orders of studies that came without one; left out: it is not."""

    ae_title: AeTitle = Field(description="its AE title")
    host: str = Field(description="host name or address")
    port: Port = Field(description="its port")
    timeout_seconds: Seconds = Field(10.0, description="longest wait for an answer")
    attempts: int = Field(10, ge=1, description="a question that it did not answer so often is given up")
    tls: PacsTlsSettings | None = Field(None, description="TLS with it")
