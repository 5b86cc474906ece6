"""The whole way on one machine: a simulated PACS sends a study, and its draft comes back as SR and as ORU.

Everything is real but the peers: the stations run as their own processes, from a settings file like any site's.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dicom_io.errors import DicomError
from dicom_io.reading import read_instance
from dicom_io.sending import Peer
from hl7.orders import Order
from model_runtime.canvas import Anchor
from radplug import demo_report
from radplug.acceptance import synthetic_study
from radplug.acceptance.running_site import RunningSite, SiteFailed, destinations_toml, settings_toml
from radplug.acceptance.simulated_pacs import SimulatedPacs
from radplug.acceptance.simulated_ris import SimulatedRis
from radplug.anchors import BadAnchor, parse
from radplug.demo_report import Outcome
from radplug.domain import SETTLED, CaseState, DeliveryState, Dictation
from radplug.people import Role
from radplug.records.viewing import CaseView
from radplug.settings import Settings
from radplug.supervisor import STATIONS
from radplug.wiring import House

SEED = 1_000_003_213  # of the demo's phantom; training never sees a seed from 1,000,000,000 on
ANCHORS = (
    Anchor("FINDINGS", "Small right pleural effusion, new since yesterday."),
    Anchor("IMPRESSION", "Discussed with the ward at 14:30."),
)
DRAFT_SECONDS = 240.0
PACS_AE, OUR_AE = "DEMOPACS", "RADPLUG"
WHO, LINK_LIFE = "demo", timedelta(minutes=30)


class DemoFailed(Exception):
    """The demo could not be run; the text says why."""


@dataclass(frozen=True, slots=True)
class Sendable:
    """What the simulated PACS will send."""

    files: tuple[Path, ...]
    study_uid: str
    order: Order | None


def run(
    folder: Path | None,
    given: Sequence[str] | None,
    data: Path | None,
    as_json: bool,
    out: Console,
    err: Console,
    *,
    serve: bool = False,
) -> int:
    """Show the demo on `err`, with JSON on `out` if asked for, else on `out`; the exit code.

    With `serve` the stations stay up afterwards, and a link into the worklist is shown, until Ctrl-C.

    Raises:
        DemoFailed: nothing could be shown at all.
    """
    people = err if as_json else out
    root = (data or Path(tempfile.mkdtemp(prefix="radplug-demo-"))).resolve()
    root.mkdir(parents=True, exist_ok=True)
    anchors = _anchors(given)
    study = _own_study(folder) if folder else _synthetic_study(root)
    with ExitStack() as stack:
        pacs = stack.enter_context(SimulatedPacs(PACS_AE, root / "pacs"))
        ris = stack.enter_context(SimulatedRis(root / "ris"))
        progress = stack.enter_context(_progress(people))
        task = progress.add_task("starting listener, clock, model, delivery and worklist", total=len(STATIONS))
        running = RunningSite(root, _settings(root, pacs, ris), lambda ready: progress.update(task, completed=ready))
        try:
            house = stack.enter_context(running).house
        except SiteFailed as error:
            raise DemoFailed(str(error)) from error
        site = running.settings
        if study.order:
            house.receiving.add_order(study.order, house.now())
        for anchor in anchors:
            house.receiving.add_dictation(
                Dictation(anchor.section, anchor.text, "demo", house.now(), study_uid=study.study_uid)
            )
        not_sent = _send(pacs, study, site, progress)
        view = _wait_for_draft(house, study, progress)
        outcome = Outcome.of(view, anchors, root, site, pacs.received, ris.received, not_sent)
        if serve:
            progress.stop()
            demo_report.show(people, outcome, site)
            _serve(house, people)
    if not serve:
        demo_report.show(people, outcome, site)
    if as_json:
        out.print(json.dumps(outcome.as_json(), ensure_ascii=False), markup=False, highlight=False, soft_wrap=True)
    return 0 if outcome.good else 1


def _serve(house: House, people: Console) -> None:
    """Show the way into the worklist, and wait for Ctrl-C."""
    house.people.add_without_password(WHO, Role.RADIOLOGIST, house.now())
    link = house.people.link(WHO, house.now() + LINK_LIFE)
    (address,) = (station.detail for station in house.stations.all() if station.name == "web")
    people.print(f"\nThe worklist, for a browser on this machine; the link signs in once:\n{address}/sign-in/{link}")
    people.print("Ctrl-C ends it.")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


def _anchors(given: Sequence[str] | None) -> tuple[Anchor, ...]:
    try:
        return tuple(Anchor(*parse(one)) for one in given) if given else ANCHORS
    except BadAnchor as error:
        raise DemoFailed(f"--anchor: {error}") from error


def _synthetic_study(root: Path) -> Sendable:
    made = synthetic_study.write(root / "study", SEED, datetime.now().astimezone())
    return Sendable(made.files, made.study_uid, made.order)


def _own_study(folder: Path) -> Sendable:
    """The DICOM files of one study under `folder`."""
    if not folder.is_dir():
        raise DemoFailed(f"--study: there is no folder {folder}")
    found: dict[str, list[Path]] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        try:
            found.setdefault(read_instance(path).study_uid, []).append(path)
        except DicomError:
            continue  # not DICOM, or nothing that a PACS could identify
    if len(found) != 1:
        raise DemoFailed(f"--study: {folder} holds {len(found)} studies; give a folder with the files of one")
    ((study_uid, files),) = found.items()
    return Sendable(tuple(files), study_uid, None)


def _settings(root: Path, pacs: SimulatedPacs, ris: SimulatedRis) -> str:
    return settings_toml(
        root,
        destinations_toml(pacs, ris) + 'assigning_authority = "DEMO"\n',  # PID-3.4
        callers={PACS_AE},
        quiet_seconds=1.0,
        sections='[drafting]\nassume_body_part = "CHEST"  # the demo model knows nothing else',
    )


def _send(pacs: SimulatedPacs, study: Sendable, site: Settings, progress: Progress) -> tuple[str, ...]:
    """The study by C-STORE; what radplug did not take, and why."""
    task = progress.add_task("the PACS sends the study", total=len(study.files))
    peer = Peer(OUR_AE, site.listener.host, site.listener.port)
    try:
        return pacs.send_study(study.files, peer, lambda done: progress.update(task, completed=done))
    except DicomError as error:
        raise DemoFailed(f"the study could not be sent: {error}") from error


def _wait_for_draft(house: House, study: Sendable, progress: Progress) -> CaseView:
    task = progress.add_task("radplug assembles, renders, drafts and delivers", total=None)
    deadline = time.monotonic() + DRAFT_SECONDS
    while time.monotonic() < deadline:
        case = house.viewing.case_of_study(study.study_uid)
        if case is not None:
            view = house.viewing.whole(case.id)
            progress.update(task, description=f"radplug assembles, renders, drafts and delivers: {case.state}")
            dead = any(delivery.state is DeliveryState.DEAD for delivery in view.deliveries)
            if case.state in SETTLED or (case.state is CaseState.DRAFTED and dead):
                progress.update(task, total=1, completed=1)
                return view
        time.sleep(0.05)
    raise DemoFailed(f"no draft within {DRAFT_SECONDS:.0f} s; the log beside the data tells why")


@contextmanager
def _progress(console: Console) -> Iterator[Progress]:
    columns: tuple[Any, ...] = (
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        yield progress
