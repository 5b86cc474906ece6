"""What commands print for people and for programs."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from certificates import authority
from peers import free_port
from received_images import image, receive
from typer.testing import CliRunner

from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ups_scp import SimulatedUpsScp
from radplug.anchors import BadAnchor, parse
from radplug.cli import app
from radplug.doctor import examine
from radplug.people import Role
from radplug.settings import load
from radplug.wiring import House


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "radplug.toml"
    file.write_text(f'[store]\ndata = "{tmp_path / "data"}"\nkeep_free_mib = 1\n', encoding="utf-8")
    assert run(file, "migrate").exit_code == 0
    return file


def run(config: Path, *words: str) -> object:
    return CliRunner().invoke(app, ["--config", str(config), *words])


def test_cases_and_one_case_in_json(config: Path) -> None:
    house = House(load(config), "test")
    receive(house, image(study_uid="1.2.3", accession_number="ACC7"))
    (listed,) = json.loads(run(config, "cases", "--json").stdout)
    whole = json.loads(run(config, "case", listed["id"], "--json").stdout)
    assert whole["case"] == listed
    assert (listed["state"], listed["accession_number"], whole["drafts"]) == ("receiving", "ACC7", [])
    assert listed["id"] in run(config, "cases").stdout


def test_an_unknown_case_is_said_to_be_so(config: Path) -> None:
    from radplug.domain import UnknownCase

    result = run(config, "case", "nonsense")
    assert isinstance(result.exception, UnknownCase)
    assert "radplug cases" in str(result.exception)


def test_dictated_phrases_wait_for_their_study(config: Path) -> None:
    assert run(config, "dictate", "ACC8", "FINDINGS=Small effusion.", "IMPRESSION=Effusion = new").exit_code == 0
    house = House(load(config), "test")
    receive(house, image(accession_number="ACC8"))
    (case,) = house.viewing.cases()
    assert [(d.section, d.text) for d in house.drafting.dictations(case)] == [
        ("FINDINGS", "Small effusion."),
        ("IMPRESSION", "Effusion = new"),
    ]


@pytest.mark.parametrize("given", ["no section", "=", "FINDINGS=", "FINDINGS=  "])
def test_a_phrase_without_equals_sign_or_words_is_refused(given: str) -> None:
    with pytest.raises(BadAnchor, match="SECTION=phrase"):
        parse(given)


def test_a_phrase_may_be_left_to_the_model_to_place() -> None:
    assert parse("=No pneumothorax.") == ("", "No pneumothorax.")


@pytest.mark.parametrize("given", ["FINDINGS=said\there", "FINDINGS=said\x00here", "FINDINGS=said\ud800here"])
def test_a_phrase_that_no_report_can_carry_is_refused_without_quoting_it(given: str) -> None:
    with pytest.raises(BadAnchor, match="control character") as caught:
        parse(given)
    assert "said" not in str(caught.value)


def test_an_order_and_its_cancellation_are_taken_from_hl7_files(config: Path, tmp_path: Path) -> None:
    message = tmp_path / "order.hl7"
    message.write_bytes(
        b"MSH|^~\\&|RIS|H|RADPLUG|H|20261123||ORM^O01|1|P|2.3\rPID|1||P1^^^H||Doe^J\r"
        b"ORC|NW|P1|F1\rOBR|1|P1|F1|36643-5^XR Chest^LN||||||||||||||ACC9|RP9\r"
    )
    assert run(config, "order", str(message)).exit_code == 0
    house = House(load(config), "test")
    receive(house, image(accession_number="ACC9"))
    order = house.drafting.order(house.viewing.cases()[0])
    assert order is not None
    assert (order.placer_order_number, order.filler_order_number) == ("P1", "F1")
    message.write_bytes(message.read_bytes().replace(b"ORC|NW|", b"ORC|CA|"))
    assert run(config, "order", str(message)).exit_code == 0
    assert house.drafting.order(house.viewing.cases()[0]) is None
    assert run(config, "order", str(config)).exit_code == 2


class TestDoctor:
    @pytest.fixture
    def pacs(self, tmp_path: Path) -> Iterator[SimulatedPacs]:
        with SimulatedPacs("THEPACS", tmp_path / "pacs") as running:
            yield running

    def examined(self, tmp_path: Path, toml: str) -> dict[str, tuple[bool, str]]:
        file = tmp_path / "doctor.toml"
        file.write_text(f'[store]\ndata = "{tmp_path / "data"}"\n{toml}', encoding="utf-8")
        house = House(load(file), "doctor")
        found = {finding.about: (finding.well, finding.text) for finding in examine(house)}
        house.database.close()
        return found

    def test_a_pacs_that_answers_and_one_that_is_called_by_a_wrong_name(
        self, tmp_path: Path, pacs: SimulatedPacs
    ) -> None:
        toml = "".join(
            f'[[pacs]]\nname = "{name}"\nae_title = "{ae}"\nhost = "127.0.0.1"\nport = {port}\n'
            for name, ae, port in (
                ("right", "THEPACS", pacs.port),
                ("misnamed", "OTHER", pacs.port),
                ("closed", "THEPACS", free_port()),
            )
        )
        found = self.examined(tmp_path, toml)
        assert found["PACS right"][0]
        assert not found["PACS misnamed"][0]
        assert "OTHER" in found["PACS misnamed"][1]
        assert "AE title" in found["PACS misnamed"][1]
        assert not found["PACS closed"][0]

    def test_a_worklist_without_accounts_or_without_https_is_named(self, tmp_path: Path) -> None:
        open_to_all = '[web]\nhost = "0.0.0.0"\n'
        assert "unencrypted" in self.examined(tmp_path, open_to_all)["worklist"][1]
        house = House(load(tmp_path / "doctor.toml"), "test")
        house.database.migrate()
        assert "radplug account" in self.examined(tmp_path, open_to_all + "behind_https = true\n")["worklist"][1]
        house.people.add("maria", Role.RADIOLOGIST, "correct horse battery", house.now())
        house.database.close()
        assert self.examined(tmp_path, "")["worklist"] == (True, "http://127.0.0.1:8080")

    def test_a_reporting_system_that_is_there_and_one_that_is_not(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            accept = threading.Thread(target=server.accept, daemon=True)
            accept.start()
            toml = "".join(
                f'[[reporting]]\nname = "{name}"\nhost = "127.0.0.1"\nport = {port}\n'
                for name, port in (("there", server.getsockname()[1]), ("gone", free_port()))
            )
            found = self.examined(tmp_path, toml)
        assert found["reporting system there"][0]
        assert not found["reporting system gone"][0]
        assert "cannot be reached" in found["reporting system gone"][1]

    def test_a_peer_of_workitems_that_is_there_and_one_that_is_not(self, tmp_path: Path) -> None:
        with SimulatedUpsScp("PACS") as ups:
            asked = '[workitems]\nstation = "RADPLUG^99HOSPITAL^AI"\n[workitems.peer]\nhost = "127.0.0.1"\n'
            there = f'{asked}ae_title = "WORKFLOW"\nport = {ups.port}\n'
            found = self.examined(tmp_path, there)
            assert found["workitems' peer"] == (True, f"WORKFLOW answers C-ECHO on 127.0.0.1:{ups.port}")
            assert found["workitems' images"][0] is False
            assert "set workitems.retrieve_url" in found["workitems' images"][1]
            ups.let_in("OTHERS")
            assert "enter it there" in self.examined(tmp_path, there)["workitems' peer"][1]
        well, text = self.examined(tmp_path, there)["workitems' peer"]
        assert not well
        assert "is it running" in text
        images = f'retrieve_url = "http://127.0.0.1:{free_port()}/"\n'
        elsewhere = there.replace("[workitems.peer]", f"{images}[workitems.peer]")
        found = self.examined(tmp_path, elsewhere)
        assert "workitems' images" not in found
        assert "cannot be reached" in found["server of workitems' images"][1]
        files = authority(tmp_path, "hospital").vouches("radplug", days=5)
        assert files.own
        certificate, key = files.own
        tls = f'[workitems.peer.tls]\nca = "{files.authorities}"\ncertificate = "{certificate}"\nkey = "{key}"\n'
        well, text = self.examined(tmp_path, there + tls)["TLS with the workitems' peer"]
        assert not well
        assert "days; have it renewed" in text

    def test_a_full_disk_a_missing_checkpoint_a_closed_port_and_no_gpu(self, tmp_path: Path) -> None:
        toml = (
            f'keep_free_mib = {1 << 40}\n[model]\ncheckpoint = "{tmp_path / "nothing"}"\ndevice = "cuda"\n'
            f"[listener]\nport = {free_port()}\n[broker]\nurl = 'redis://127.0.0.1:{free_port()}/0'\n"
        )
        found = self.examined(tmp_path, toml)
        import torch

        for about, word in (
            ("disk", "make room"),
            ("checkpoint", "model.checkpoint"),
            ("listener", "radplug up"),
            ("queue", "does not answer"),
            ("who may send", "calling_ae_titles"),
            ("database", "radplug migrate"),
            ("destinations", "go nowhere"),
        ):
            assert not found[about][0]
            assert word in found[about][1]
        assert found["GPU"][0] is torch.cuda.is_available()

    def test_its_exit_status_tells_programs(self, config: Path) -> None:
        result = run(config, "doctor", "--json")
        assert result.exit_code == 1
        assert {"about", "well", "text"} == set(json.loads(result.stdout)[0])
