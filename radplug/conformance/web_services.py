"""The DICOM services over HTTP (PS3.18), each as `services` wants it."""

from __future__ import annotations

from typing import Final

from dicom_io import sending
from dicom_io.dicomweb import incoming, server, workitems
from dicom_io.dicomweb.store_answer import MEANINGS, MEDIA_TYPE
from radplug.conformance.facts import Category, Role, Service
from radplug.conformance.statuses import DEAD_LETTER, hexadecimal, ranges, tried_again
from radplug.settings import Settings

_AS_KEPT: Final = f'multipart/related; type="{incoming.DICOM}"; transfer-syntax=*'
_LATER: Final = f"{', '.join(map(str, sorted(server.PASSING)))}, 5xx, no answer"
_RETRIEVE: Final = "GET /studies/{study}"


def stow_origin(settings: Settings) -> Service:
    ours = settings.stow
    return Service(
        "Storage over the web by STOW-RS",
        Category.TRANSFER,
        Role.ORIGIN_SERVER,
        on=True,
        setting="",
        web=("POST /dicom-web/studies", "POST /dicom-web/studies/{study}"),
        behaviour=(
            f'The body is multipart/related; type="{incoming.DICOM}"; metadata and bulk data apart are not taken. What '
            "is kept, and how, is as with C-STORE; SOP Classes and transfer syntaxes are those of the listener.",
            f"It is let in by a bearer token of the scope `store`. At most {ours.at_once} requests go on at a time, "
            f"each up to {ours.largest_request_mib} MiB, each instance up to {ours.largest_instance_mib} MiB.",
            f"The answer is {MEDIA_TYPE}: 200 where all is safe, 202 where some is, 409 where none is. Else it is 400, "
            "406, 408, 413 or 415, where the request cannot be taken as it is; 401 or 403, without the token; 503, "
            "where there is no room, or too many come at a time.",
            "Retrieve URLs are empty: what is kept cannot be searched or retrieved over the web.",
        ),
        answers=MEANINGS,
    )


def stow_user(settings: Settings) -> Service:
    return Service(
        "Storage of draft reports by STOW-RS",
        Category.TRANSFER,
        Role.USER_AGENT,
        on=bool(settings.dicomweb),
        setting="[[dicomweb]]",
        web=("POST /studies",),
        peers=tuple(to.name for to in settings.dicomweb),
        behaviour=(
            f'One document a request, multipart/related; type="{incoming.DICOM}", explicit VR little endian. They are '
            f"made, checked and sent again as those that go by C-STORE. Wanted is an answer in {MEDIA_TYPE}.",
        ),
        on_answers={
            f"2xx, failure reason {hexadecimal(sending.THERE_ALREADY)} (it is there)": "the document has arrived",
            f"failure reason {ranges(sending.PASSING)}": tried_again(settings),
            f"{_LATER}, 202 without a word of the document": tried_again(settings),
            "any other": DEAD_LETTER,
        },
    )


def priors_user(settings: Settings) -> Service:
    asked = tuple(pacs.name for pacs in settings.pacs if pacs.priors == "dicomweb")
    return Service(
        "Search and retrieval of earlier studies by QIDO-RS and WADO-RS",
        Category.QUERY_RETRIEVE,
        Role.USER_AGENT,
        on=bool(asked),
        setting='[[pacs]] priors = "dicomweb"',
        web=("GET /studies?PatientID={patient}", "GET /studies/{study}/series", _RETRIEVE),
        peers=asked,
        behaviour=(
            f"Matches are asked for as {MEDIA_TYPE}, instances as {_AS_KEPT}. Fuzzy matching is not asked for.",
            "When it is asked, and what becomes of the answers, is as with C-FIND. Search and retrieval together have "
            f"{settings.drafting.priors_seconds:g} s; then the draft goes on.",
        ),
        on_answers={"any failure": "the draft goes on without; its case says why"},
    )


def workitems_user(settings: Settings) -> Service:
    site = settings.workitems
    return Service(
        "Workitems by UPS-RS",
        Category.WORKFLOW,
        Role.USER_AGENT,
        on=bool(site and site.url),
        setting="[workitems] url",
        web=(
            "GET /workitems?{keys}",
            "GET /workitems/{workitem}",
            "PUT /workitems/{workitem}/state",
            "POST /workitems/{workitem}?transaction-uid={transaction}",
        ),
        peers=(site.url,) if site and site.url else (),
        behaviour=(
            f"As the performer (IHE AIW-I), in {workitems.MEDIA_TYPE}. Keys are Input Readiness State READY, Procedure "
            "Step State SCHEDULED, our Scheduled Station Name Code"
            + (f", {site.station.split('^')[0]}" if site else "")
            + ", and Scheduled Workitem Code where one is set.",
            "A workitem is claimed (IN PROGRESS), its inputs are fetched, and it is COMPLETED with the references of "
            "the delivered draft as its output; or CANCELED, with a reason, where there is no draft.",
            f"Workitems are looked for every {site.poll_seconds:g} s; {site.at_once} at most are in hand at a time."
            if site
            else "Workitems are looked for at set intervals. No subscription is made, and no event taken.",
        ),
        on_answers={
            "409 to a claim": "the workitem is another's, and left alone",
            _LATER: "tried again, with pauses that grow",
            "any other": "the workitem is CANCELED where it is ours, else left alone",
        },
    )


def inputs_user(settings: Settings) -> Service:
    site = settings.workitems
    return Service(
        "Retrieval of workitems' inputs by WADO-RS",
        Category.QUERY_RETRIEVE,
        Role.USER_AGENT,
        on=bool(site and site.images_url),
        setting="[workitems]",
        web=(_RETRIEVE, f"{_RETRIEVE}/series/{{series}}"),
        peers=(site.images_url,) if site and site.images_url else (),
        behaviour=(
            f"Instances are asked for as {_AS_KEPT}. Those that the listener would take are kept as it keeps them.",
            "They are fetched from the address that is set, whatever a workitem says.",
        ),
        on_answers={_LATER: "tried again, with pauses that grow", "any other": "the workitem is CANCELED"},
    )
