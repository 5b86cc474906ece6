"""A FHIRcast hub, as a subscriber of one session asks it: by HTTP for everything but the events themselves."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from radplug.fhir.errors import Refused, Unavailable
from radplug.fhir.events import WANTED, Current, Notification

_NO_SUCH_REQUEST = frozenset({404, 405, 501})  # a hub need not tell the current context


class _Subscribed(BaseModel):
    model_config = ConfigDict(frozen=True)

    endpoint: str = Field(alias="hub.channel.endpoint", pattern=r"^wss?://[!-~]+$")


@dataclass(frozen=True, slots=True)
class Hub:
    """Where the hub is, what it is shown, and which session is ours."""

    url: str
    topic: str
    subscriber: str  # our name there
    authorization: str  # empty: none
    tls: ssl.SSLContext
    timeout: float  # seconds

    def subscribe(self, lease_seconds: int, renewing: str = "") -> str:
        """Ask for the session's events; the WebSocket on which they come. `renewing` names one that is open already.

        Raises Unavailable, Refused.
        """
        form = {
            "hub.channel.type": "websocket",
            "hub.mode": "subscribe",
            "hub.topic": self.topic,
            "hub.events": ",".join(WANTED),
            "hub.lease_seconds": str(lease_seconds),
            "subscriber.name": self.subscriber,
            **({"hub.channel.endpoint": renewing} if renewing else {}),
        }
        answer = self._ask("POST", self.url, data=form)
        try:
            endpoint = _Subscribed.model_validate_json(answer.content).endpoint
        except ValidationError:
            raise Refused("the hub answers to a subscription without a WebSocket (hub.channel.endpoint)") from None
        if urlsplit(self.url).scheme == "https" and urlsplit(endpoint).scheme != "wss":
            raise Refused("the hub names a WebSocket without TLS (ws://), which others could read along")
        return endpoint

    def unsubscribe(self, endpoint: str) -> None:
        """Raises Unavailable, Refused."""
        form = {"hub.channel.type": "websocket", "hub.mode": "unsubscribe", "hub.topic": self.topic}
        self._ask("POST", self.url, data=form | {"hub.channel.endpoint": endpoint})

    def current(self) -> Current | None:
        """What is open in the session; None where the hub does not tell. Raises Unavailable, Refused, Malformed."""
        answer = self._ask("GET", f"{self.url.rstrip('/')}/{quote(self.topic, safe='')}", unless=_NO_SUCH_REQUEST)
        return Current.read(answer.content) if answer.is_success else None

    def send(self, notification: Notification) -> None:
        """Raises Unavailable, Refused."""
        self._ask("POST", self.url, json=notification.as_json())

    def _ask(self, method: str, url: str, *, unless: frozenset[int] = frozenset(), **given: Any) -> httpx2.Response:
        headers: Mapping[str, str] = {"Authorization": self.authorization} if self.authorization else {}
        try:
            with httpx2.Client(verify=self.tls, timeout=self.timeout, headers=headers) as client:
                answer = client.request(method, url, **given)
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(f"the hub does not answer ({type(error).__name__})") from error
        if answer.is_success or answer.status_code in unless:
            return answer
        if answer.is_server_error or answer.status_code in (401, 403, 429):
            raise Unavailable(f"the hub answers {answer.status_code}")
        raise Refused(f"the hub answers {answer.status_code}")
