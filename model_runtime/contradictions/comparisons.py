"""The prior guard: the model compares with an earlier study only where it was given one, of the day that it names.

Models write "unchanged since the previous study" whether there was one or not: the reports that they learnt from do.
What they write of the kind is struck out by a lexicon, and the draft says what was struck. The lexicon would rather
strike a harmless sentence than let an invented comparison stand. English only. Standard library only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date
from functools import partial

from model_runtime.assembly import SENTENCE_END
from model_runtime.contradictions.sentences import is_models, sentences_of
from model_runtime.draft_text import Author, SectionText, Span, Struck, Why

_STUDY = (
    r"(stud(y|ies)|exam(ination)?s?|radiographs?|radiography|films?|x-?rays?|ct|mri?|pet|ultrasound|mammograms?|scans?"
    r"|images?|imaging|reports?)"
)
_MOVES = (
    r"(increased|decreased|improved|worsened|progressed|resolved|enlarged|grown|regressed|developed|cleared|diminished"
    r"|shrunk|migrated|appeared|changed|(been|become|gotten) \w+)"
)
_BY_MUCH = r"((significant|substantial|appreciable|interval|major|relevant|definite|convincing|other|further|real) )?"
_COMPARES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"\bcompar(ed|isons?|ing)\b|\bcompare (to|with)\b|\bin contrast to\b",
        rf"\b(prior|previous|earlier|preceding|last|older|recent) (\w+ ){{0,3}}{_STUDY}\b",
        r"\b(since|from|than|versus|vs\.?|to|as|on|with) (the |a |an |any )?(prior|previous)\b|\bpriors\b",
        r"\b(prior|previous)\s*([.,;:)]|$)",
        r"\bpreviously\b|\bbefore\s*([.,;:)]|$)|\bagain\b|\bstill\b|\bno longer\b|\bnow\b|\bonce more\b",
        r"\bunchanged\b|\b(un)?alter(ed|ation)\b|\bstab(le|ility)\b|\bbaseline\b",
        rf"\b(no|without|little|any|not) {_BY_MUCH}(change|progression|growth|improvement)\b",
        r"\bchanges? (from|since|in (size|extent|position|appearance))\b",
        r"(?<!short )(?<!short-)\b(interval|interim)\b(?!s?,? (follow|imaging))",
        r"\bnew(er|ly)?\b|\bsince\b",
        r"\b(increas|decreas|improv|worsen|progress|resolv|regress|diminish|enlarg|evolv)ing\b",
        r"\b(improve(ment|d|s)|worse(ned|ns)?|progress(ed|ion|es|ive)|regress(ed|ion)|resolved|resolution of)\b",
        r"\b(increased?|decreased?|reduced|reduction) (from|since|in (size|extent|number|volume))\b",
        r"\b(larger|smaller|bigger|more|less|better|greater|fewer|higher|lower)( \w+){0,3} than\b",
        rf"\b(has|have|had) (also |not |slightly |mildly |markedly |partially |completely |nearly )*{_MOVES}\b",
        r"\bpersist(s|ed|ent|ently|ing|ence)?\b|\bremain(s|ed|ing)?\b|\bresidual\b|\brecurren(t|ce)\b",
        r"\bre-?(demonstrated|demonstration|accumulat\w+|visuali[sz]ed)\b|\bsimilar\b|\bthe same as\b",
        r"\byesterday\b|\b(days?|weeks?|months?|years?) (ago|earlier|before)\b|\blast (night|week|month|year)\b",
    )
)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAMED = rf"(?P<month>{'|'.join(_MONTHS)})[a-z]*\.?"
_ISO = re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{1,2})-(?P<day>\d{1,2})\b")
_NUMBERS = re.compile(r"\b(?P<one>\d{1,2})[./-](?P<two>\d{1,2})[./-](?P<year>\d{4}|\d{2})\b")
_DAY_FIRST = re.compile(rf"\b((?P<day>\d{{1,2}})(st|nd|rd|th)? (of )?)?{_NAMED},? (?P<year>\d{{4}})\b", re.IGNORECASE)
_MONTH_FIRST = re.compile(rf"\b{_NAMED} (?P<day>\d{{1,2}})(st|nd|rd|th)?,? (?P<year>\d{{4}})\b", re.IGNORECASE)


def compares(text: str) -> bool:
    """Whether it says how something was in an earlier study, or that there is, or is not, one to compare with."""
    plain = " ".join(text.split())
    return any(pattern.search(plain) for pattern in _COMPARES)


def invented(text: str, supplied: Collection[date]) -> bool:
    """Whether it compares with a study that is none of those supplied; what names no day may mean any of them."""
    if not compares(text):
        return False
    return not supplied or not all(any(fits(day) for day in supplied) for fits in _days(text))


def strike_comparisons(
    sections: Sequence[SectionText], supplied: Collection[date]
) -> tuple[tuple[SectionText, ...], tuple[Struck, ...]]:
    """The sections without the model's comparisons with studies that are none of those supplied, and those.

    Of a sentence that holds words of the radiologist's, only the model's part that compares is struck: those words
    stand as they were said, and may compare with whatever the radiologist has seen.
    """
    kept: list[SectionText] = []
    struck: list[Struck] = []
    for section in sections:
        spans: list[Span] = []
        for sentence in sentences_of(section.spans):
            for span in sentence:
                if span.kind is Author.MODEL and invented(span.text, supplied):
                    struck.append(Struck(section.name, span.text.strip(), Why.COMPARES))
                    span = replace(span, text=_left_of(span.text, alone=is_models(sentence)), confidence=None)
                if span.kind is Author.MODEL and not spans:
                    span = replace(span, text=span.text.lstrip())
                if span.text:
                    spans.append(span)
        kept.append(replace(section, spans=tuple(spans)))
    return tuple(kept), tuple(struck)


def _left_of(text: str, *, alone: bool) -> str:
    """The space before the phrase that follows, and the full stop of a sentence that another's words begin."""
    stop = "." if not alone and SENTENCE_END.search(text) else ""
    return stop + (" " if text[-1].isspace() else "")


def _days(text: str) -> Iterator[Callable[[date], bool]]:
    """For each day, or month, that the text names: whether a day is it, in any of the ways to read it."""
    for pattern in (_ISO, _DAY_FIRST, _MONTH_FIRST):
        for found in pattern.finditer(text):
            name, day = found["month"], found["day"]
            month = int(name) if name.isdigit() else _MONTHS.index(name[:3].lower()) + 1
            yield partial(_is, years={int(found["year"])}, days={(month, int(day) if day else None)})
    for found in _NUMBERS.finditer(text):
        one, two, year = int(found["one"]), int(found["two"]), int(found["year"])
        yield partial(_is, years={year} if year > 99 else {1900 + year, 2000 + year}, days={(one, two), (two, one)})


def _is(day: date, *, years: set[int], days: set[tuple[int, int | None]]) -> bool:
    return day.year in years and bool({(day.month, day.day), (day.month, None)} & days)
