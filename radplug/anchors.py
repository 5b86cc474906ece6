"""Dictated phrases as people and interfaces give them: SECTION=phrase, or =phrase for the model to place."""

from __future__ import annotations

import unicodedata


class BadAnchor(Exception):
    """The phrase cannot be an anchor; the text says why, without the phrase."""


def parse(given: str) -> tuple[str, str]:
    """Section and phrase; the phrase is what stands behind the first `=`, byte for byte. "" for no section.

    Raises:
        BadAnchor: no `=` or no phrase, or a character that neither DICOM nor HL7 text can carry.
    """
    section, equals, phrase = given.partition("=")
    section = section.strip().upper()
    if not equals or not phrase.strip():
        raise BadAnchor(
            "an anchor is SECTION=phrase, e.g. 'FINDINGS=Small left pleural effusion.'; where no section stands before "
            "the equals sign, the model chooses it"
        )
    if reason := check(phrase):
        raise BadAnchor(f"an anchor for {section or 'no section'}: {reason}")
    return section, phrase


def check(phrase: str) -> str:
    """Why a phrase cannot stand in a report; empty where it can."""
    if not phrase.strip():
        return "there are no words in it"
    for character in phrase:
        if character != "\n" and unicodedata.category(character) in ("Cc", "Cs"):
            return (
                f"it holds the control character U+{ord(character):04X}, which a report cannot carry; give it without"
            )
    return ""
