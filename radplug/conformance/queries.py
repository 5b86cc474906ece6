"""The DICOM services by which other systems are asked: for counts, earlier studies and orders."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dicom_io import offered, retrieving, scheduled
from radplug.conformance.facts import Category, Context, Role, Service
from radplug.conformance.statuses import ranges
from radplug.settings import Settings

_NOT_NEGOTIATED: Final = "Relational queries, date-time matching and fuzzy matching are not negotiated."
_WITHOUT: Final = "the draft goes on without; its case says why"


def count_find(settings: Settings) -> Service:
    asked = [pacs for pacs in settings.pacs if pacs.count_instances]
    return Service(
        "Counting of a study's instances",
        Category.QUERY_RETRIEVE,
        Role.SCU,
        on=bool(asked),
        setting="[[pacs]] count_instances",
        proposed=Context.of([retrieving.proposed(retrieving.FIND)]),
        peers=tuple(pacs.name for pacs in asked),
        behaviour=(
            f"C-FIND at STUDY and SERIES level, by Study Instance UID. {_NOT_NEGOTIATED}",
            "It is asked when a study has been quiet, before it closes.",
        ),
        on_answers={"matches": "their counts are compared with what is here", "any failure": "quiet time alone counts"},
    )


def priors_find(settings: Settings) -> Service:
    asked = [pacs for pacs in settings.pacs if pacs.priors in ("c-move", "c-get")]
    return Service(
        "Search for earlier studies",
        Category.QUERY_RETRIEVE,
        Role.SCU,
        on=bool(asked),
        setting="[[pacs]] priors",
        proposed=Context.of([retrieving.proposed(retrieving.FIND)]),
        peers=tuple(pacs.name for pacs in asked),
        behaviour=(
            "C-FIND at STUDY level, by Patient ID, which is never empty and has no wildcard; then at SERIES level, by "
            f"Study Instance UID, of studies that come into question. {_NOT_NEGOTIATED}",
            "It is asked before a draft, where a rule wants earlier studies. Whether one is the same patient's is "
            "told by Patient ID, issuer and birth date, here and again in the images. By the Accession Number signed "
            "reports are found that have come by HL7.",
        ),
        on_answers={"matches": "those that the rule wants are retrieved", "any failure": _WITHOUT},
    )


def priors_move(settings: Settings) -> Service:
    return _retrieval(
        settings,
        "c-move",
        "Retrieval of earlier studies by C-MOVE",
        Context.of([retrieving.proposed(retrieving.MOVE)]),
        f"C-MOVE at STUDY level; the move destination is `{settings.listener.ae_title}`, our listener.",
    )


def priors_get(settings: Settings) -> Service:
    stored = (replace(context, roles="SCP") for context in Context.of(offered.storage()))
    return _retrieval(
        settings,
        "c-get",
        "Retrieval of earlier studies by C-GET",
        (*Context.of([retrieving.proposed(retrieving.GET)]), *stored),
        "C-GET at STUDY level; C-STORE is taken on the same association, as SCP by role selection, for all that the "
        "listener takes.",
    )


def worklist_find(settings: Settings) -> Service:
    worklist = settings.modality_worklist
    return Service(
        "Modality Worklist",
        Category.WORKFLOW,
        Role.SCU,
        on=worklist is not None,
        setting="[modality_worklist]",
        proposed=Context.of([retrieving.proposed(scheduled.WORKLIST)]),
        peers=(worklist.ae_title,) if worklist else (),
        behaviour=(
            "C-FIND by Accession Number, and by Patient ID where that gives no order, of studies that came without "
            f"one. Neither is ever empty or has a wildcard. {_NOT_NEGOTIATED}",
            "No draft waits for the answer. An order that came by HL7 counts before one that was asked for.",
        ),
        on_answers={
            "matches": "the one of the same patient, with the study's UID or accession number; of several, none",
            f"{ranges(retrieving.PASSING)}, no answer": "asked again, with pauses that grow"
            + (f", up to {worklist.attempts} times" if worklist else ""),
            "any other": "the draft is made without an order",
        },
    )


def _retrieval(settings: Settings, way: str, name: str, proposed: tuple[Context, ...], behaviour: str) -> Service:
    asked = tuple(pacs.name for pacs in settings.pacs if pacs.priors == way)
    return Service(
        name,
        Category.QUERY_RETRIEVE,
        Role.SCU,
        on=bool(asked),
        setting=f'[[pacs]] priors = "{way}"',
        proposed=proposed,
        peers=asked,
        behaviour=(
            behaviour,
            "Studies that a rule wants for a draft are retrieved, one after the other. Search and retrieval together "
            f"have {settings.drafting.priors_seconds:g} s; then the draft goes on.",
        ),
        on_answers={"0000H": "the study's report and images are kept for the draft", "any other, too late": _WITHOUT},
    )
