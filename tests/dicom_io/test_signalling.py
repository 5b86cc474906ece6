"""MPPS and Instance Availability Notifications: what is taken as what, and what is refused with which status."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from announcers import IAN, MPPS, STUDY, Announcer, available, begun, ended, instance, online
from dimse_peers import listening
from pydicom import DataElement, Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.uid import UID, BasicTextSRStorage, DigitalXRayImageStorageForProcessing

from dicom_io.signals import Change, Kind, Outcome, Progress, Signal


class Desk:
    """Remembers what it was told, and answers as it is set to."""

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = frozenset(kinds)
        self.told: list[Signal | Change] = []
        self.answer: Outcome | Exception = Outcome.KEPT

    def created(self, signal: Signal, calling_ae: str) -> Outcome:
        return self._told(signal)

    def changed(self, uid: str, change: Change, calling_ae: str) -> Outcome:
        return self._told(change)

    def _told(self, word: Signal | Change) -> Outcome:
        if isinstance(self.answer, Exception):
            raise self.answer
        self.told.append(word)
        return self.answer


@pytest.fixture
def desk() -> Desk:
    return Desk(*Kind)


@pytest.fixture
def modality(desk: Desk) -> Iterator[Announcer]:
    with listening(lambda arrival: None, signals=desk) as listener:
        yield Announcer(listener.port)


def test_a_procedure_step_names_its_studies_and_at_last_its_images(desk: Desk, modality: Announcer) -> None:
    assert modality.create(begun("1.2.1", "1.2.2"), "1.9").Status == 0x0000
    unknown_to_us = instance("1.6", DigitalXRayImageStorageForProcessing)
    assert modality.set(ended(instance("1.4"), instance("1.5"), unknown_to_us), "1.9").Status == 0x0000
    assert modality.set(ended(status="DISCONTINUED"), "1.9").Status == 0x0000
    still = Dataset()
    still.PerformedProcedureStepDescription = "Thorax"
    assert modality.set(still, "1.9").Status == 0x0000
    assert desk.told == [
        Signal("1.9", Kind.MPPS, Progress.IN_PROGRESS, frozenset({"1.2.1", "1.2.2"}), frozenset()),
        Change(Progress.COMPLETED, frozenset({"1.4", "1.5"})),
        Change(Progress.DISCONTINUED, frozenset()),
        Change(None, None),
    ]


def test_a_notification_names_what_can_be_had_and_what_cannot(desk: Desk, modality: Announcer) -> None:
    items = [instance(f"1.{n}", availability=name) for n, name in enumerate(("ONLINE", "NEARLINE", "UNAVAILABLE"))]
    report = instance("1.7", BasicTextSRStorage, "ONLINE")
    assert modality.notify(available(*items, report), "1.8").Status == 0x0000
    to_be_had, withdrawn = frozenset({"1.0", "1.1"}), frozenset({"1.2"})
    assert desk.told == [Signal("1.8", Kind.IAN, Progress.COMPLETED, frozenset({STUDY}), to_be_had, withdrawn)]


def test_who_names_no_uid_is_given_one(desk: Desk, modality: Announcer) -> None:
    assert modality.create(begun(), None).Status == 0x0000  # and not 0x0110, as where no UID stands in the answer
    (signal,) = desk.told
    assert isinstance(signal, Signal)
    assert UID(signal.uid).is_valid


def without(keyword: str, data_set: Dataset) -> Dataset:
    delattr(data_set, keyword)
    return data_set


def having(keyword: str, value: object, data_set: Dataset) -> Dataset:
    setattr(data_set, keyword, value)
    return data_set


def studyless() -> Dataset:
    step = begun()
    del step.ScheduledStepAttributesSequence[0].StudyInstanceUID
    return step


def damaged() -> Dataset:
    """A sequence whose bytes are none."""
    step, tag = begun(), tag_for_keyword("ScheduledStepAttributesSequence")
    assert tag
    step[tag] = DataElement(tag, "OB", b"\x01\x02\x03\x04")
    return step


def of_another_kind() -> Dataset:
    notification = Dataset()
    notification.Modality = "CT"
    return notification


@pytest.mark.parametrize(
    ("sop_class", "data_set", "status"),
    [
        (MPPS, lambda: without("PerformedProcedureStepStatus", begun()), 0x0120),
        (MPPS, lambda: having("PerformedProcedureStepStatus", "", begun()), 0x0121),
        (MPPS, lambda: having("PerformedProcedureStepStatus", "DONE", begun()), 0x0106),
        (MPPS, lambda: having("PerformedProcedureStepStatus", "COMPLETED", begun()), 0x0106),
        (MPPS, lambda: without("ScheduledStepAttributesSequence", begun()), 0x0120),
        (MPPS, lambda: having("ScheduledStepAttributesSequence", [], begun()), 0x0121),
        (MPPS, studyless, 0x0120),
        (MPPS, damaged, 0x0106),
        (MPPS, of_another_kind, 0x0120),
        (IAN, lambda: without("StudyInstanceUID", online(["1.4"])), 0x0120),
        (IAN, lambda: having("ReferencedSeriesSequence", [], online(["1.4"])), 0x0121),
        (IAN, lambda: available(instance("1.4")), 0x0120),
        (IAN, lambda: available(instance("1.4", availability="SOON")), 0x0106),
        (IAN, lambda: having("StudyInstanceUID", "1.2.x", online(["1.4"])), 0x0106),
    ],
)
def test_what_is_not_as_it_must_be_is_refused(
    desk: Desk, modality: Announcer, sop_class: str, data_set: Callable[[], Dataset], status: int
) -> None:
    answer = modality.create(data_set(), "1.9", sop_class)
    assert f"{answer.Status:04X}" == f"{status:04X}"
    assert answer.ErrorComment
    assert desk.told == []


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.DUPLICATE, 0x0111),
        (Outcome.UNKNOWN, 0x0112),
        (Outcome.ENDED, 0x0110),
        (RuntimeError("the disk is full of Doe^Jane"), 0x0110),
    ],
)
def test_what_is_not_kept_is_not_said_to_be(
    desk: Desk, modality: Announcer, outcome: Outcome | Exception, status: int
) -> None:
    desk.answer = outcome
    for answer in (modality.create(begun(), "1.9"), modality.set(ended(), "1.9")):
        assert answer.Status == status
        assert "Doe" not in answer.ErrorComment
        assert answer.get("ErrorID") == (0xA710 if outcome is Outcome.ENDED else None)


def test_only_what_is_wanted_is_offered() -> None:
    with listening(lambda arrival: None, signals=Desk(Kind.IAN)) as listener:
        announcer = Announcer(listener.port)
        assert announcer.notify(online(["1.4"]), "1.8").Status == 0x0000
        with pytest.raises(ConnectionRefusedError):
            announcer.create(begun(), "1.9")


def test_a_stranger_may_announce_nothing(desk: Desk) -> None:
    with listening(lambda arrival: None, signals=desk, calling_ae_titles=frozenset({"MODALITY"})) as listener:
        with pytest.raises(ConnectionRefusedError):
            Announcer(listener.port, "STRANGER").create(begun(), "1.9")
        assert Announcer(listener.port).create(begun(), "1.9").Status == 0x0000
