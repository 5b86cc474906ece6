"""Rows of tokens: what lets a program in. Only the SHA-256 is kept; a token is too random to be guessed from it."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from radplug.people import SCOPES, Person
from radplug.records.database import Database
from radplug.records.schema import tokens

PREFIX = "radplug_"  # so that whoever finds one in a file knows what it is
USE_IS_NOTED_EVERY = timedelta(minutes=1)


class BadToken(Exception):
    """The token cannot be made or revoked; the text says why."""


@dataclass(frozen=True, slots=True)
class Token:
    name: str
    scopes: tuple[str, ...]
    made_at: datetime
    until: datetime
    used_at: datetime | None
    revoked_at: datetime | None

    @property
    def sender(self) -> str:
        """What stands where an AE title does, with what is sent in by it."""
        return sender_of(self.name)

    def lives(self, now: datetime) -> bool:
        return self.revoked_at is None and now < self.until


class Tokens:
    def __init__(self, database: Database) -> None:
        self._database = database

    def make(self, name: str, scopes: Iterable[str], now: datetime, until: datetime) -> str:
        """A new token, told this once. One that has ended may have its name again.

        Raises:
            BadToken: a bad name, no scope or an unknown one, or a token of that name still lives.
        """
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,50}", name):
            raise BadToken("a token's name has 1 to 50 letters, digits, dots, hyphens and underscores")
        chosen = sorted(set(scopes))
        if not chosen or not set(chosen) <= set(SCOPES):
            raise BadToken(f"a token has one or more scopes of {', '.join(SCOPES)}")
        secret = PREFIX + secrets.token_urlsafe(32)
        row = {"name": name, "digest": _digest(secret), "scopes": chosen, "made_at": now, "until": until}
        ended = tokens.c.revoked_at.is_not(None) | (tokens.c.until <= now)
        with self._database.writing() as connection:
            connection.execute(sa.delete(tokens).where(tokens.c.name == name, ended))
            if connection.execute(sa.select(tokens.c.name).where(tokens.c.name == name)).first():
                raise BadToken("a token of this name is in use; revoke it first, or take another name")
            connection.execute(sa.insert(tokens).values(row))
        return secret

    def revoke(self, name: str, now: datetime) -> None:
        """Raises BadToken where no token of that name lives."""
        lives = (tokens.c.name == name, tokens.c.revoked_at.is_(None), tokens.c.until > now)
        with self._database.writing() as connection:
            if connection.execute(sa.update(tokens).where(*lives).values(revoked_at=now)).rowcount != 1:
                raise BadToken("no token of this name is in use; `radplug token` lists them")

    def all(self) -> list[Token]:
        with self._database.reading() as connection:
            return [_token(row) for row in connection.execute(sa.select(tokens).order_by(tokens.c.name))]

    def whose(self, secret: str, now: datetime) -> Person | None:
        """Who holds a living token: nobody but the token itself, with its scopes for rights."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(tokens).where(tokens.c.digest == _digest(secret))).first()
        if row is None or not (token := _token(row)).lives(now):
            return None
        if token.used_at is None or token.used_at <= now - USE_IS_NOTED_EVERY:
            with self._database.writing() as connection:
                connection.execute(sa.update(tokens).where(tokens.c.name == token.name).values(used_at=now))
        return Person(f"token:{token.name}", scopes=frozenset(SCOPES[scope] for scope in token.scopes))


def sender_of(token: str) -> str:
    return token[:16]


def _token(row: sa.Row[Any]) -> Token:
    return Token(row.name, tuple(row.scopes), row.made_at, row.until, row.used_at, row.revoked_at)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
