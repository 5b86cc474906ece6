"""OpenID providers on loopback: a real implementation, and one that answers as no honest one does."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
from joserfc import jwt
from joserfc.jwk import RSAKey
from oidc_provider_mock import User, run_server_in_thread

from radplug.web.provider import BACK

CLIENT, SECRET = "radplug", "a secret, with % and : in it"
ROLES = {"doctors": "radiologist", "technicians": "technologist"}
PEOPLE = {
    "sub-1": {"preferred_username": "maria", "roles": ["staff", "doctors"]},
    "sub-2": {"preferred_username": "otto", "roles": ["staff"]},
}

KEY = RSAKey.generate_key(2048, auto_kid=True)


def openid(folder: Path, issuer: str, address: str, client: str = CLIENT, secret: str = SECRET) -> dict[str, Any]:
    """What a site sets for it."""
    file = folder / "openid-secret"
    file.write_text(secret + "\n", encoding="utf-8")
    return {
        "issuer": issuer,
        "address": address,
        "client_id": client,
        "client_secret_file": file,
        "roles": ROLES,
    }


@contextmanager
def real_provider(folder: Path, address: str) -> Iterator[dict[str, Any]]:
    """A provider that knows PEOPLE, and what a site at `address`, which is registered there, sets for it."""
    users = [User(sub=sub, claims=claims) for sub, claims in PEOPLE.items()]
    with run_server_in_thread(require_client_registration=True, require_nonce=True, user_claims=users) as server:
        issuer = f"http://localhost:{server.server_port}"
        client = httpx2.post(f"{issuer}/oauth2/clients", json={"redirect_uris": [address + BACK]}).json()
        yield openid(folder, issuer, address, client["client_id"], client["client_secret"])


def consent(there: str, **form: str) -> str:
    """What a person does on the real provider's page; where they are sent then, on our site."""
    return path_of(httpx2.post(there, data=form).headers["location"])


def path_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}"


def query_of(url: str) -> dict[str, str]:
    return {key: value for key, (value,) in parse_qs(urlsplit(url).query).items()}


@dataclass
class OddProvider:
    """Knows maria, checks code, secret and PKCE, and signs whatever it is told to."""

    issuer: str = ""
    named: dict[str, object] = field(default_factory=dict)  # instead of what its discovery document says
    claims: dict[str, object] = field(default_factory=dict)  # instead of those of an honest ID token; None: left out
    header: dict[str, str] = field(default_factory=lambda: {"alg": "RS256"})
    key: Any = field(default_factory=lambda: KEY)
    published: list[Any] = field(default_factory=list)
    answer: bytes | None = None  # of its token endpoint, instead of an honest one
    asked: dict[str, str] = field(default_factory=dict)

    def consent(self, there: str) -> str:
        """Remember what a sign-in asks for; where the browser is sent then, on our site."""
        self.asked = query_of(there)
        return f"{BACK}?code=the-code&state={self.asked['state']}"

    def discovery(self) -> dict[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": self.issuer + "/authorize?tenant=1",
            "token_endpoint": self.issuer + "/token",
            "jwks_uri": self.issuer + "/keys",
        } | self.named

    def keys(self) -> dict[str, object]:
        post_quantum = {"kty": "AKP", "kid": "unknown to us"}
        return {"keys": [post_quantum, *(key.as_dict(private=False) for key in self.published or [self.key])]}

    def tokens(self, form: dict[str, str], authorization: str) -> tuple[int, bytes]:
        challenge = urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        if (
            b64decode(authorization.removeprefix("Basic "))
            != b"radplug:a%20secret%2C%20with%20%25%20and%20%3A%20in%20it"
        ):
            return 401, b'{"error": "invalid_client"}'
        if (form["code"], challenge, "S256") != (
            "the-code",
            self.asked["code_challenge"],
            self.asked["code_challenge_method"],
        ):
            return 400, b'{"error": "invalid_grant"}'
        now = int(time.time())
        honest = {"iss": self.issuer, "aud": CLIENT, "exp": now + 300, "iat": now, "nonce": self.asked["nonce"]}
        claims = {**honest, "sub": "sub-1", **PEOPLE["sub-1"], **self.claims}
        kept = {name: value for name, value in claims.items() if value is not None}
        kid = {"kid": self.key.kid} if self.key.kid else {}
        token = jwt.encode({**kid, **self.header}, kept, self.key, algorithms=[self.header["alg"]])
        return 200, self.answer or json.dumps({"id_token": token, "token_type": "Bearer"}).encode()


@contextmanager
def odd_provider() -> Iterator[OddProvider]:
    provider = OddProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(200, json.dumps(provider.keys() if self.path == "/keys" else provider.discovery()).encode())

        def do_POST(self) -> None:
            form = query_of("?" + self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._say(*provider.tokens(form, self.headers["Authorization"]))

        def _say(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield provider
        server.shutdown()
        thread.join()
