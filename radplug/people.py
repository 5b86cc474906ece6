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
    RULES = "see and edit routing rules"
    ACCOUNTS = "make accounts"
    STORE = "send in studies"  # by STOW-RS, which is for programs: no role has it


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.RADIOLOGIST: frozenset({Right.CASES, Right.PATIENTS, Right.REPORTS, Right.STEER, Right.TEMPLATES}),
    Role.TECHNOLOGIST: frozenset({Right.CASES, Right.PATIENTS}),
    Role.IT: frozenset({Right.CASES, Right.DELIVERIES, Right.RULES}),
    Role.ADMIN: frozenset(
        {Right.CASES, Right.PATIENTS, Right.REPORTS, Right.DELIVERIES, Right.TEMPLATES, Right.RULES, Right.ACCOUNTS}
    ),
}


SCOPES: Mapping[str, Right] = {right.name.lower(): right for right in Right}  # what a token is given rights by
HOSPITAL = "hospital:"  # begins the name of whoever signs in with the hospital's account; no local name has a colon
LONGEST_NAME = 64  # characters


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


class NotAdmitted(Exception):
    """The provider knows who it is, and we do not let them in; the text says why, for them to read."""


def admitted(name: object, groups: object, roles: Mapping[str, Role]) -> Person:
    """Who signs in with the hospital's account, given what its provider calls them and has put them into.

    Raises NotAdmitted.
    """
    if not isinstance(name, str) or not is_name(name) or not is_name(HOSPITAL + name):
        longest = LONGEST_NAME - len(HOSPITAL)
        raise NotAdmitted(f"the hospital's account has no name of 1 to {longest} characters that can be printed")
    theirs = [groups] if isinstance(groups, str) else groups if isinstance(groups, list) else []
    for group, role in roles.items():
        if group in theirs:
            return Person(HOSPITAL + name, role)
    raise NotAdmitted("your account at the hospital is known, and has no role for radplug; ask IT for one")


def is_name(name: str) -> bool:
    """Whether somebody may be called that, in rows, pages and the audit trail."""
    return 0 < len(name) <= LONGEST_NAME and name.isprintable() and name == name.strip()
