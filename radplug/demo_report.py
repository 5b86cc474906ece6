"""What the demo shows at its end: the way with its times, the image, the draft, the SR, the ORU, and what IT enters."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from dicom_io import report_reading
from model_runtime.canvas import Anchor
from model_runtime.draft_text import Author, Placement
from radplug import show as cases
from radplug.acceptance.returned import ReturnedOru, ReturnedSr, anchors_stand
from radplug.domain import CaseState, DeliveryState, DocumentKind
from radplug.records.viewing import CaseView
from radplug.settings import ListenerSettings, Settings
from radplug.study_store import write_durably

STAGES = ("receive", "assemble", "queue", "render", "infer", "deliver", "total")


@dataclass(frozen=True, slots=True)
class Outcome:
    """The demo's result; `sr` and `oru` are read from the files that the simulated peers received."""

    view: CaseView
    anchors: tuple[Anchor, ...]
    draft_file: Path | None
    images: tuple[Path, ...]
    sr: ReturnedSr | None
    oru: ReturnedOru | None
    ack: str
    not_sent: tuple[str, ...]
    seconds: dict[str, float | None]

    @classmethod
    def of(
        cls,
        view: CaseView,
        anchors: Sequence[Anchor],
        root: Path,
        site: Settings,
        srs: Sequence[Path],
        orus: Sequence[Path],
        not_sent: Sequence[str],
    ) -> Outcome:
        draft = view.drafts[-1] if view.drafts else None
        draft_file = root / "draft.json" if draft else None
        if draft and draft_file:
            write_durably(draft_file, draft.text.as_json().encode())
        answers = [d.outcome for d in view.deliveries if d.document.kind is DocumentKind.ORU]
        return cls(
            view=view,
            anchors=_placed(anchors, draft.text.placements if draft else ()),
            draft_file=draft_file,
            images=tuple(site.store.data / image.file for image in draft.images) if draft else (),
            sr=ReturnedSr.read(srs[-1]) if srs else None,
            oru=ReturnedOru.read(orus[-1]) if orus else None,
            ack=answers[-1] if answers else "",
            not_sent=tuple(not_sent),
            seconds=_seconds(view),
        )

    @property
    def anchors_intact(self) -> bool:
        """Every dictated byte stands in the draft, in the SR and in the ORU, in order."""
        if not self.view.drafts or self.sr is None or self.oru is None:
            return False
        sections = {section.code.value: section for section in self.view.drafts[-1].text.sections}
        codes = {section.name: code for code, section in sections.items()}
        drafted = [
            Anchor(section.name, span.text)
            for section in sections.values()
            for span in section.spans
            if span.kind is Author.ANCHOR
        ]
        asked = [anchor for name in codes for anchor in self.anchors if anchor.section == name]
        texts = (self.sr.texts, self.oru.texts)
        return drafted == asked and all(anchors_stand(self.anchors, codes, text) for text in texts)

    @property
    def sr_good(self) -> bool:
        case = self.view.case
        return self.sr is not None and not self.sr.faults and self.sr.study_uid == case.study_uid

    @property
    def oru_good(self) -> bool:
        case = self.view.case
        return self.oru is not None and not self.oru.faults and self.oru.study_uid == case.study_uid

    @property
    def good(self) -> bool:
        """SR and ORU came back and passed, or the study was rightly not drafted and the case says why."""
        case = self.view.case
        if case.state is CaseState.NOT_DRAFTED:
            return bool(case.reason)
        delivered = all(d.state is DeliveryState.DELIVERED for d in self.view.deliveries)
        return delivered and self.sr_good and self.oru_good and self.anchors_intact

    def as_json(self) -> dict[str, Any]:
        case, sr, oru = self.view.case, self.sr, self.oru
        return {
            "case": case.id,
            "state": case.state,
            "reason": case.reason,
            "anchors_intact": self.anchors_intact,
            "sr": {
                "stored": sr is not None,
                "checked": self.sr_good,
                "sop_instance_uid": sr.sop_instance_uid if sr else None,
                "completion_flag": sr.completion_flag if sr else None,
                "verification_flag": sr.verification_flag if sr else None,
                "preliminary_flag": sr.preliminary_flag if sr else None,
            },
            "oru": {
                "ack": self.ack or None,
                "checked": self.oru_good,
                "obr_25": oru.obr_25 if oru else None,
                "obx_11": "".join(oru.obx_11) if oru else None,
            },
            "seconds": self.seconds,
            "files": {
                "sr": str(sr.file) if sr else None,
                "oru": str(oru.file) if oru else None,
                "images": [str(image) for image in self.images],
                "draft": str(self.draft_file) if self.draft_file else None,
            },
            "not_sent": list(self.not_sent),
        }


def _placed(anchors: Sequence[Anchor], placements: Sequence[Placement]) -> tuple[Anchor, ...]:
    """The anchors, with the sections that the model has chosen for those that name none."""
    chosen = iter([placement.section for placement in placements])
    return tuple(anchor if anchor.section else replace(anchor, section=next(chosen, "")) for anchor in anchors)


def _seconds(view: CaseView) -> dict[str, float | None]:
    """Each stage's time from the rows; None for a stage that was not reached."""
    case = view.case

    def between(begin: datetime, end: datetime | None) -> float | None:
        return round((end - begin).total_seconds(), 3) if end else None

    times: dict[str, float | None] = dict.fromkeys(STAGES)
    times["receive"] = between(case.first_received_at, case.last_received_at)
    times["assemble"] = between(case.last_received_at, case.closed_at)
    if view.drafts:
        draft = view.drafts[-1]
        times |= {stage: round(spent, 3) for stage, spent in draft.seconds.items()}
        done = [d.delivered_at for d in view.deliveries if d.version == draft.version and d.delivered_at]
        if done:
            times["deliver"] = between(draft.drafted_at, max(done))
            times["total"] = between(case.first_received_at, max(done))
    return times


def show(console: Console, outcome: Outcome, site: Settings) -> None:
    """Print everything, for people."""
    view = outcome.view
    for refusal in outcome.not_sent:
        console.print(Text(f"not taken by radplug: {refusal}", "yellow"))
    console.print(_way(outcome))
    if view.drafts:
        for image in outcome.images:
            console.print(Text(f"rendered for the model: {image}"), soft_wrap=True)
        console.print(cases.draft(view.drafts[-1].text, view.drafts[-1].template))
    if outcome.sr:
        console.print(_sr_tree(outcome.sr))
    if outcome.oru:
        console.print(_oru_lines(outcome.oru))
    console.print(_verdict(outcome))
    console.print(_for_it(site))


def _way(outcome: Outcome) -> Table:
    table = Table(*STAGES, title="the way, in seconds", title_justify="left")
    table.add_row(*("-" if spent is None else f"{spent:.2f}" for spent in outcome.seconds.values()))
    return table


def _sr_tree(sr: ReturnedSr) -> Tree:
    """The content items as nested branches."""
    lines = report_reading.tree(sr.file.read_bytes())
    tree = Tree(Text(f"DICOM SR as the PACS received it: {sr.file}", "bold"))
    branches = {-1: tree}
    for line in lines:
        label = Text(f"{line.relationship} " if line.relationship else "", "dim")
        label.append(f"{line.value_type} ", "cyan").append(line.name, "bold").append(f"  {line.value}")
        branches[line.depth] = branches[line.depth - 1].add(label)
    return tree


def _oru_lines(oru: ReturnedOru) -> Panel:
    text = oru.file.read_bytes().decode().rstrip("\r").replace("\r", "\n")
    return Panel(Text(text), title=f"HL7 ORU^R01 as the reporting system received it: {oru.file}", title_align="left")


def _verdict(outcome: Outcome) -> Panel:
    case, sr, oru = outcome.view.case, outcome.sr, outcome.oru
    lines = Text()

    def say(good: bool, text: str) -> None:
        lines.append("✓ " if good else "✗ ", "bold green" if good else "bold red").append(text + "\n")

    if case.state is CaseState.NOT_DRAFTED:
        say(bool(case.reason), f"not drafted, and the worklist says why: {case.reason}")
    else:
        say(case.state is CaseState.DELIVERED, f"case {case.id}: {case.state} {case.reason}".rstrip())
        say(outcome.anchors_intact, f"{len(outcome.anchors)} dictated phrases stand byte for byte in draft, SR and ORU")
        flags = f"{sr.completion_flag}, {sr.verification_flag}, {sr.preliminary_flag}" if sr else "none came back"
        say(outcome.sr_good, f"SR: {flags}" + "".join(f"; {fault}" for fault in (sr.faults if sr else ())))
        status = f"acknowledged {outcome.ack}, OBR-25 {oru.obr_25}" if oru else "none came back"
        say(outcome.oru_good, f"ORU: {status}" + "".join(f"; {fault}" for fault in (oru.faults if oru else ())))
        for delivery in outcome.view.deliveries:
            if delivery.state is not DeliveryState.DELIVERED:
                say(False, f"{delivery.destination}: {delivery.state}, {delivery.outcome}")
    lines.rstrip()
    return Panel(lines, title="what was checked", title_align="left", border_style="green" if outcome.good else "red")


def _for_it(site: Settings) -> Panel:
    """What a real site enters; the demo itself listened on loopback, on a port of its own."""
    text = Text("a C-STORE destination, for studies to be drafted:\n")
    port = ListenerSettings().port
    for what, value in (("AE title", site.listener.ae_title), ("host", socket.gethostname()), ("port", str(port))):
        text.append(f"  {what:9}").append(f"{value}\n", "bold")
    text.append("and let the PACS's own AE title in: listener.calling_ae_titles in radplug.toml; then `radplug up`")
    return Panel(text, title="what IT enters in the PACS", title_align="left")
