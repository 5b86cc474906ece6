"""Rows of who may sign in, and of who has: accounts, sessions, links that sign in once.

Of a session's cookie and of a link only the SHA-256 is kept: who reads the database cannot sign in with it.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from functools import cache

import sqlalchemy as sa
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from radplug.people import LONGEST_NAME, Person, Role, SessionLife, is_name
from radplug.records.database import Database, insert_or_ignore
from radplug.records.schema import accounts, links, sessions

LONGEST_PASSWORD = 1024  # characters; hashing more would only keep us busy
SHORTEST_PASSWORD = 12
_HASHER = PasswordHasher()  # argon2id, the library's parameters (RFC 9106, low memory)


@cache
def _nobodys() -> str:
    """A hash of no password, so that an unknown name takes as long as a wrong password."""
    return _HASHER.hash(secrets.token_hex())


class BadAccount(Exception):
    """The account cannot be made; the text says why."""


class People:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, role: Role, password: str, now: datetime) -> None:
        """Make an account, or give one another role and password; its sessions end.

        Raises:
            BadAccount: no name, or a password that is too short or too long.
        """
        name = name.strip()
        if not is_name(name) or ":" in name:
            raise BadAccount(f"an account's name has 1 to {LONGEST_NAME} characters that can be printed, and no colon")
        if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
            raise BadAccount(f"a password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD} characters")
        self._put(name, role, _HASHER.hash(password), now)

    def add_without_password(self, name: str, role: Role, now: datetime) -> None:
        """An account into which only links sign in."""
        self._put(name, role, "", now)

    def _put(self, name: str, role: Role, password: str, now: datetime) -> None:
        row = {"name": name, "role": role, "password": password, "made_at": now}
        with self._database.writing() as connection:
            if not insert_or_ignore(connection, accounts, row):
                connection.execute(sa.update(accounts).where(accounts.c.name == name).values(row))
            connection.execute(sa.delete(sessions).where(sessions.c.account == name))

    def vouched_for(self, person: Person, subject: str, now: datetime) -> None:
        """Keep whom the hospital's provider vouches for, with the role that they have there now.

        `subject` is who they are to the provider, which may give a name to somebody else: the former's sessions end.
        """
        row = {"name": person.name, "role": person.role, "password": "", "subject": subject, "made_at": now}
        this = accounts.c.name == person.name
        with self._database.writing() as connection:
            if insert_or_ignore(connection, accounts, row):
                return
            if connection.scalar(sa.select(accounts.c.subject).where(this)) != subject:
                connection.execute(sa.delete(sessions).where(sessions.c.account == person.name))
            connection.execute(sa.update(accounts).where(this).values(row))

    def all(self) -> list[Person]:
        with self._database.reading() as connection:
            rows = connection.execute(sa.select(accounts).order_by(accounts.c.name))
            return [Person(row.name, Role(row.role)) for row in rows]

    def known(self, name: str, password: str) -> Person | None:
        """The person with that name and password."""
        with self._database.reading() as connection:
            row = connection.execute(sa.select(accounts).where(accounts.c.name == name)).first()
        try:
            _HASHER.verify(row.password if row else _nobodys(), password[:LONGEST_PASSWORD])
        except (VerifyMismatchError, InvalidHashError):
            return None
        return Person(row.name, Role(row.role)) if row else None

    # ── sessions ──

    def begin(self, person: Person, now: datetime, id_token: str | None = None) -> str:
        """A new session's secret, for its cookie."""
        secret = secrets.token_urlsafe(32)
        row = {"digest": _digest(secret), "account": person.name, "begun_at": now, "seen_at": now, "id_token": id_token}
        with self._database.writing() as connection:
            connection.execute(sa.insert(sessions).values(row))
        return secret

    def whose(self, secret: str, now: datetime, life: SessionLife) -> Person | None:
        """Who holds the session; None where there is no such session, or it has ended."""
        lives = (sessions.c.seen_at > now - life.idle) & (sessions.c.begun_at > now - life.at_most)
        held = sa.select(accounts.c.name, accounts.c.role, sessions.c.seen_at).join_from(sessions, accounts)
        with self._database.reading() as connection:
            row = connection.execute(held.where(sessions.c.digest == _digest(secret), lives)).first()
        return Person(row.name, Role(row.role)) if row else None

    def seen(self, secret: str, now: datetime) -> None:
        """The person has done something: the session's idle time begins anew."""
        with self._database.writing() as connection:
            connection.execute(sa.update(sessions).where(sessions.c.digest == _digest(secret)).values(seen_at=now))

    def end(self, secret: str) -> str | None:
        """End a session; gives the ID token that it began with, where it began with the hospital's account."""
        ended = sa.delete(sessions).where(sessions.c.digest == _digest(secret)).returning(sessions.c.id_token)
        with self._database.writing() as connection:
            return connection.execute(ended).scalar()

    def end_old(self, now: datetime, life: SessionLife) -> None:
        """Delete what has ended by itself."""
        over = (sessions.c.seen_at <= now - life.idle) | (sessions.c.begun_at <= now - life.at_most)
        with self._database.writing() as connection:
            connection.execute(sa.delete(sessions).where(over))
            connection.execute(sa.delete(links).where(links.c.until <= now))

    # ── links that sign in once ──

    def link(self, name: str, until: datetime) -> str:
        """A link's secret, for the account `name`."""
        secret = secrets.token_urlsafe(32)
        with self._database.writing() as connection:
            row = {"digest": _digest(secret), "account": name, "until": until}
            connection.execute(sa.insert(links).values(row))
        return secret

    def redeem(self, secret: str, now: datetime) -> Person | None:
        """Whom the link signs in; it does so once."""
        with self._database.writing() as connection:
            used = sa.delete(links).where(links.c.digest == _digest(secret), links.c.until > now)
            row = connection.execute(used.returning(links.c.account)).first()
            if row is None:
                return None
            found = connection.execute(sa.select(accounts).where(accounts.c.name == row.account)).one()
        return Person(found.name, Role(found.role))


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
