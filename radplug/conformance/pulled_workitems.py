"""The DICOM services by which workitems are done by DIMSE: UPS Pull, and the retrieval of their inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from dicom_io import offered, pulling, retrieving
from radplug.conformance.facts import Category, Context, Role, Service
from radplug.conformance.statuses import ranges
from radplug.settings import Settings

_LATER: Final = "tried again, with pauses that grow"


def ups_pull(settings: Settings) -> Service:
    site = settings.workitems
    scp = site.peer if site else None
    return Service(
        "Workitems by UPS Pull",
        Category.WORKFLOW,
        Role.SCU,
        on=scp is not None,
        setting="[workitems.peer]",
        proposed=Context.of([retrieving.proposed(pulling.UPS_PULL)]),
        peers=(scp.ae_title,) if scp else (),
        behaviour=(
            "As the performer (IHE AIW-I), each request on an association of its own. Keys of C-FIND are Input "
            "Readiness State READY, Procedure Step State SCHEDULED, our Scheduled Station Name Code"
            + (f", {site.station.split('^')[0]}" if site and scp else "")
            + ", and Scheduled Workitem Code where one is set, both by value and scheme; nothing of a patient.",
            "N-ACTION (Change UPS State) claims a workitem, IN PROGRESS; N-GET reads what is to be done; N-SET tells "
            "the references of the delivered draft, or why there is none; N-ACTION ends it, COMPLETED or CANCELED. "
            "They name the UPS Push SOP Class (PS3.4 CC.3.1) in the context of UPS Pull.",
            "UPS Watch, Event and Query are not proposed: no subscription is made, and no event taken.",
        ),
        on_answers={
            f"{ranges(pulling.CONFLICTS)} to a claim": "N-SET under our transaction tells whether it is ours; if "
            "another has it, it is left alone",
            f"{ranges(pulling.CONFLICTS)} to an end": "N-GET tells whether it had been heard before",
            ranges(pulling.ALREADY): "as 0000H",
            ranges(pulling.REFUSALS): "the workitem is CANCELED where it is ours, else left alone",
            f"{ranges(pulling.PASSING)}, any other, no answer, no association": _LATER,
        },
    )


def inputs_move(settings: Settings) -> Service:
    return _retrieval(
        settings,
        "c-move",
        "Retrieval of workitems' inputs by C-MOVE",
        Context.of([retrieving.proposed(retrieving.MOVE)]),
        f"the move destination is `{settings.listener.ae_title}`, our listener",
    )


def inputs_get(settings: Settings) -> Service:
    stored = (replace(context, roles="SCP") for context in Context.of(offered.storage()))
    return _retrieval(
        settings,
        "c-get",
        "Retrieval of workitems' inputs by C-GET",
        (*Context.of([retrieving.proposed(retrieving.GET)]), *stored),
        "C-STORE is taken on the same association, as SCP by role selection, for all that the listener takes",
    )


def _retrieval(settings: Settings, way: str, name: str, proposed: tuple[Context, ...], behaviour: str) -> Service:
    site = settings.workitems
    on = site is not None and site.images_url is None and site.retrieve_by == way
    return Service(
        name,
        Category.QUERY_RETRIEVE,
        Role.SCU,
        on=on,
        setting=f'[workitems] retrieve_by = "{way}"',
        proposed=proposed,
        peers=tuple(pacs.name for pacs in settings.pacs) if on else (),
        behaviour=(
            f"{way.upper()} of what the workitem names as its input, at STUDY, SERIES or IMAGE level, from the PACS "
            f"whose AE title it names; {behaviour}.",
            "A workitem whose images are at no PACS of the settings is CANCELED.",
        ),
        on_answers={
            "0000H": "the study is drafted when it is complete",
            f"{ranges(retrieving.PASSING)}, no answer, too late": _LATER,
            "any other": "the workitem is CANCELED",
        },
    )
