"""What we ask other systems for by ourselves."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from radplug.settings.tls import PeerTlsSettings
from radplug.settings.values import AeTitle, Port, Seconds, Section, SecureUrl
from radplug.settings.web_service import WebService


class ModalityWorklistSettings(Section):
    """The site's modality worklist, asked for the orders of studies that came without one; left out: it is not."""

    ae_title: AeTitle = Field(description="its AE title")
    host: str = Field(description="host name or address")
    port: Port = Field(description="its port")
    timeout_seconds: Seconds = Field(10.0, description="longest wait for an answer")
    attempts: int = Field(10, ge=1, description="a question that it did not answer so often is given up")
    tls: PeerTlsSettings | None = Field(None, description="TLS with it")


CodedName = Annotated[str, StringConstraints(pattern=r"^[^^\\]{1,16}\^[^^\\]{1,16}\^[^^\\]{1,64}$")]


class WorkitemsSettings(WebService):
    """The UPS-RS server whose workitems we do (IHE AIW-I): a study is fetched, drafted, and told of; left out: none."""

    station: CodedName = Field(description="our Scheduled Station Name Code, value^scheme^meaning")
    code: CodedName | None = Field(None, description="Scheduled Workitem Code of those that we do; empty: any code")
    retrieve_url: SecureUrl | None = Field(
        None, description="where images are fetched (WADO-RS), whatever a workitem says; empty: at url"
    )
    poll_seconds: Seconds = Field(10.0, description="how often workitems are looked for")
    at_once: int = Field(4, ge=1, description="workitems that are claimed and not at their end, at most")
