"""Reading the statements of `radplug conformance` as the people who get them do: headings, and tables under them."""

from __future__ import annotations

import re


class Statement:
    def __init__(self, markdown: str) -> None:
        self._lines = markdown.splitlines()

    def tables(self, *head: str) -> list[tuple[str, list[list[str]]]]:
        """Each table with that head: what was said last before it, and its rows."""
        found: list[tuple[str, list[list[str]]]] = []
        said = ""
        lines = iter(self._lines)
        for line in lines:
            if line.startswith("|") and _cells(line) == list(head):
                next(lines)
                rows = []
                for row in lines:
                    if not row.startswith("|"):
                        break
                    rows.append(_cells(row))
                found.append((said, rows))
            elif line and not line.startswith("|"):
                said = line
        return found

    def value(self, parameter: str) -> str:
        """What stands beside it, where it stands first."""
        return next(_cells(line)[1] for line in self._lines if line.startswith(f"| {parameter} |"))

    def section(self, title: str) -> Statement:
        """What stands under a heading, down to the next of its rank."""
        number, start = next(
            (len(line.split()[0]), at)
            for at, line in enumerate(self._lines)
            if re.fullmatch(rf"#+ [0-9.]+ {re.escape(title)}", line)
        )
        rest = self._lines[start + 1 :]
        end = next((at for at, line in enumerate(rest) if re.match(rf"#{{2,{number}}} ", line)), len(rest))
        return Statement("\n".join(rest[:end]))


def _cells(line: str) -> list[str]:
    return [cell.strip().strip("`").replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
