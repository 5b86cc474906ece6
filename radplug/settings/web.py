"""The worklist in the browser, and who may sign in."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import Field

from radplug.people import Role, SessionLife
from radplug.settings.values import Port, Seconds, Section, SecureUrl, secret_in


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
        return secret_in(self.client_secret_file, "web.openid.client_secret_file")


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
