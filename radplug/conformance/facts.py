"""What is said of a DICOM service: who asks whom for what, in which contexts, and what comes of each answer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pydicom.uid import UID
from pynetdicom.presentation import PresentationContext

INVESTIGATIONAL: Final = (
    "radplug is investigational software and not cleared as a medical device. All that it sends are drafts: partial, "
    "unverified and preliminary. Nothing in it can make a verified or a final report."
)


class Category(StrEnum):
    """As PS3.2 Annex N's overview has them."""

    TRANSFER = "Content transfer"
    QUERY_RETRIEVE = "Query and retrieve"
    WORKFLOW = "Workflow management"
    CONNECTIVITY = "Connectivity"


class Role(StrEnum):
    SCU = "SCU"
    SCP = "SCP"
    USER_AGENT = "user agent"
    ORIGIN_SERVER = "origin server"


DIMSE: Final = (Role.SCU, Role.SCP)


@dataclass(frozen=True, slots=True)
class Context:
    """A SOP Class in the transfer syntaxes in which it may be had, the preferred one first."""

    sop_class_uid: str
    syntaxes: tuple[str, ...]
    roles: str = "default"  # or, by role selection (PS3.7 D.3.3.4), those of whoever opens the association

    @classmethod
    def of(cls, contexts: Iterable[PresentationContext]) -> tuple[Context, ...]:
        return tuple(
            cls(
                str(context.abstract_syntax),
                tuple(map(str, context.transfer_syntax)),
                "SCU and SCP" if context.scu_role and context.scp_role else "default",
            )
            for context in contexts
        )

    @property
    def name(self) -> str:
        return UID(self.sop_class_uid).name


@dataclass(frozen=True, slots=True)
class Service:
    """A service of one role, as this site has it."""

    name: str
    category: Category
    role: Role
    on: bool
    setting: str  # that switches it on; empty: it is always on
    accepted: tuple[Context, ...] = ()  # on associations that peers open
    proposed: tuple[Context, ...] = ()  # on associations that we open
    web: tuple[str, ...] = ()  # requests over HTTP, ours or a peer's: `POST /studies, application/dicom`
    peers: tuple[str, ...] = ()  # whom we call
    behaviour: tuple[str, ...] = ()  # in sentences
    answers: Mapping[int, str] = field(default_factory=dict)  # what our statuses mean
    on_answers: Mapping[str, str] = field(default_factory=dict)  # what we do about a peer's statuses

    @property
    def sop_classes(self) -> tuple[str, ...]:
        """Without those for which we are called back as the other role, on associations that we open."""
        proposed = (context for context in self.proposed if context.roles == "default")
        return tuple(dict.fromkeys(context.sop_class_uid for context in (*self.accepted, *proposed)))
