"""Who may do what: roles and their rights."""

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


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in."""

    name: str
    role: Role

    def may(self, right: Right) -> bool:
        return right in RIGHTS[self.role]


@dataclass(frozen=True, slots=True)
class SessionLife:
    """When a session ends by itself."""

    idle: timedelta  # after the person's last action
    at_most: timedelta  # after signing in
