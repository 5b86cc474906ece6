"""What commands print for people, and the same as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from model_runtime.draft_text import Author, DraftText
from radplug.backups.verifying import Verified
from radplug.domain import Case, CaseState, Delivery, DeliveryState, Draft
from radplug.findings import Finding
from radplug.records.tokens import Token
from radplug.records.viewing import CaseView
from radplug.rules import Answer, Rule, RulesText, Study
from radplug.templates import InUse, purpose
from radplug.texts.history import History

STATE_STYLE = {
    CaseState.DELIVERED: "green",
    CaseState.DRAFTED: "cyan",
    CaseState.NOT_DRAFTED: "yellow",
    CaseState.FAILED: "red",
}
UNSURE = 0.8  # model text below this confidence is underlined


def cases(console: Console, found: Sequence[Case], as_json: bool) -> None:
    if as_json:
        print_json(console, [_plain(case) for case in found])
        return
    table = Table(
        Column("case", no_wrap=True),
        "state",
        "version",
        "modality",
        "body part",
        "instances",
        "received",
        "accession",
        "why",
    )
    for case in found:
        table.add_row(
            case.id,
            Text(case.state, STATE_STYLE.get(case.state, "")),
            str(case.version or ""),
            case.modality,
            case.body_part,
            str(case.instances),
            _moment(case.last_received_at),
            case.accession_number,
            case.reason,
        )
    console.print(table if found else "no case yet; `radplug doctor` tells whether the PACS can reach us")


def case(console: Console, view: CaseView, as_json: bool) -> None:
    if as_json:
        told = _plain(view)
        for row, drafted in zip(told["drafts"], view.drafts, strict=True):
            row["confidence"] = _plain(drafted.text.confidence) if drafted.text.confidence else None
        print_json(console, told)
        return
    cases(console, [view.case], as_json=False)
    if because := view.case.complete_because:
        console.print(Text(f"complete because {because.in_words}"))
    if view.case.lacks:
        console.print(Text(f"{'closed without' if because else 'waits for'} {view.case.lacks}", "yellow"))
    if view.case.routing.rule:
        console.print(Text(f"taken by the rule {view.case.routing.rule}"))
    for prior in view.priors:
        console.print(Text(f"{prior.title}: {prior.state}{prior.why and f': {prior.why}'}", "dim"))
    for drafted in view.drafts:
        console.print(draft(drafted.text, f"draft {drafted.version}, template {drafted.template}"))
        for remark in _remarks(drafted):
            console.print(remark)
    if view.deliveries:
        console.print(_deliveries(view.deliveries))
    for event in view.events:
        told = ", ".join(f"{key} {value}" for key, value in event.detail.items())
        console.print(Text(f"{_moment(event.at)}  {event.actor:9} {event.event}  ").append(told, "dim"))


def _remarks(drafted: Draft) -> Iterator[Text]:
    """What whoever reads the draft should know of it."""
    text, confidence = drafted.text, drafted.text.confidence
    if drafted.doubtful and confidence:
        yield Text(f"doubtful: in one sentence the model's confidence is {confidence.lowest:.2f} only", "yellow")
    for conflict in text.anchor_conflicts:
        yield Text(f"the model does not see in the images ({conflict.probability:.2f}): {conflict.phrase}", "yellow")
    for struck in text.struck:
        yield Text(f"struck from {struck.section}, since {struck.why.in_words}: {struck.text}", "yellow")
    for placed in text.placements:
        yield Text(f"placed in {placed.section} by the model ({placed.probability:.2f}): {placed.phrase}")
    for section in text.missing:
        yield Text(f"no text was drafted for {section}", "yellow")


def draft(text: DraftText, title: str) -> Panel:
    """The draft with anchors in bold, and model text that the model was unsure of underlined."""
    body = Text()
    for section in text.sections:
        body.append(section.heading + "\n", "bold blue")
        for span in section.spans:
            unsure = span.confidence is not None and span.confidence < UNSURE
            body.append(span.text, "bold green" if span.kind is Author.ANCHOR else "underline" if unsure else "")
        body.append("\n\n")
    body.rstrip()
    legend = "[bold green]dictated[/]  model  [underline]model, unsure[/]"
    return Panel(body, title=f"AI draft, not reviewed: {title}", subtitle=legend, border_style="yellow")


def templates(console: Console, found: Sequence[InUse], as_json: bool) -> None:
    if as_json:
        print_json(console, [{"from": one.where} | _plain(one.template) for one in found])
        return
    name, where = Column("name", no_wrap=True), Column("from", overflow="fold")
    table = Table(name, "for", "sections", Column("tokens", justify="right"), where)
    for one in found:
        t = one.template
        sections = "\n".join(s.name if s.required else f"({s.name})" for s in t.sections)
        tokens = "\n".join(str(s.tokens) for s in t.sections)
        table.add_row(t.name, "\n".join(purpose(t)), sections, tokens, one.where)
    console.print(table, "(in brackets: may stay empty)", sep="\n")


def rules(console: Console, found: Sequence[Rule], as_json: bool) -> None:
    if as_json:
        print_json(console, [rule.model_dump(mode="json", exclude_none=True) for rule in found])
        return
    table = Table("rule", "studies", "are")
    for rule in found:
        table.add_row(Text(rule.name), Text(rule.when.in_words()), Text(rule.in_words()))
    console.print(table if found else "there are no rules; drafting.rules names their file")


def versions(console: Console, past: History[RulesText]) -> None:
    table = Table("version", "saved by", "when", "why", "")
    for v in past.versions:
        what = "taken out of use" if v.text is None else "in use" if v.version == past.in_use else ""
        table.add_row(str(v.version), Text(v.by), _moment(v.at), Text(v.why), what)
    console.print(table if past.versions else "no rules were saved; drafting.rules names their file")


def tried(console: Console, found: Sequence[tuple[Study, Sequence[Answer]]], as_json: bool) -> None:
    """Studies with what the rules say to each."""
    if as_json:
        answers = [[{"rule": a.rule.name, "takes": a.takes, "misfits": a.misfits} for a in told] for _, told in found]
        print_json(console, answers)
        return
    for study, told in found:
        console.print(Text(f"{study.modality or 'no image'} of {study.body_part or 'an unnamed body part'}", "bold"))
        for answer in told:
            says = answer.rule.in_words() if answer.takes else "; ".join(answer.misfits)
            mark = Text("✓ ", "green") if answer.takes else Text("✗ ", "yellow")
            console.print(mark.append(f"{answer.rule.name}: ", "bold").append(says, "not bold not green not yellow"))
        if not any(answer.takes for answer in told):
            console.print("no rule takes it: it is drafted as without rules")


def dead_letters(console: Console, dead: Sequence[Delivery]) -> None:
    console.print(_deliveries(dead) if dead else "there are no dead letters")


def tokens(console: Console, found: Sequence[Token], now: datetime) -> None:
    table = Table("token", "scopes", "until", "last used", "")
    for t in found:
        used = _moment(t.used_at) if t.used_at else "never"
        ended = "revoked" if t.revoked_at else "" if t.lives(now) else "too old"
        table.add_row(t.name, ", ".join(t.scopes), _moment(t.until), used, Text(ended, "yellow"))
    console.print(table if found else "there are no tokens")


def findings(console: Console, found: Sequence[Finding], as_json: bool) -> None:
    if as_json:
        print_json(console, [_plain(finding) for finding in found])
        return
    for finding in found:
        mark = Text("✓ ", "green") if finding.well else Text("✗ ", "bold red")
        console.print(mark.append(f"{finding.about}: ", "bold").append(finding.text, "not bold not green not red"))


def verified(console: Console, found: Verified, as_json: bool) -> None:
    amiss = [{"file": one.file, "kind": one.kind, "state": state} for one, state in found.amiss.items()]
    if as_json:
        print_json(console, {"files": found.files, "amiss": amiss, "orphans": found.orphans})
        return
    for told in amiss:
        console.print(Text(f"{told['state']}: {told['kind']} {told['file']}", "red"), soft_wrap=True)
    for orphan in found.orphans:
        console.print(Text(f"no row names it: {orphan}", "dim"), soft_wrap=True)
    whole = found.files - len(amiss)
    console.print(f"{whole} of {found.files} files are whole; {len(found.orphans)} more have no row", highlight=False)
    if amiss:
        text = "an instance is mended when it is sent again; for the rest see docs/backup.md"
        console.print(Text(text, "yellow"))


def print_json(console: Console, value: object) -> None:
    console.print(json.dumps(value, ensure_ascii=False, default=str), markup=False, highlight=False, soft_wrap=True)


def _deliveries(deliveries: Sequence[Delivery]) -> Table:
    table = Table("case", "version", "to", "as", "state", "attempts", "answer")
    for d in deliveries:
        style = {DeliveryState.DELIVERED: "green", DeliveryState.DEAD: "red"}.get(d.state, "")
        document, state = str(d.document.kind).upper(), Text(d.state, style)
        table.add_row(d.case_id, str(d.version), d.destination, document, state, str(d.attempts), d.outcome)
    return table


def _moment(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _plain(value: Any) -> Any:
    """Dataclasses as JSON's own types."""
    return json.loads(json.dumps(dataclasses.asdict(value), default=_jsonable))


def _jsonable(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)
