"""The delimiters of a message, and text that goes between them and comes back unchanged (HL7 2.5.1 chapter 2.7)."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass

from hl7.errors import Malformed

# Control characters other than tab and line feed, and halves of surrogate pairs: nothing carries them safely.
_UNSENDABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_FORMATTING = r"\.(?:br|ce|fi|nf|(?:sp|sk)\+?\d{0,2}|(?:in|ti)[+-]?\d{0,3})"  # commands of FT text, chapter 2.7.4


@dataclass(frozen=True, slots=True)
class Delimiters:
    """What MSH-1 and MSH-2 say; `truncation` is the fifth character of MSH-2 that version 2.7 brought.

    Raises:
        Malformed: two of them are the same, or one is a letter, a digit, a space or not ASCII.
    """

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape_character: str = "\\"
    subcomponent: str = "&"
    truncation: str = ""

    def __post_init__(self) -> None:
        characters = "".join(astuple(self))
        if not re.fullmatch(r"[!-/:-@\[-`{-~]{5,6}", characters) or len(set(characters)) != len(characters):
            raise Malformed("MSH-1 and MSH-2 do not give five different punctuation marks: the usual ones are |^~\\&")

    @property
    def encoding_characters(self) -> str:
        """MSH-2."""
        return self.component + self.repetition + self.escape_character + self.subcomponent + self.truncation

    def escape(self, text: str) -> str:
        r"""`text` as field content: delimiters by their letters, line feed as \.br\ and tab as \X09\.

        `unescape` gives back exactly what went in.

        Raises:
            Malformed: a character that cannot be sent (a control character, carriage return among them, or half of a
                surrogate pair); it is refused because dropping it would change the text unseen.
        """
        if found := _UNSENDABLE.search(text):
            raise Malformed(
                f"the text holds U+{ord(found[0]):04X} at position {found.start()}, which HL7 cannot carry: "
                "remove it, and end lines with a line feed alone"
            )
        sequences = {mark: letter for letter, mark in self._marks().items()} | {"\n": ".br", "\t": "X09"}
        e = self.escape_character
        return text.translate({ord(mark): f"{e}{sequence}{e}" for mark, sequence in sequences.items()})

    def unescape(self, content: str, charset: str = "utf-8") -> str:
        r"""The text that `content` stands for.

        Formatting commands become what they do to plain text, \X..\ is decoded in `charset`, highlighting goes away.
        What is no escape sequence we know stays as it is: nothing that a sender wrote is lost.
        """
        if self.escape_character not in content:
            return content
        marks = self._marks()

        def meaning(found: re.Match[str]) -> str:
            sequence = found[1]
            if sequence in marks:
                return marks[sequence]
            if sequence.startswith("X"):
                try:
                    return bytes.fromhex(sequence[1:]).decode(charset)
                except UnicodeDecodeError:
                    return found[0]
            match sequence[:3]:
                case ".br" | ".ce":
                    return "\n"
                case ".sp":
                    return "\n" * int(sequence[3:] or 1)
                case ".sk":
                    return " " * int(sequence[3:] or 1)
                case _:  # highlighting, indentation, filling
                    return ""

        e = re.escape(self.escape_character)
        return re.sub(rf"{e}([{''.join(marks)}HN]|X(?:[0-9A-Fa-f]{{2}})+|{_FORMATTING}){e}", meaning, content)

    def _marks(self) -> dict[str, str]:
        marks = {
            "E": self.escape_character,
            "F": self.field,
            "S": self.component,
            "T": self.subcomponent,
            "R": self.repetition,
            "P": self.truncation,
        }
        return {letter: mark for letter, mark in marks.items() if mark}


STANDARD = Delimiters()


def escape(text: str) -> str:
    """`text` as field content between the usual delimiters; see `Delimiters.escape`."""
    return STANDARD.escape(text)


def unescape(content: str) -> str:
    """The text that field content between the usual delimiters stands for; see `Delimiters.unescape`."""
    return STANDARD.unescape(content)
