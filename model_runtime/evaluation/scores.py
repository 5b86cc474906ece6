"""Counting what drafts get right. Standard library only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from model_runtime.contradictions.claims import contradictions, facts_of
from model_runtime.findings import Facts, is_positive


@dataclass(slots=True)
class Tally:
    """Facts of one kind of finding: how often it was there and found, or absent and asserted."""

    right: int = 0
    total: int = 0
    found: int = 0  # there, and stated with the right value
    there: int = 0
    asserted: int = 0  # absent, and stated all the same
    absent: int = 0

    def add(self, finding: str, true: str, said: str) -> None:
        self.total += 1
        self.right += said == true
        if is_positive(finding, true):
            self.there += 1
            self.found += said == true
        else:
            self.absent += 1
            self.asserted += said != true

    def row(self) -> str:
        return (
            f"{_share(self.right, self.total)} right  {_share(self.found, self.there)} sensitivity  "
            f"{_share(self.asserted, self.absent)} false positive"
        )


@dataclass(slots=True)
class Scores:
    """Of many drafts: facts as FINDINGS states them, and whether the text holds together."""

    overall: Tally = field(default_factory=Tally)
    by_finding: dict[str, Tally] = field(default_factory=dict)
    drafts: int = 0
    consistent: int = 0  # drafts that give no finding two values, both sections read together
    sentences: int = 0
    garbled: int = 0  # sentences that are no phrase of the phantoms' language
    texts: Counter[str] = field(default_factory=Counter)

    def add(
        self, facts: Facts, sections: dict[str, str], *, known: Collection[str], given: Collection[str] = ()
    ) -> None:
        """One draft. `known`: sentences of good language; `given`: findings that an anchor states, not counted."""
        findings, *others = sections.values()
        said = facts_of(findings).table()
        for finding, true in facts.table().items():
            if finding not in given:
                kind = finding.removesuffix("_right").removesuffix("_left")
                self.overall.add(finding, true, said[finding])
                self.by_finding.setdefault(kind, Tally()).add(finding, true, said[finding])
        whole = " ".join((findings, *others))
        self.drafts += 1
        self.consistent += not contradictions(whole)
        sentences = [f"{part}." for part in whole.split(".") if part.strip()]
        self.sentences += len(sentences)
        self.garbled += sum(sentence.strip() not in known for sentence in sentences)
        self.texts[whole] += 1

    def lines(self) -> Iterator[str]:
        yield f"{'all facts':18} {self.overall.row()}"
        for finding, tally in self.by_finding.items():
            yield f"{finding:18} {tally.row()}"
        yield (
            f"{'text':18} {_share(self.consistent, self.drafts)} of drafts consistent  "
            f"{_share(self.garbled, self.sentences)} of sentences garbled  "
            f"{_share(len(self.texts), self.drafts)} of drafts worded unlike any other"
        )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.4f}" if whole else "     -"
