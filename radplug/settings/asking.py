"""What we ask other systems for by ourselves."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from radplug.settings.tls import PeerTlsSettings
from radplug.settings.values import AeTitle, Port, Seconds, Section, SecureUrl
from radplug.settings.web_service import WebAccess


class ModalityWorklistSettings(Section):
    """The site's modality worklist, asked for the orders of studies that came without one; left out: it is not."""

    ae_title: AeTitle = Field(description="its AE title")
    host: str = Field(description="host name or address")
    port: Port = Field(description="its port")
    timeout_seconds: Seconds = Field(10.0, description="longest wait for an answer")
    attempts: int = Field(10, ge=1, description="a question that it did not answer so often is given up")
    tls: PeerTlsSettings | None = Field(None, description="TLS with it")


CodedName = Annotated[str, StringConstraints(pattern=r"^[^^\\]{1,16}\^[^^\\]{1,16}\^[^^\\]{1,64}$")]


class UpsPeerSettings(Section):
    """The SCP of UPS Pull whose workitems we do by DIMSE, instead of `url`; left out: a UPS-RS server."""

    ae_title: AeTitle = Field(description="its AE title")
    host: str = Field(description="host name or address")
    port: Port = Field(description="its port")
    tls: PeerTlsSettings | None = Field(None, description="TLS with it")


class WorkitemsPeer(Section):
    url: SecureUrl | None = Field(None, description="the UPS-RS server's address; or [workitems.peer], one of the two")
    peer: UpsPeerSettings | None = None

    @model_validator(mode="after")
    def _are_at_one_place(self) -> WorkitemsPeer:
        if (self.url is None) == (self.peer is None):
            found = "both are set" if self.url else "neither is set"
            raise ValueError(
                f"workitems are at url (UPS-RS) or at peer (UPS Pull by DIMSE), and {found}; set one of them"
            )
        return self


class WorkitemsSettings(WebAccess, WorkitemsPeer):
    """Where the workitems are that we do (IHE AIW-I): a study is fetched, drafted, and told of; left out: none."""

    station: CodedName = Field(description="our Scheduled Station Name Code, value^scheme^meaning")
    code: CodedName | None = Field(None, description="Scheduled Workitem Code of those that we do; empty: any code")
    retrieve_url: SecureUrl | None = Field(
        None,
        description="where images are fetched (WADO-RS), whatever a workitem says; empty: at url, or with a peer from "
        "the [[pacs]] whose AE title the workitem names",
    )
    retrieve_by: Literal["c-move", "c-get"] = Field(
        "c-move", description="how they are fetched from a [[pacs]]: c-move, c-get"
    )
    retrieve_seconds: Seconds = Field(600.0, description="longest time that a [[pacs]] has for a workitem's input")
    poll_seconds: Seconds = Field(10.0, description="how often workitems are looked for")
    at_once: int = Field(4, ge=1, description="workitems that are claimed and not at their end, at most")

    @property
    def images_url(self) -> str | None:
        """None where they come by DIMSE."""
        return self.retrieve_url or self.url
