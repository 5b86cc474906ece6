"""Results as each reporting system wants them: in turn, in its version, with its fields, as a PDF beside the text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from houses import send_study

from dicom_io import page_checks
from hl7.acknowledgement import acknowledge
from hl7.message import Message
from hl7.oru import pdf_of
from radplug import pipeline
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.domain import Case, DeliveryState
from radplug.settings import SettingsError, load
from radplug.wiring import House


def drafted(house: House, folder: Path, phantom: int) -> Case:
    case = send_study(house, folder, phantom)
    pipeline.draft(house, case.id, "worker")
    return case


def test_a_later_message_waits_for_an_earlier_one_of_another_case_until_that_is_a_dead_letter(
    build: Callable[..., House], tmp_path: Path, database_url: str
) -> None:
    with SimulatedRis(tmp_path / "ris") as ris:
        there = {"name": "ris", "host": "127.0.0.1", "port": ris.port}
        house = build(reporting=[there], database={"url": database_url})
        first, second = (drafted(house, tmp_path / str(n), 1_000_000_001 + n) for n in range(2))
        pipeline.deliver(house, second.id)
        assert not ris.received
        with ris.answering(lambda message: acknowledge(message, "AE")):
            pipeline.deliver(house, first.id)
        assert second.id in house.delivering.due(house.now())
        pipeline.deliver(house, second.id)
        states = [house.viewing.deliveries(case.id)[0].state for case in (first, second)]
        assert states == [DeliveryState.DEAD, DeliveryState.DELIVERED]


def test_text_and_then_a_pdf_go_out_in_the_version_and_with_the_fields_of_their_receiver(
    build: Callable[..., House], tmp_path: Path
) -> None:
    fields = {"OBR-24": "CT", "ZDS-1": "{study_uid}^RADPLUG"}
    with SimulatedRis(tmp_path / "ris") as ris:
        there = {"name": "ris", "host": "127.0.0.1", "port": ris.port}
        house = build(reporting=[{**there, "version": "2.3", "pdf": True, "fields": fields}])
        case = drafted(house, tmp_path / "study", 1_000_000_001)
        for _ in range(2):
            pipeline.deliver(house, case.id)
        assert [d.outcome for d in house.viewing.deliveries(case.id)] == ["AA", "AA"]
        text, document = (Message.parse(file.read_bytes()) for file in ris.received)
    for message in (text, document):
        assert (message.get("MSH", 12), message.get("OBR", 24), message.get("OBR", 25)) == ("2.3", "CT", "R")
        assert message.get("ZDS", 1) == case.study_uid
    pdf = pdf_of(document)
    assert pdf_of(text) is None
    assert pdf is not None
    assert not list(page_checks.check_pages(pdf))


@pytest.mark.parametrize(
    ("field", "content"),
    [
        *[("OBR-25", "F"), ("OBX-11", "C"), ("OBX-11", "R"), ("OBR-32", "1^Doctor"), ("OBX-16", "1"), ("ORC-5", "CM")],
        *[("PID-3", "1"), ("OBR-3", "1"), ("NTE-3", "x"), ("OBR", "x"), ("OBR-24", "a|F"), ("OBR-24", "{name}")],
    ],
)
def test_fields_that_make_a_draft_or_a_patient_cannot_be_set(tmp_path: Path, field: str, content: str) -> None:
    file = tmp_path / "radplug.toml"
    toml = f'[[reporting]]\nname = "a"\nhost = "h"\nport = 1\nfields = {{ "{field}" = "{content}" }}'
    file.write_text(toml, encoding="utf-8")
    with pytest.raises(SettingsError, match="fields"):
        load(file)
