"""What the hospital's OpenID provider is asked by ourselves, not through the browser: its answers, or what is wrong.

Certificates are checked against the system's own store, where a hospital's authority stands.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import httpx2
from pydantic import BaseModel, StringConstraints, ValidationError

WAIT = 5.0  # seconds


class ProviderAway(Exception):
    """The provider does not answer; the text says what was tried."""


class BadAnswer(Exception):
    """The provider's answer cannot be trusted or used; the text says what is wrong with it, and quotes nothing."""


_Url = Annotated[str, StringConstraints(pattern=r"^https?://[!-~]+$")]


class Discovery(BaseModel):
    """OpenID Connect Discovery 1.0 section 3, as much of it as we need."""

    issuer: str
    authorization_endpoint: _Url
    token_endpoint: _Url
    jwks_uri: _Url
    end_session_endpoint: _Url | None = None


class Keys(BaseModel):
    keys: list[dict[str, Any]]


class Tokens(BaseModel):
    id_token: str


class _Refusal(BaseModel):
    """RFC 6749 section 5.2; it tells a wrong secret from a code that has been used."""

    error: Literal["invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "invalid_scope"]


_Answer = TypeVar("_Answer", bound=BaseModel)


def asked(answer: type[_Answer], method: str, url: str, **given: Any) -> _Answer:
    """Raises ProviderAway, BadAnswer."""
    try:
        response = httpx2.request(method, url, timeout=WAIT, headers={"Accept": "application/json"}, **given)
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise ProviderAway(f"{method} {url}: {type(error).__name__}") from error
    if response.is_server_error:
        raise ProviderAway(f"{method} {url}: {response.status_code}")
    if not response.is_success:
        raise BadAnswer(f"{url} answers {response.status_code}{_reason(response)}")
    try:
        return answer.model_validate_json(response.content)
    except ValidationError as error:
        wrong = ", ".join(str(e["loc"][0]) if e["loc"] else "JSON" for e in error.errors())
        raise BadAnswer(f"{url} answers without what is wanted: {wrong}") from error


def _reason(response: httpx2.Response) -> str:
    try:
        return f" ({_Refusal.model_validate_json(response.content).error})"
    except ValidationError:
        return ""
