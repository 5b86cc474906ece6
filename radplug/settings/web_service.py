"""A server that we ask over HTTP, and what lets us in there."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

from pydantic import Field, model_validator

from radplug.settings.values import Seconds, Section, SecureUrl, secret_in


class WebAccess(Section):
    token_file: Path | None = Field(None, description="file whose first line is a bearer token; read for each request")
    user: str = Field("", description="user name, where it wants one instead (HTTP Basic)")
    password_file: Path | None = Field(None, description="file whose first line is the user's password")
    ca: Path | None = Field(None, description="PEM file of the authorities for its certificate; empty: public ones")
    timeout_seconds: Seconds = Field(30.0, description="longest wait for an answer")

    @model_validator(mode="after")
    def _lets_in_one_way(self) -> WebAccess:
        if bool(self.user) != (self.password_file is not None):
            raise ValueError("user and password_file belong together; set both, or neither")
        if self.user and self.token_file:
            raise ValueError("token_file and user are two ways to be let in; set one of them")
        return self

    def authorization(self) -> str:
        """What it is shown (RFC 6750, RFC 7617), read from the file each time; empty: nothing. Raises SettingsError."""
        if self.token_file:
            return f"Bearer {secret_in(self.token_file, 'token_file')}"
        if self.password_file:
            secret = f"{self.user}:{secret_in(self.password_file, 'password_file')}"
            return f"Basic {b64encode(secret.encode()).decode()}"
        return ""


class Located(Section):
    url: SecureUrl = Field(
        description="its address; what the standard names, such as /studies or /DiagnosticReport, is put behind it"
    )


class WebService(WebAccess, Located):
    """With its address."""
