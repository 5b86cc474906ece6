"""The hospital's OpenID provider: authorization code flow with PKCE (OpenID Connect Core 3.1, RFC 7636).

Its endpoints and keys are asked for at every sign-in, so that what it changes or withdraws holds at once.
"""

from __future__ import annotations

import hashlib
import secrets
from base64 import urlsafe_b64encode
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OctKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import Claims, JWTClaimsRegistry

from radplug.people import Person, admitted
from radplug.settings import OpenIdSettings
from radplug.web.provider_answers import BadAnswer, Discovery, Keys, Tokens, asked

SKEW = 60  # seconds that its clock and ours may differ
TIME_TO_SIGN_IN = timedelta(minutes=10)
# By pairs of keys alone, whatever the provider says that it supports.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519", "EdDSA")
LONGEST_HINT = 4096  # characters of an ID token that fit into an address
BACK = "/openid/back"


class NotBegun(Exception):
    """What came back belongs to no sign-in that was begun in this browser within the last minutes."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A sign-in that waits for its end: what the end must fit, and where the person wanted to go."""

    state: str
    nonce: str
    verifier: str
    to: str


@dataclass(frozen=True, slots=True)
class Vouched:
    """Whom the provider vouches for."""

    subject: str  # the only name that the provider never gives to anybody else
    claims: Claims
    id_token: str  # as it came: the provider wants it back when the session ends


class Provider:
    """Raises SettingsError where the client's secret cannot be read."""

    def __init__(self, settings: OpenIdSettings) -> None:
        self._settings = settings
        self._secret = settings.client_secret
        self._seal = OctKey.generate_key(256)  # of this process: sign-ins that a restart cuts off are begun again

    def discovery(self) -> Discovery:
        """Raises ProviderAway, BadAnswer."""
        issuer = self._settings.issuer
        found = asked(Discovery, "GET", issuer.rstrip("/") + "/.well-known/openid-configuration")
        if found.issuer != issuer:
            raise BadAnswer("its discovery document names another issuer than web.openid.issuer; take it from there")
        return found

    def begin(self, to: str, now: datetime) -> tuple[str, str]:
        """Where the browser is to go, and the sealed state that it is to bring back. Raises ProviderAway, BadAnswer."""
        begun = Begun(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(64), to)
        challenge = urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._settings.client_id,
            "redirect_uri": self._settings.address + BACK,
            "scope": " ".join(("openid", *self._settings.scopes)),
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        claims = {**asdict(begun), "exp": int((now + TIME_TO_SIGN_IN).timestamp())}
        return _with(self.discovery().authorization_endpoint, query), jwt.encode({"alg": "HS256"}, claims, self._seal)

    def begun(self, sealed: str, state: str, now: datetime) -> Begun:
        """The sign-in that what came back belongs to. Raises NotBegun."""
        try:
            claims = jwt.decode(sealed, self._seal, ["HS256"]).claims
            JWTClaimsRegistry(int(now.timestamp()), exp={"essential": True}).validate(claims)
        except (JoseError, ValueError) as error:
            raise NotBegun from error
        begun = Begun(claims["state"], claims["nonce"], claims["verifier"], claims["to"])
        if not secrets.compare_digest(begun.state.encode(), state.encode()):
            raise NotBegun
        return begun

    def end(self, begun: Begun, code: str, now: datetime) -> Vouched:
        """Raises ProviderAway, BadAnswer."""
        found = self.discovery()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._settings.address + BACK,
            "code_verifier": begun.verifier,
        }
        client = quote(self._settings.client_id, safe=""), quote(self._secret, safe="")  # RFC 6749 section 2.3.1
        id_token = asked(Tokens, "POST", found.token_endpoint, data=form, auth=client).id_token
        keys = asked(Keys, "GET", found.jwks_uri).keys
        claims = self._checked(id_token, keys, begun.nonce, now)
        return Vouched(f"{self._settings.issuer} {claims['sub']}", claims, id_token)

    def admitted(self, vouched: Vouched) -> Person:
        """Who that is here. Raises NotAdmitted."""
        names = self._settings
        return admitted(vouched.claims.get(names.name_claim), vouched.claims.get(names.roles_claim), names.roles)

    def sign_out_at(self, id_token: str) -> str | None:
        """Where the browser goes to end its session with the provider as well; None where it cannot be told.

        That is OpenID Connect RP-Initiated Logout 1.0. Raises ProviderAway, BadAnswer.
        """
        endpoint = self.discovery().end_session_endpoint
        if endpoint is None:
            return None
        told = {
            "client_id": self._settings.client_id,
            "post_logout_redirect_uri": self._settings.address + "/sign-in",
        }
        hint = {"id_token_hint": id_token} if len(id_token) <= LONGEST_HINT else {}  # without it, the provider asks
        return _with(endpoint, told | hint)

    def _checked(self, id_token: str, keys: list[dict[str, Any]], nonce: str, now: datetime) -> Claims:
        """The claims of an ID token that is the provider's, for us, for this sign-in, and in time (Core 3.1.3.7)."""
        ours = self._settings.client_id
        wanted = JWTClaimsRegistry(
            int(now.timestamp()),
            SKEW,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": ours},
            azp={"value": ours},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        signed = JWSRegistry(algorithms=ALGORITHMS, strict_check_header=False)  # providers add headers of their own
        try:
            claims = jwt.decode(id_token, KeySet.import_key_set({"keys": keys}), registry=signed).claims
            wanted.validate(claims)
        except (JoseError, ValueError) as error:
            claim = getattr(error, "claim", None) or type(error).__name__
            raise BadAnswer(f"its ID token is not one that we may trust ({claim})") from error
        return claims


def _with(url: str, query: dict[str, str]) -> str:
    return f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
