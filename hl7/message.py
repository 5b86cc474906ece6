r"""Reading and building HL7 version 2 messages in ER7, the encoding with bars and hats (HL7 2.5.1 chapter 2.5–2.7).

A message is a tuple of segments and a segment a tuple of its fields as they were sent: nothing is interpreted until it
is asked for, so Z segments, unknown fields and their order survive. All numbers count from one, as HL7 counts them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from hl7.errors import BadField, Malformed
from hl7.escaping import STANDARD, Delimiters

Segment = tuple[str, ...]  # segment[0] is the name and segment[n] field n, still escaped; MSH[1] is the field separator

TEXT_TYPES = frozenset({"TX", "FT"})  # in OBX-2: narrative

Component = str | tuple[str, ...]  # a text, or subcomponents
Value = str | tuple[Component, ...]  # a text, or components
Field = Value | list[Value]  # a value, or repetitions

# MSH-18 (table 0211, and spellings met in the field) to Python's codecs. ASCII is not here: every default holds it.
CHARACTER_SETS: Mapping[str, str] = {
    **{f"8859/{part}": f"iso8859-{part}" for part in (1, 2, 3, 4, 5, 6, 7, 8, 9, 15)},
    "UNICODE UTF-8": "utf-8",
    "UNICODE": "utf-8",
    "UTF-8": "utf-8",
    "UTF8": "utf-8",
    "ISO IR87": "iso2022_jp_2",
    "GB 18030-2000": "gb18030",
    "KS X 1001": "euc_kr",
    "BIG-5": "big5",
}
_ASCII = ("", "ASCII")


@dataclass(frozen=True, slots=True)
class Message:
    """One message, whole and in order; `charset` is Python's name of the codec of its bytes."""

    segments: tuple[Segment, ...] = field(repr=False)  # patient data stays out of logs and tracebacks
    delimiters: Delimiters = STANDARD
    charset: str = "utf-8"

    @classmethod
    def parse(cls, raw: bytes, default_charset: str = "utf-8") -> Message:
        """Read `raw`, in the character set that MSH-18 declares or else in `default_charset`.

        Tolerated: segments that end with LF or CRLF, blank lines, no end of the last segment. Everything else is kept,
        and `encode` gives the same bytes back with CR as segment end.

        Raises:
            Malformed: no MSH, unusable delimiters, an unknown character set, bytes that are not in it, or a line that
                does not start with a segment name.
        """
        if not raw.startswith(b"MSH"):
            raise Malformed("the message does not begin with MSH")
        first_line = re.split(rb"[\r\n]", raw, maxsplit=1)[0].decode("latin-1")
        separator = first_line[3:4]
        header = first_line.split(separator) if separator else [first_line]
        if len(header) < 2 or not 4 <= len(header[1]) <= 5:
            raise BadField("MSH", 2, "102", "does not hold four or five encoding characters: the usual ones are ^~\\&")
        delimiters = Delimiters(separator, *header[1])
        charset = _codec(header[17].split(delimiters.repetition) if len(header) > 17 else [], default_charset)
        try:
            text = raw.decode(charset)
        except UnicodeDecodeError as error:
            what = (
                f"must name the character set of the message, or the source's default must: byte {error.start} is not"
            )
            raise BadField("MSH", 18, "102", f"{what} {charset}") from None
        # Within a message of CR lines a lone LF is content, unless a segment starts behind it.
        lines = re.split(rf"\r\n?|\n(?=[A-Z][A-Z0-9]{{2}}{re.escape(separator)})", text)
        segments = tuple(tuple(line.split(separator)) for part in lines if (line := part.rstrip("\n")))
        for number, segment in enumerate(segments, 1):
            if not re.fullmatch(r"[A-Z][A-Z0-9]{2}", segment[0]):
                raise Malformed(f"line {number} does not start with a segment name")
        return cls((("MSH", separator, *segments[0][1:]), *segments[1:]), delimiters, charset)

    def encode(self) -> bytes:
        """The message as bytes, every segment ended by CR.

        Raises:
            Malformed: a character that the message's character set does not have.
        """
        separator = self.delimiters.field
        head, *rest = self.segments
        lines = (separator.join((head[0], *head[2:])), *map(separator.join, rest))
        try:
            return "".join(f"{line}\r" for line in lines).encode(self.charset)
        except UnicodeEncodeError as error:
            raise Malformed(f"U+{ord(error.object[error.start]):04X} does not exist in {self.charset}") from None

    def all(self, name: str) -> tuple[Segment, ...]:
        """The segments of that name, in order."""
        return tuple(segment for segment in self.segments if segment[0] == name)

    def raw(self, segment: str | Segment, number: int) -> str:
        """A field as it was sent, still escaped; empty if there is none. A name means the first segment so named."""
        if isinstance(segment, str):
            segment = next(iter(self.all(segment)), ())
        return segment[number] if number < len(segment) else ""

    def repetitions(self, segment: str | Segment, number: int) -> tuple[str, ...]:
        """A field's repetitions, each as one text: what TX, FT or ST say, a sloppy sender's bare ^ and & included."""
        content = self.raw(segment, number)
        return tuple(self._text(part) for part in content.split(self.delimiters.repetition))

    def components(self, segment: str | Segment, number: int, repetition: int = 1) -> tuple[str, ...]:
        """The components of a field's repetition, each as `get` gives a text."""
        content = _nth(self.raw(segment, number), self.delimiters.repetition, repetition)
        return tuple(self._value(part) for part in content.split(self.delimiters.component))

    def get(
        self, segment: str | Segment, number: int, component: int = 1, repetition: int = 1, subcomponent: int = 1
    ) -> str:
        """One text out of the message; empty where there is none, and for `""`, HL7's "delete what you have"."""
        content = _nth(self.raw(segment, number), self.delimiters.repetition, repetition)
        content = _nth(content, self.delimiters.component, component)
        return self._value(_nth(content, self.delimiters.subcomponent, subcomponent))

    def _value(self, content: str) -> str:
        return "" if content == '""' else self._text(content)

    def _text(self, content: str) -> str:
        return self.delimiters.unescape(content, self.charset)


def header_of(raw: bytes) -> Message:
    """MSH alone and up to MSH-17, as Latin-1: who sends what, whatever the character set of the message is.

    Raises:
        Malformed: no MSH, or unusable delimiters.
    """
    line = re.split(rb"[\r\n]", raw, maxsplit=1)[0]
    separator = line[3:4] or b"|"
    return Message.parse(separator.join(line.split(separator)[:17]), default_charset="latin-1")


def codec(name: str) -> str:
    """Python's codec for a character set as MSH-18 names it.

    Raises:
        Malformed: it is not one that is read here.
    """
    if name.strip().upper() not in CHARACTER_SETS:
        known = ", ".join(CHARACTER_SETS)
        raise BadField("MSH", 18, "103", f"names a character set that is not read here: known are {known}")
    return CHARACTER_SETS[name.strip().upper()]


def segment(name: str, fields: Mapping[int, Field]) -> Segment:
    """A segment between the usual delimiters from its fields by number; every text in it is escaped here.

    A str is one text, a tuple components (a tuple inside it subcomponents), a list repetitions. Empty components at the
    end are left out.

    Raises:
        Malformed: a text holds a character that cannot be sent.
    """
    return name, *(_content(fields.get(number, "")) for number in range(1, max(fields) + 1))


def carets(text: str) -> tuple[str, ...]:
    """A text with carets, such as `ORD1^RIS`, as components."""
    return tuple(text.split("^"))


def _content(value: Field, separators: str = STANDARD.component + STANDARD.subcomponent) -> str:
    match value:
        case str():
            return STANDARD.escape(value)
        case list():
            return STANDARD.repetition.join(_content(part) for part in value)
        case tuple():
            return separators[0].join(_content(part, separators[1:]) for part in value).rstrip(separators[0])


def _nth(content: str, separator: str, number: int) -> str:
    parts = content.split(separator, number)
    return parts[number - 1] if number <= len(parts) else ""


def _codec(declared: list[str], default: str) -> str:
    """The codec for MSH-18's repetitions: the first beyond ASCII decides, for it holds ASCII as well."""
    name = next((part for part in declared if part.strip().upper() not in _ASCII), None)
    return default if name is None else codec(name)
