"""Who may do what: roles and their rights, and the scopes of tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


class Role(StrEnum):
    RADIOLOGIST = "radiologist"
    TECHNOLOGIST = "technologist"  # sees studies and their state, no report text
    IT = "it"  # sees states, destinations and dead letters, no patient data
    ADMIN = "admin"


class Right(StrEnum):
    CASES = "see cases"
    PATIENTS = "see patient data and images"
    REPORTS = "read report text"
    STEER = "steer, accept and discard drafts"
    DELIVERIES = "send dead letters again"
    TEMPLATES = "see and edit report templates"
    ACCOUNTS = "make accounts"


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.RADIOLOGIST: frozenset({Right.CASES, Right.PATIENTS, Right.REPORTS, Right.STEER, Right.TEMPLATES}),
    Role.TECHNOLOGIST: frozenset({Right.CASES, Right.PATIENTS}),
    Role.IT: frozenset({Right.CASES, Right.DELIVERIES}),
    Role.ADMIN: frozenset(
        {Right.CASES, Right.PATIENTS, Right.REPORTS, Right.DELIVERIES, Right.TEMPLATES, Right.ACCOUNTS}
    ),
}


SCOPES: Mapping[str, Right] = {right.name.lower(): right for right in Right}  # what a token is given rights by


@dataclass(frozen=True, slots=True)
class Person:
    """Who asks: somebody who is signed in and has a role, or a token, which has scopes instead."""

    name: str
    role: Role | None = None
    scopes: frozenset[Right] = frozenset()

    @property
    def is_token(self) -> bool:
        return self.role is None

    def may(self, right: Right) -> bool:
        return right in (RIGHTS[self.role] if self.role else self.scopes)


@dataclass(frozen=True, slots=True)
class SessionLife:
    """When a session ends by itself."""

    idle: timedelta  # after the person's last action
    at_most: timedelta  # after signing in
