"""The DICOM Conformance Statement, in the order of PS3.2 Annex N."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date

from pydicom.uid import UID

from dicom_io.draft_object import SERIES_DESCRIPTION
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from radplug import __version__
from radplug.conformance.communication import associations, configuration, security
from radplug.conformance.facts import DIMSE, INVESTIGATIONAL, Category, Context, Role, Service
from radplug.conformance.markdown import Section, bullets, code, document, table
from radplug.conformance.objects import attributes
from radplug.conformance.services import services
from radplug.settings import Settings
from radplug.shapes import KINDS, SERIES_NUMBERS, SOP_CLASSES


def statement(settings: Settings, on: date) -> str:
    """The statement of a site with these settings, as Markdown."""
    everything = services(settings)
    at_work = [service for service in everything if service.on]
    syntaxes = _Syntaxes(at_work)
    sections = (
        Section(
            "Overview", (_OVERVIEW, _supported(at_work), _on_the_web(at_work), _missing(at_work)), (_off(everything),)
        ),
        _introduction(),
        _model(settings, at_work),
        Section(
            "Service and application entity specifications",
            (f"All services are those of one application entity, {code(settings.listener.ae_title)}.", syntaxes.table),
            tuple(_specified(service, syntaxes) for service in at_work),
        ),
        associations(settings, at_work),
        configuration(settings),
        _character_sets(),
        security(settings),
        Section("Information objects that are created", (_PRESENCE,), tuple(_created(settings))),
    )
    cover = (
        table(
            ("", ""),
            (
                ("Product", f"radplug {__version__}"),
                ("AE title", code(settings.listener.ae_title)),
                ("Implementation Class UID", code(IMPLEMENTATION_CLASS_UID)),
                ("Implementation Version Name", code(IMPLEMENTATION_VERSION_NAME)),
                ("Date of this document", on.isoformat()),
            ),
        ),
        "Written by `radplug conformance` from the settings of this site and from the code, not by hand: it tells of "
        "this installation, as it is set up now. Write it anew after a change of settings or of version.",
    )
    return document("DICOM Conformance Statement of radplug", cover, sections)


_OVERVIEW = (
    "radplug receives studies, has a model draft a report on each, and stores the draft in the PACS, in the study that "
    "it is about. Other systems send it HL7 orders and take HL7 results: see its HL7 statement."
)


def _supported(at_work: Iterable[Service]) -> str:
    """The overview's table: each SOP Class, and in which role it is to be had at this site."""
    roles: dict[tuple[Category, str], set[Role]] = {}
    for service in at_work:
        for sop_class in service.sop_classes:
            roles.setdefault((service.category, sop_class), set()).add(service.role)
    rows = [
        (category, UID(sop_class).name, code(sop_class), *("yes" if role in found else "no" for role in DIMSE))
        for (category, sop_class), found in sorted(roles.items(), key=lambda item: list(Category).index(item[0][0]))
    ]
    return table(("Service class", "SOP Class", "UID", *DIMSE), rows)


def _on_the_web(at_work: Iterable[Service]) -> str:
    rows = [(service.category, service.name, service.role) for service in at_work if service.web]
    return table(("Service class", "Web service", "Role"), rows)


def _missing(at_work: Iterable[Service]) -> str:
    missing = [category for category in Category if category not in {service.category for service in at_work}]
    return f"At this site there are no services of: {', '.join(missing)}." if missing else ""


def _off(everything: Iterable[Service]) -> Section:
    off = [service for service in everything if not service.on]
    rows = [(service.name, service.role, code(service.setting)) for service in off]
    text = "This version has these services as well; the settings of this site do not use them."
    return Section("Off at this site", (text, table(("Service", "Role", "Setting"), rows)) if rows else ("None.",))


_AUDIENCE = "Those who connect a PACS, a modality or another system with radplug, and those who answer for it."
_REMARKS = (
    "This statement alone does not promise that two systems work together: it is where to begin comparing. Whether "
    "they do is found out by trying; `radplug acceptance` helps."
)
_ABBREVIATIONS = (
    "AE application entity; SCU, SCP service class user and provider; SOP service-object pair; PDU protocol data unit; "
    "SR structured report."
)
_REFERENCES = "DICOM PS3 (NEMA), of which PS3.2 Annex N gives the order; HL7 version 2."


def _introduction() -> Section:
    parts = (
        Section("Revision history", ("CHANGELOG.md, which comes with each version.",)),
        Section("Audience", (_AUDIENCE,)),
        Section("Remarks", (INVESTIGATIONAL, _REMARKS)),
        Section("Abbreviations", (_ABBREVIATIONS,)),
        Section("References", (_REFERENCES,)),
    )
    return Section("Introduction", (), parts)


_FLOW = """```
modality, PACS ──C-STORE──► listener ──► study complete ──► draft ──C-STORE──► PACS
                                                               └───HL7 ORU──► reporting system
```"""
_STATIONS = (
    "The listener is a process of its own: it takes what comes, whatever the others do. Drafting and sending wait for "
    "nobody, and are done again after a restart from what is in the database."
)
_SEQUENCING = (
    "Instances may come in any order and on any number of associations. A draft is sent once the study is complete; "
    "late images, and a draft that a person has accepted, bring a further version, whose SR names the one before in "
    "Predecessor Documents Sequence. To each PACS the versions go one after the other."
)


def _model(settings: Settings, at_work: Iterable[Service]) -> Section:
    ours = settings.listener
    called = ", ".join(code(title) for title in sorted(ours.ae_titles))
    activities = table(
        ("Activity", "Role", "Calls"), [(service.name, service.role, ", ".join(service.peers)) for service in at_work]
    )
    entity = f"It answers to {called}, and calls as {code(ours.ae_title)}. {_STATIONS}"
    parts = (
        Section("Application data flow", (_FLOW, activities)),
        Section("Functional definition of the application entity", (entity,)),
        Section("Sequencing", (_SEQUENCING,)),
    )
    return Section("Implementation model", (), parts)


class _Syntaxes:
    """Letters for the lists of transfer syntaxes, so that each is written once."""

    def __init__(self, at_work: Iterable[Service]) -> None:
        contexts = [context for service in at_work for context in (*service.accepted, *service.proposed)]
        lists = dict.fromkeys(context.syntaxes for context in contexts)
        self._letters = dict(zip(lists, "ABCDEFGHIJKLMNOPQRSTUVWXYZ", strict=False))

    @property
    def table(self) -> str:
        rows = [
            (letter, "; ".join(f"{UID(syntax).name} {code(syntax)}" for syntax in syntaxes))
            for syntaxes, letter in self._letters.items()
        ]
        return table(("Transfer syntaxes", "In order of preference"), rows)

    def letter(self, context: Context) -> str:
        return self._letters[context.syntaxes]


def _specified(service: Service, syntaxes: _Syntaxes) -> Section:
    def contexts(found: Iterable[Context]) -> str:
        rows = [
            (
                context.name,
                code(context.sop_class_uid),
                syntaxes.letter(context),
                context.roles,
            )
            for context in found
        ]
        return table(("Abstract syntax", "UID", "Transfer syntaxes", "Roles of who calls"), rows)

    blocks = [bullets(service.behaviour), bullets(map(code, service.web))]
    if service.accepted:
        blocks += ["Presentation contexts that are accepted:", contexts(service.accepted)]
    if service.proposed:
        peers = f" to {', '.join(service.peers)}" if service.peers else ""
        blocks += [f"Presentation contexts that are proposed{peers}:", contexts(service.proposed)]
    if service.answers:
        answers = [(f"{status:04X}H", meaning) for status, meaning in service.answers.items()]
        what = "Failure Reasons of single instances" if service.web else "Statuses that are answered"
        blocks += [f"{what}:", table(("Status", "Meaning"), answers)]
    if service.on_answers:
        blocks += [
            "What is done about a peer's answers:",
            table(("Answer", "What is done"), service.on_answers.items()),
        ]
    return Section(f"{service.name} ({service.role})", tuple(blocks))


def _character_sets() -> Section:
    return Section(
        "Character sets",
        (
            "All that is created is in `ISO_IR 192` (UTF-8); there is no other choice. What is received is read in "
            "the character set that it names, single and multi-byte, with code extensions; what cannot be decoded is "
            "kept as it came, and shown with replacement characters.",
        ),
    )


_PRESENCE = (
    "ALWAYS: with a value; VNAP: the value is empty where it is not known; ANAP: not there where it is not known; "
    "EMPTY: always without a value. The source says where a value comes from: the study's images, the order, the "
    "draft, the report template, the model, the settings (`[device]`), or generated for the object; otherwise it is "
    "the value itself. A further version has Predecessor Documents Sequence (0040,A360) as well where it is an SR."
)


def _created(settings: Settings) -> Iterator[Section]:
    for shape, kind in KINDS.items():
        if peers := [pacs.name for pacs in settings.pacs if shape in pacs.shapes]:
            about = (
                f"{UID(SOP_CLASSES[shape]).name} {code(SOP_CLASSES[shape])}, to {', '.join(peers)}. It has a series "
                f"of its own in the study, number {SERIES_NUMBERS[kind]}, described as {code(SERIES_DESCRIPTION)}."
            )
            rows = [(one.name, one.tag, one.vr, one.presence, one.source) for one in attributes(shape, settings.device)]
            yield Section(shape, (about, table(("Attribute", "Tag", "VR", "Presence", "Source"), rows)))
