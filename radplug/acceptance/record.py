"""What a run of the kit leaves behind: JSON and JUnit XML for machines, a page for those who sign."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from radplug import __version__
from radplug.acceptance.check import Outcome, Result

_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
)


@dataclass(frozen=True, slots=True)
class Record:
    """`against` is what was tested, in words, `by` with what."""

    against: str
    by: str
    began: datetime
    results: Sequence[Result]

    @property
    def good(self) -> bool:
        return not any(result.outcome is Outcome.FAILED for result in self.results)

    @property
    def counts(self) -> Counter[Outcome]:
        return Counter(result.outcome for result in self.results)

    @property
    def summary(self) -> str:
        counts = self.counts
        return ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])

    def as_json(self) -> str:
        checks = [
            {
                "name": result.check.name,
                "group": result.check.group,
                "does": result.check.does,
                "expects": result.check.expects,
                "outcome": result.outcome,
                "seen": result.seen,
                "seconds": round(result.seconds, 3),
            }
            for result in self.results
        ]
        about = {"against": self.against, "by": self.by, "began": self.began.isoformat(), "summary": self.summary}
        whole = {"radplug": __version__, **about, "checks": checks}
        return json.dumps(whole, ensure_ascii=False, indent=2)

    def as_junit(self) -> str:
        root = ElementTree.Element("testsuites")
        for group, results in groupby(self.results, key=lambda result: result.check.group):
            of_group = list(results)
            counts = Counter(result.outcome for result in of_group)
            about = {
                "name": group,
                "timestamp": f"{self.began:%Y-%m-%dT%H:%M:%S}",
                "time": f"{sum(result.seconds for result in of_group):.3f}",
                "tests": str(len(of_group)),
                "failures": str(counts[Outcome.FAILED]),
                "errors": "0",
                "skipped": str(counts[Outcome.NOT_APPLICABLE] + counts[Outcome.LEFT_OUT]),
            }
            suite = ElementTree.SubElement(root, "testsuite", about)
            for result in of_group:
                name = {"name": result.check.name, "classname": f"radplug.{group}", "time": f"{result.seconds:.3f}"}
                case = ElementTree.SubElement(suite, "testcase", name)
                if result.outcome is Outcome.PASSED:
                    ElementTree.SubElement(case, "system-out").text = _printable(result.seen)
                else:
                    failed = result.outcome is Outcome.FAILED
                    kind = "failure" if failed else "skipped"
                    why = result.seen if failed else f"{result.outcome}: {result.seen}"
                    ElementTree.SubElement(case, kind, message=_printable(why))
        return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)

    def as_html(self) -> str:
        groups = [(name, list(of)) for name, of in groupby(self.results, key=lambda result: result.check.group)]
        return _PAGES.get_template("record.html").render(record=self, groups=groups, version=__version__)


def _printable(text: str) -> str:
    """What XML can hold."""
    return "".join(
        c if c in "\t\n\r" or (ord(c) >= 0x20 and c.isprintable()) else "\N{REPLACEMENT CHARACTER}" for c in text
    )
