"""MPPS and availability notifications at work: a study closes once all that was announced is here, and not before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from announcers import IAN, Announcer, available, begun, ended, instance, online
from browsers import Client, with_accounts
from pydicom import Dataset
from pydicom.uid import DigitalXRayImageStorageForPresentation
from received_images import IMAGE, image, receive
from sites import PACS_AE, hospital

from dicom_io.listener import Listener
from dicom_io.signals import Progress
from radplug import clock
from radplug.completeness import Because
from radplug.domain import Case, CaseState
from radplug.people import Role
from radplug.records.schema import deliveries
from radplug.signal_desk import SignalDesk
from radplug.web.serving import serving
from radplug.wiring import House

START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
STUDY = IMAGE.study_uid
QUIET, AT_MOST = 10, 100  # seconds, of `house`


class Bell:
    def draft(self, case_id: str, *, awaited: bool) -> None: ...
    def redraft(self, case_id: str) -> None: ...
    def deliver(self, case_id: str) -> None: ...


class Site:
    """A house whose clock is ours, with its listener."""

    def __init__(self, house: House, port: int) -> None:
        self.house, self.announcer = house, Announcer(port)
        self.at(0)

    def at(self, seconds: float) -> None:
        self.house.__dict__["now"] = lambda: START + timedelta(seconds=seconds)

    def receive(self, *uids: str, study_uid: str = STUDY) -> None:
        for uid in uids:
            receive(self.house, image(study_uid, sop_instance_uid=uid))

    def case(self, study_uid: str = STUDY) -> Case:
        """After the clock has looked."""
        clock.tick(self.house, Bell())
        case = self.house.viewing.case_of_study(study_uid)
        assert case is not None
        return case

    def completed_because(self) -> Because | None:
        return self.case().complete_because

    def events(self, name: str) -> list[object]:
        return [event.detail for event in self.house.viewing.events(self.case().id) if event.event == name]


@pytest.fixture
def site(house: House) -> Iterator[Site]:
    with Listener(
        "RADPLUG", "127.0.0.1", 0, lambda arrival: None, signals=SignalDesk(house), calling_ae_titles=None
    ) as listener:
        yield Site(house, listener.port)


def ok(answer: Dataset) -> None:
    assert answer.Status == 0x0000, answer


def test_a_study_closes_with_the_last_image_of_those_that_were_announced_before(site: Site) -> None:
    ok(site.announcer.notify(online(["1.1", "1.2", "1.3"]), "1.9"))
    site.receive("1.1", "1.2")
    assert site.completed_because() is None
    site.receive("1.3")
    assert site.completed_because() is Because.IAN
    (closed,) = site.events("study closed")
    assert closed["because"] == "ian"  # type: ignore[index]


def test_a_study_closes_when_its_images_are_announced_after_they_came(site: Site) -> None:
    site.receive("1.1", "1.2")
    assert site.completed_because() is None
    ok(site.announcer.notify(online(["1.2", "1.1"]), "1.9"))
    assert site.completed_because() is Because.IAN
    (announced,) = site.events("study announced")
    assert (announced["kind"], announced["images"], announced["calling_ae"]) == ("IAN", 2, "MODALITY")  # type: ignore[index]


def test_what_is_missing_is_waited_for_and_named_until_the_time_out(site: Site) -> None:
    site.receive("1.1")
    ok(site.announcer.notify(online(["1.1", "1.2", "1.3"]), "1.9"))
    assert site.case().lacks == "2 of 3 announced images (IAN)"
    site.at(QUIET)
    site.receive("1.2")
    site.at(3 * QUIET)
    assert (site.case().state, site.case().lacks) == (CaseState.RECEIVING, "1 of 3 announced images (IAN)")
    site.at(AT_MOST - 0.1)
    assert site.completed_because() is None
    site.at(AT_MOST)
    case = site.case()
    assert (case.state, case.complete_because) == (CaseState.COMPLETE, Because.TIME_OUT)
    assert case.lacks == "1 of 3 announced images (IAN)"
    assert [event["lacks"] for event in site.events("study waits")] == [  # type: ignore[index]
        "2 of 3 announced images (IAN)",
        "1 of 3 announced images (IAN)",
    ]
    site.receive("1.3")
    assert (site.completed_because(), site.case().lacks) == (Because.IAN, "")


def test_where_more_is_here_than_was_announced_the_quiet_time_decides(site: Site) -> None:
    ok(site.announcer.notify(online(["1.1"]), "1.9"))
    site.receive("1.1")
    assert site.completed_because() is Because.IAN
    site.at(1)
    site.receive("1.7")
    assert site.completed_because() is None
    site.at(2)
    site.receive("1.8", "1.1")
    assert site.completed_because() is None
    site.at(2 + QUIET)
    assert site.completed_because() is Because.QUIET


def test_a_step_in_progress_holds_its_study_open(site: Site) -> None:
    site.receive("1.1")
    ok(site.announcer.create(begun(STUDY), "1.9"))
    site.at(2 * QUIET)
    assert site.case().lacks == "the end of a procedure step that is in progress (MPPS)"
    ok(site.announcer.notify(online(["1.1"]), "1.8"))
    assert site.completed_because() is None
    ok(site.announcer.set(ended(instance("1.1"), instance("1.2")), "1.9"))
    assert site.case().lacks == "1 of 2 announced images (MPPS)"
    site.receive("1.2")
    assert site.completed_because() is Because.MPPS


@pytest.mark.parametrize(("images", "because"), [(["1.1"], Because.MPPS), ([], Because.QUIET)])
def test_a_step_that_was_discontinued_has_what_it_names(site: Site, images: list[str], because: Because) -> None:
    ok(site.announcer.create(begun(STUDY), "1.9"))
    site.receive("1.1")
    ok(site.announcer.set(ended(*map(instance, images), status="DISCONTINUED"), "1.9"))
    if because is Because.QUIET:
        assert site.completed_because() is None
        site.at(QUIET)
    assert site.completed_because() is because


def test_all_steps_of_a_study_must_have_ended(site: Site) -> None:
    for uid in ("1.8", "1.9"):
        ok(site.announcer.create(begun(STUDY), uid))
    site.receive("1.1")
    ok(site.announcer.set(ended(instance("1.1")), "1.8"))
    assert site.completed_because() is None
    ok(site.announcer.set(ended(instance("1.2")), "1.9"))
    site.receive("1.2")
    assert site.completed_because() is Because.MPPS


def test_a_step_for_two_studies_is_about_both(site: Site) -> None:
    ok(site.announcer.create(begun("1.2.1", "1.2.2"), "1.9"))
    site.receive("1.1", study_uid="1.2.1")
    site.receive("1.2", study_uid="1.2.2")
    site.at(QUIET)
    assert site.case("1.2.1").state is CaseState.RECEIVING
    ok(site.announcer.set(ended(instance("1.1"), instance("1.2")), "1.9"))
    assert {site.case(uid).complete_because for uid in ("1.2.1", "1.2.2")} == {Because.MPPS}


def test_a_uid_is_used_once_and_an_ended_step_is_final(site: Site) -> None:
    site.receive("1.1")
    ok(site.announcer.create(begun(STUDY), "1.9"))
    assert site.announcer.create(begun("1.2.77"), "1.9").Status == 0x0111
    assert site.announcer.notify(online(["1.77"]), "1.9").Status == 0x0111
    assert site.announcer.set(ended(), "1.77").Status == 0x0112
    ok(site.announcer.set(ended(instance("1.1")), "1.9"))
    late = site.announcer.set(ended(instance("1.77"), status="DISCONTINUED"), "1.9")
    assert (late.Status, late.ErrorID) == (0x0110, 0xA710)
    (signal,) = site.house.signals.of_study(STUDY)
    assert (signal.progress, signal.images) == (Progress.COMPLETED, {"1.1"})
    assert site.completed_because() is Because.MPPS


def test_a_malformed_one_is_refused_and_what_was_kept_still_counts(site: Site) -> None:
    ok(site.announcer.create(begun(STUDY), "1.9"))
    bad = ended(instance("1.1"))
    del bad.PerformedSeriesSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID
    assert site.announcer.set(bad, "1.9").Status == 0x0120
    site.receive("1.1")
    site.at(QUIET)
    assert site.completed_because() is None
    ok(site.announcer.set(ended(instance("1.1")), "1.9"))
    assert site.completed_because() is Because.MPPS


def test_it_is_kept_before_it_is_answered(site: Site) -> None:
    ok(site.announcer.notify(online(["1.1", "1.2"]), "1.9"))
    site.house.database.close()
    restarted = Site(House(site.house.settings, "restarted"), 0)
    restarted.receive("1.1", "1.2")
    assert restarted.completed_because() is Because.IAN
    restarted.house.database.close()


def test_images_and_their_announcement_may_come_at_the_same_time(site: Site) -> None:
    site.receive("1.0")
    uids = [f"1.{number}" for number in range(1, 13)]
    with ThreadPoolExecutor(4) as threads:
        coming = [threads.submit(site.receive, uid) for uid in uids]
        ok(site.announcer.notify(online(["1.0", *uids]), "1.9"))
        for each in coming:
            each.result()
    assert site.completed_because() is Because.IAN


def test_what_can_no_longer_be_had_is_not_waited_for(site: Site) -> None:
    ok(site.announcer.notify(online(["1.1", "1.2"]), "1.8"))
    site.receive("1.1")
    ok(site.announcer.notify(available(instance("1.2", availability="UNAVAILABLE")), "1.9"))
    assert site.completed_because() is Because.IAN


def test_our_own_documents_are_not_waited_for(site: Site) -> None:
    """An archive announces the page images of our draft as well, which it may never send us."""
    site.receive("1.1")
    ours = {"case_id": site.case().id, "version": 1, "destination": "pacs", "kind": "capture"}
    ours |= {"document_id": "1.55", "file": "", "state": "delivered"}
    with site.house.database.writing() as connection:
        connection.execute(sa.insert(deliveries), ours)
    ok(site.announcer.notify(online(["1.1", "1.55"]), "1.9"))
    assert site.completed_because() is Because.IAN


def test_what_is_old_is_forgotten(site: Site) -> None:
    ok(site.announcer.notify(online(["1.1"]), "1.9"))
    site.at(timedelta(days=29).total_seconds())
    clock.tidy(site.house)
    assert len(site.house.signals.of_study(STUDY)) == 1
    site.at(timedelta(days=31).total_seconds())
    clock.tidy(site.house)
    assert site.house.signals.of_study(STUDY) == ()


def test_a_site_may_take_some_only_or_none(build: Callable[..., House]) -> None:
    house = build(assembly={"signals": ["mpps"]})
    with Listener(
        "RADPLUG", "127.0.0.1", 0, lambda arrival: None, signals=SignalDesk(house), calling_ae_titles=None
    ) as listener:
        announcer = Announcer(listener.port)
        ok(announcer.create(begun(STUDY), "1.9"))
        with pytest.raises(ConnectionRefusedError):
            announcer.create(online(["1.1"]), "1.8", IAN)


def test_the_page_the_api_and_the_trail_say_why(build: Callable[..., House]) -> None:
    house = with_accounts(build(web={"port": 0}, assembly={"quiet_seconds": 60}))
    site = Site(house, 0)
    site.receive("1.1")
    with (
        Listener(
            "RADPLUG", "127.0.0.1", 0, lambda arrival: None, signals=SignalDesk(house), calling_ae_titles=None
        ) as listener,
        serving(house) as address,
    ):
        announcer, client = Announcer(listener.port), Client(address)
        ok(announcer.notify(online(["1.1", "1.2"]), "1.9"))
        case = site.case()
        house.__dict__.pop("now")  # sessions have their own time
        client.sign_in(Role.IT)
        page = client.get(f"/cases/{case.id}").text
        assert "Waits for 1 of 2 announced images (IAN)." in page
        assert "IAN from MODALITY: 1 of 2 images are here." in page
        site.at(0)
        site.receive("1.2")
        site.case()
        house.__dict__.pop("now")
        assert (
            "Complete because all images that the archive announced are here (IAN)."
            in client.get(f"/cases/{case.id}").text
        )
        told = json.loads(client.get(f"/api/v1/cases/{case.id}").text)
    assert (told["complete_because"], told["lacks"]) == ("ian", "")
    (signal,) = told["signals"]
    assert (signal["kind"], signal["progress"], signal["images"], signal["here"]) == ("ian", "COMPLETED", 2, 2)


def test_a_whole_site_does_not_wait_for_its_quiet_time(tmp_path: Path, model: Path) -> None:
    with hospital(tmp_path, model, quiet_seconds=600) as site:
        study = site.study("study", views=2)
        site.send(*study.files)
        uids = [kept.instance.sop_instance_uid for kept in site.running.house.drafting.instances(site.case(study).id)]  # type: ignore[union-attr]
        announcer = Announcer(site.listener.port, PACS_AE)
        ok(announcer.notify(online(uids, study.study_uid, DigitalXRayImageStorageForPresentation), "1.9"))
        case = site.wait_for(study, CaseState.DELIVERED, 1)
        assert case.complete_because is Because.IAN
        with pytest.raises(ConnectionRefusedError):
            Announcer(site.listener.port, "STRANGER").notify(online(uids), "1.10")
