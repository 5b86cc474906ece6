"""What the statements say is so: of a listener that runs, and of what is proposed to a PACS, made, sent and read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from commitment_peers import pacs
from houses import send_study
from peers import free_port, wait_until
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_description
from pydicom.uid import UID_dictionary
from pynetdicom import AE, build_context, build_role
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext
from statements import Statement
from typer.testing import CliRunner

from hl7.acknowledgement import answers
from hl7.message import Message, Segment
from radplug import pipeline
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.cli import app
from radplug.conformance import dicom_statement, hl7_statement
from radplug.conformance.messages import HEADER, RECEIVED, Place, Received
from radplug.conformance.services import services
from radplug.domain import DocumentKind
from radplug.hl7_in.reading import Reader
from radplug.settings import Settings, load
from radplug.shapes import KINDS
from radplug.wiring import House

TODAY = date(2026, 1, 1)
CONTEXTS = ("Abstract syntax", "UID", "Transfer syntaxes", "Roles of who calls")
SYNTAXES = ("Transfer syntaxes", "In order of preference")
PUSH = "1.2.840.10008.1.20.1"
EXPLICIT, BIG_ENDIAN = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
MOST = 128  # presentation contexts of an association
Offer = tuple[str, str]  # abstract syntax, transfer syntax


def stated(statement: Statement, what: str) -> dict[Offer, str]:
    """Of the tables that say what is `accepted` or `proposed`, every offer and the roles that go with it."""
    ((_, letters),) = statement.tables(*SYNTAXES)
    lists = {letter: [each.rpartition(" `")[2].strip("`") for each in text.split("; ")] for letter, text in letters}
    return {
        (uid, syntax): roles
        for said, rows in statement.tables(*CONTEXTS)
        if f"are {what}" in said
        for _, uid, letter, roles in rows
        for syntax in lists[letter]
    }


# ── the listener ──


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Statement, Settings]]:
    """The statement of a site whose listener runs as a station of its own."""
    root = tmp_path_factory.mktemp("site")
    file = root / "radplug.toml"
    file.write_text(
        f"""
[listener]
host = "127.0.0.1"
port = {free_port()}
calling_ae_titles = ["CT1", "PACS"]
further_ae_titles = ["SECOND"]
maximum_pdu = 65536
maximum_associations = 3
commitment = true
[store]
data = {json.dumps(str(root / "data"))}
keep_free_mib = 1
"""
    )
    house = House(load(file), "test")
    house.database.migrate()
    with (root / "log").open("wb") as log:
        command = [sys.executable, "-m", "radplug.cli", "--config", str(file), "listen"]
        station = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: any(s.ready_at for s in house.stations.all()), 60, "the listener is ready")
        yield Statement(dicom_statement.statement(house.settings, TODAY)), house.settings
    finally:
        station.terminate()
        station.wait()
        house.database.close()


def called(settings: Settings, contexts: Sequence[PresentationContext], **other: Any) -> Association:
    titles = {"calling": "CT1", "called": "RADPLUG", **other}
    ae = AE(titles["calling"])
    roles = [build_role(context.abstract_syntax, scu_role=True, scp_role=True) for context in contexts]
    negotiated = {"ext_neg": roles} if titles.get("roles") else {}
    return ae.associate("127.0.0.1", settings.listener.port, list(contexts), ae_title=titles["called"], **negotiated)


def test_the_listener_accepts_what_the_statement_names_and_nothing_else(site: tuple[Statement, Settings]) -> None:
    statement, settings = site
    named = stated(statement, "accepted")
    known = {syntax for _, syntax in named}
    others = {uid for uid, (_, kind, *_) in UID_dictionary.items() if kind == "SOP Class"} - {uid for uid, _ in named}
    offers = [
        *product({uid for uid, _ in named}, known | {BIG_ENDIAN, "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.100"}),
        *product(others, [EXPLICIT]),
    ]
    accepted: set[Offer] = set()
    for start in range(0, len(offers), MOST):
        association = called(settings, [build_context(*offer) for offer in offers[start : start + MOST]])
        accepted |= {(str(c.abstract_syntax), str(c.transfer_syntax[0])) for c in association.accepted_contexts}
        association.abort()
    assert accepted == set(named)


def test_of_several_transfer_syntaxes_the_first_one_of_the_list_is_taken(site: tuple[Statement, Settings]) -> None:
    statement, settings = site
    first: dict[str, str] = {}
    for uid, syntax in (offers := stated(statement, "accepted")):
        first.setdefault(uid, syntax)
    contexts = [build_context(uid, [syntax for of, syntax in offers if of == uid][::-1]) for uid in first]
    association = called(settings, contexts)
    assert {str(c.abstract_syntax): str(c.transfer_syntax[0]) for c in association.accepted_contexts} == first
    association.abort()


def test_roles_and_limits_are_those_that_are_stated(site: tuple[Statement, Settings]) -> None:
    statement, settings = site
    roles = {uid: roles for (uid, _), roles in stated(statement, "accepted").items()}
    association = called(settings, [build_context(uid, EXPLICIT) for uid in roles], roles=True)
    for context in association.accepted_contexts:
        both = (context.as_scu, context.as_scp) == (True, True)
        assert both == (roles[str(context.abstract_syntax)] == "SCU and SCP")
    assert statement.value("Maximum length PDU that is asked for") == f"{association.acceptor.maximum_length} bytes"
    assert statement.value("Implementation Class UID") == association.acceptor.implementation_class_uid
    assert statement.value("Implementation Version Name") == association.acceptor.implementation_version_name
    verification = [build_context("1.2.840.10008.1.1", EXPLICIT)]
    most = int(statement.value("Associations at a time").split(";")[0])
    more = [called(settings, verification) for _ in range(most)]
    assert [each.is_established for each in more] == [True] * (most - 1) + [False]
    for each in (association, *more):
        each.abort()
    ours = statement.value("Called AE titles that are accepted").replace("`", "").split(", ")
    theirs = statement.value("Calling AE titles that are accepted").replace("`", "").split(", ")
    for calling, name in product([*theirs, "STRANGER"], [*ours, "OTHER"]):
        each = called(settings, verification, calling=calling, called=name)
        assert each.is_established == (calling in theirs and name in ours)
        each.release()


def test_what_is_off_is_said_to_be_off_and_where_it_is_switched_on(build: Callable[..., House]) -> None:
    statement = Statement(dicom_statement.statement(build().settings, TODAY))
    ((_, rows),) = statement.section("Off at this site").tables("Service", "Role", "Setting")
    assert {setting for *_, setting in rows} == {
        *("[[pacs]]", "[[pacs]] commitment", "[[pacs]] count_instances", "[[pacs]] priors", "listener.commitment"),
        *(f'[[pacs]] priors = "{way}"' for way in ("c-move", "c-get", "dicomweb")),
        *("[[dicomweb]]", "[modality_worklist]", "[workitems]"),
    }
    assert PUSH not in {uid for uid, _ in stated(statement, "accepted")}
    assert not stated(statement, "proposed")


# ── what a PACS is sent ──


def test_a_pacs_is_proposed_what_is_stated_and_sent_objects_as_they_are_stated(
    build: Callable[..., House], tmp_path: Path
) -> None:
    with pacs() as peer:
        at = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": peer.port, "commitment": True}
        house = build(pacs=[{**at, "shapes": list(KINDS)}], drafting={"assume_body_part": "CHEST"})
        statement = Statement(dicom_statement.statement(house.settings, TODAY))
        case = send_study(house, tmp_path / "study")
        pipeline.draft(house, case.id, "worker")
        pipeline.deliver(house, case.id)
    asked = {(uid, syntax) for uid, syntax in stated(statement, "proposed") if uid != "1.2.840.10008.1.1"}
    assert peer.proposed == asked
    assert peer.maximum_lengths == {int(statement.section("Associations that are opened").value(PDU).split()[0])}
    shapes = {kind: shape for shape, kind in KINDS.items()}
    for delivery in house.viewing.deliveries(case.id):
        made = dcmread(house.store.path(delivery.document.file))
        compare(statement.section(shapes[delivery.document.kind]), made, delivery.document.kind)


ORIGINS = {"images", "order", "draft", "template", "model", "settings", "generated", "always the same", ""}
PDU = "Maximum length PDU that is asked for"


def compare(section: Statement, made: Dataset, kind: DocumentKind) -> None:
    """A real object with what is stated of such objects."""
    ((_, rows),) = section.tables("Attribute", "Tag", "VR", "Presence", "Source")
    rows_of = {tag: (presence, source) for _, tag, _, presence, source in rows}
    for element in made:
        tag = f"({element.tag.group:04X},{element.tag.element:04X})"
        assert tag in rows_of, f"{kind}: nothing is said of {dictionary_description(element.tag)}"
        presence, source = rows_of.pop(tag)
        assert element.is_empty == (presence == "EMPTY") or presence == "VNAP", tag
        if not ORIGINS.issuperset(source.split(", ")):
            assert source == ("\\".join(element.value) if element.VM > 1 else str(element.value))
    assert {presence for presence, _ in rows_of.values()} <= {"ANAP"}


# ── HL7 ──


SAMPLES = {
    "ORM^O01": ["PID|1||1", "ORC|NW", f"OBR|1{'|' * 17}A1"],
    "OMI^O23": ["PID|1||1", "ORC|NW", "OBR|1", "IPC|A1"],
    "ADT^A08": ["PID|1||1^^^H^MR"],
    "ADT^A31": ["PID|1||1^^^H^MR"],
    "ADT^A40": ["PID|1||1^^^H^MR", "MRG|2"],
    "ADT^A47": ["PID|1||1^^^H^MR", "MRG|2"],
    "ORU^R01": ["OBR|1||A1", "OBX|1|TX|C||No effusion.||||||P"],
    "MDM^T02": ["TXA|1||||||||||||||A1", "OBX|1|TX|C||No effusion.||||||P"],
    "MDM^T08": ["OBR|1||A1", "OBX|1|TX|C||No effusion.||||||P"],
}
SIGNED = {
    "ORU^R01": ["PID|1||1^^^H^MR", f"OBR|1||A1{'|' * 22}F", "OBX|1|TX|C||No effusion.||||||F"],
    "MDM^T02": ["PID|1||1^^^H^MR", "TXA|1||||||||||||||A1||AU", "OBX|1|TX|C||No effusion.||||||F"],
}


@pytest.mark.parametrize("received", RECEIVED, ids=lambda one: one.types[0])
def test_the_fields_that_are_read_are_those_that_are_stated(received: Received) -> None:
    read: set[Place] = set()

    class Watched(Message):
        def raw(self, segment: str | Segment, number: int) -> str:
            read.add((segment if isinstance(segment, str) else segment[0], number))
            return Message.raw(self, segment, number)

    samples = [(kind, of[kind]) for kind in received.types for of in (SAMPLES, SIGNED) if kind in of]
    for (kind, body), header in product(samples, ("", "|||AL|AL")):
        segments = (f"MSH|^~\\&|RIS|H|RADPLUG|H|2026||{kind}|1|P|2.5.1{header}", *body)
        message = Watched.parse("\r".join(segments).encode())
        Reader({}, "1.2.3").read(message, datetime.now(UTC))
        answers(message)
    assert read == {field.place for field in (*HEADER, *received.fields)}


@pytest.mark.parametrize("style", ["repeat", "line", "ft"])
def test_what_a_reporting_system_is_sent_is_what_is_stated(
    build: Callable[..., House], tmp_path: Path, style: str
) -> None:
    fields = {"OBR-24": "CT", "ZDS-1": "{study_uid}^RADPLUG"}
    with SimulatedRis(tmp_path / "ris") as ris:
        there = {"name": "ris", "host": "127.0.0.1", "port": ris.port, "text_style": style}
        house = build(reporting=[{**there, "pdf": True, "fields": fields}])
        case = send_study(house, tmp_path / "study")
        pipeline.draft(house, case.id, "worker")
        for _ in range(2):
            pipeline.deliver(house, case.id)
        sent = [Message.parse(file.read_bytes()) for file in ris.received]
    statement = Statement(hl7_statement.statement(house.settings, TODAY)).section("To ris")
    for name, message in zip(("The draft as text", "The draft as a PDF"), sent, strict=True):
        ((_, rows),) = statement.section(name).tables("Field", "Content")
        assert ["OBR-24", "CT"] in rows
        said = {(field, content) for field, content in rows}
        for segment in message.segments:
            for number, content in enumerate(segment[1:], 1):
                field = f"{segment[0]}-{number}"
                contents = {stated for of, stated in said if of == field}
                fixed = {each for each in contents if "{" not in each and not each.startswith(("2000", "1900"))}
                assert not content or contents, f"{field} is not stated"
                assert not content or fixed != contents or content in fixed or field in SEVERAL, field


SEVERAL = ("OBX-1", "OBX-3", "OBX-5")  # more sections than the one in the sample


# ── the command ──


def test_the_command_prints_both_or_writes_them(tmp_path: Path) -> None:
    file = tmp_path / "radplug.toml"
    file.write_text("[hl7]\nport = 2575\n", encoding="utf-8")
    arguments = ["--config", str(file), "conformance"]
    printed = CliRunner().invoke(app, arguments)
    assert printed.exit_code == 0
    assert CliRunner().invoke(app, [*arguments, "--output", str(tmp_path / "out")]).exit_code == 0
    written = [(tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("dicom.md", "hl7.md")]
    assert printed.stdout == "\n".join(written) + "\n"
    assert not list(tmp_path.rglob("*.sqlite")), "the database is not needed"


def test_every_service_says_what_it_negotiates_and_does() -> None:
    for service in services(Settings(pacs=[{"name": "a", "ae_title": "A", "host": "h", "port": 1}])):
        assert service.accepted or service.proposed or service.web
        assert service.behaviour
        assert service.answers or service.on_answers or service.name == "Verification"
