"""The DICOM services of this radplug, each with its facts: the one place where a new one is entered."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Final

from pydicom.uid import ExplicitVRLittleEndian

from dicom_io import arrival, committing, offered, sending, signalling
from dicom_io.signals import Kind
from radplug.conformance import pulled_workitems, queries, web_services
from radplug.conformance.facts import Category, Context, Role, Service
from radplug.conformance.statuses import DEAD_LETTER, hexadecimal, ranges, tried_again
from radplug.settings import Settings
from radplug.shapes import SOP_CLASSES


def services(settings: Settings) -> tuple[Service, ...]:
    """All, those that are off at this site included."""
    return tuple(service(settings) for service in SERVICES)


def _verification_scp(_: Settings) -> Service:
    return Service(
        "Verification",
        Category.CONNECTIVITY,
        Role.SCP,
        on=True,
        setting="",
        accepted=Context.of([offered.verification()]),
        behaviour=("C-ECHO is answered, whatever the stations behind the listener are doing.",),
        answers={arrival.SUCCESS: "the listener is at work"},
    )


def _verification_scu(settings: Settings) -> Service:
    worklist, workitems = settings.modality_worklist, settings.workitems
    asked = (*(pacs.name for pacs in settings.pacs), *((worklist.ae_title,) if worklist else ()))
    asked += (workitems.peer.ae_title,) if workitems and workitems.peer else ()
    return Service(
        "Verification",
        Category.CONNECTIVITY,
        Role.SCU,
        on=bool(asked),
        setting="[[pacs]]",
        proposed=Context.of([offered.verification()]),
        peers=asked,
        behaviour=("Each is sent a C-ECHO by `radplug doctor`, and by nothing else.",),
    )


def _storage_scp(settings: Settings) -> Service:
    quiet, at_most = settings.assembly.quiet_seconds, settings.assembly.at_most_seconds
    return Service(
        "Storage of images and documents",
        Category.TRANSFER,
        Role.SCP,
        on=True,
        setting="",
        accepted=Context.of(offered.storage()),
        behaviour=(
            "Level 2 (full): every attribute is kept as it came, private ones included. The data set is written byte "
            "for byte; nothing is coerced and nothing converted.",
            "The same bytes again are answered as a success, and kept once. Other bytes under the same SOP Instance "
            "UID are kept as well, and the newest count.",
            "An object that radplug itself has made is kept when it comes back, and never taken for input.",
            "The end of an association is not the end of a study. A study is complete when all that was announced of "
            f"it is here; else when nothing has come for {quiet:g} s and nothing is missing; and {at_most:g} s after "
            "its first instance in any case. A later image opens it again.",
            "radplug is no archive: what it keeps cannot be queried or retrieved by DICOM.",
        ),
        answers=arrival.MEANINGS,
    )


def _storage_scu(settings: Settings) -> Service:
    shapes = dict.fromkeys(shape for pacs in settings.pacs for shape in pacs.shapes)
    syntaxes = _preferred_first(sending.proposed_syntaxes(ExplicitVRLittleEndian))
    return Service(
        "Storage of draft reports",
        Category.TRANSFER,
        Role.SCU,
        on=bool(settings.pacs),
        setting="[[pacs]]",
        proposed=tuple(Context(SOP_CLASSES[shape], syntaxes) for shape in shapes),
        peers=tuple(pacs.name for pacs in settings.pacs),
        behaviour=(
            "Each document goes on an association of its own, once its draft is made, accepted by a person, or made "
            "anew after late images. A resend is the same document, with the same UIDs.",
            "Each transfer syntax is proposed in a presentation context of its own; the documents are explicit VR "
            "little endian, and converted where the PACS takes implicit VR alone.",
            "Every document is checked against our own rules immediately before it is sent; one that is not a draft, "
            "or not fit, is not sent.",
        ),
        on_answers={
            f"0000H, any warning, {hexadecimal(sending.THERE_ALREADY)} (it is there)": "the document has arrived",
            ranges(sending.PASSING): tried_again(settings),
            "any other": DEAD_LETTER,
            "no answer, no association, or a transient rejection": tried_again(settings),
            "a permanent rejection, or no context accepted": DEAD_LETTER,
        },
    )


def _commitment_scu(settings: Settings) -> Service:
    asked = [pacs for pacs in settings.pacs if pacs.commitment]
    return Service(
        "Storage Commitment of draft reports",
        Category.TRANSFER,
        Role.SCU,
        on=bool(asked),
        setting="[[pacs]] commitment",
        accepted=Context.of([committing.offered()]),
        proposed=Context.of([committing.proposed()]),
        peers=tuple(pacs.name for pacs in asked),
        behaviour=(
            "N-ACTION follows each C-STORE that succeeded, with a Transaction UID of its own and one instance.",
            "N-EVENT-REPORT is taken on the association of the request, which is kept for "
            f"{committing.SAME_ASSOCIATION_SECONDS:g} s, or on one that the SCP opens, with role selection or without.",
            "What fails, or is not confirmed in time ("
            + ("; ".join(f"{pacs.name}: {pacs.commitment_seconds:g} s" for pacs in asked) or "commitment_seconds")
            + "), is sent and asked for again, up to `commitment_attempts` times; then it is a dead letter.",
        ),
        answers=committing.MEANINGS,
        on_answers={
            "0000H to N-ACTION": "the confirmation is waited for",
            f"{ranges(committing.PASSING)}, no answer": "asked again, with pauses that grow, until the answer is late",
            "any other": "as if the instance were not kept",
        },
    )


def _commitment_scp(settings: Settings) -> Service:
    return Service(
        "Storage Commitment of received instances",
        Category.TRANSFER,
        Role.SCP,
        on=settings.listener.commitment,
        setting="listener.commitment",
        accepted=Context.of([committing.offered()]),
        proposed=tuple(replace(context, roles="SCP") for context in Context.of([committing.proposed()])),
        peers=tuple(dict.fromkeys((*settings.listener.commitment_reports, *(pacs.ae_title for pacs in settings.pacs)))),
        behaviour=(
            "An instance is confirmed where its file is there with the SHA-256 of what came. Otherwise its Failure "
            "Reason is 0112H (absent, or changed on disk), 0119H (another SOP Class) or 0131H (the Transaction UID is "
            "in use by another request).",
            "N-EVENT-REPORT goes to those whose address is known, on an association that we open as SCP by role "
            "selection, and is tried again like a delivery; to others it goes once, on the association of the request.",
            "Storage Media File-Set ID and UID are not given: nothing is kept on media. Confirmed instances are kept "
            "until the site deletes them; radplug deletes none.",
        ),
        answers=committing.MEANINGS,
        on_answers={"0000H to N-EVENT-REPORT": "the sender is told", "any other, or no answer": tried_again(settings)},
    )


def _announced(settings: Settings, kind: Kind, name: str, behaviour: str) -> Service:
    return Service(
        name,
        Category.WORKFLOW,
        Role.SCP,
        on=kind in settings.assembly.signals,
        setting="assembly.signals",
        accepted=Context.of(signalling.offered([kind])),
        behaviour=(behaviour, "A study of which all that was announced is here closes at once; others wait."),
        answers=signalling.MEANINGS,
    )


def _mpps_scp(settings: Settings) -> Service:
    behaviour = "N-CREATE and N-SET are taken. Performed images are those of SOP Classes that the listener takes."
    return _announced(settings, Kind.MPPS, "Modality Performed Procedure Step", behaviour)


def _ian_scp(settings: Settings) -> Service:
    behaviour = "N-CREATE is taken. Instances that are neither ONLINE nor NEARLINE count as withdrawn."
    return _announced(settings, Kind.IAN, "Instance Availability Notification", behaviour)


SERVICES: Final[tuple[Callable[[Settings], Service], ...]] = (
    _storage_scp,
    _storage_scu,
    web_services.stow_origin,
    web_services.stow_user,
    _commitment_scu,
    _commitment_scp,
    queries.count_find,
    queries.priors_find,
    queries.priors_move,
    queries.priors_get,
    web_services.priors_user,
    queries.worklist_find,
    _mpps_scp,
    _ian_scp,
    web_services.workitems_user,
    pulled_workitems.ups_pull,
    web_services.inputs_user,
    pulled_workitems.inputs_move,
    pulled_workitems.inputs_get,
    _verification_scp,
    _verification_scu,
)


def _preferred_first(syntaxes: Collection[str]) -> tuple[str, ...]:
    return tuple(syntax for syntax in (*offered.UNCOMPRESSED, *offered.COMPRESSED) if syntax in syntaxes)
