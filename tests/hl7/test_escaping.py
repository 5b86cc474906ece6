from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hl7.errors import Malformed
from hl7.escaping import STANDARD, Delimiters, escape, unescape

TRICKY = st.sampled_from(
    [
        "|",
        "^",
        "~",
        "\\",
        "&",
        "#",
        "\\E\\",
        "\\.br\\",
        "\\X41\\",
        "\\F\\",
        "\n",
        "\t",
        " ",
        "e\u0301",
        "山",
        "🙂",
        "\u2028",
    ]
)
TEXT = st.lists(TRICKY | st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=8)).map("".join)
ODD = Delimiters("!", "%", "$", "@", "*", "#")


@given(TEXT)
def test_unescape_gives_back_what_escape_was_given(text: str) -> None:
    assert unescape(escape(text)) == text
    assert ODD.unescape(ODD.escape(text)) == text


@given(TEXT)
def test_escaped_text_holds_no_delimiter_and_no_control_character(text: str) -> None:
    escaped = escape(text)
    assert not set(escaped) & set("|^~&\r\n\t\x0b\x1c")
    assert not set(ODD.escape(text)) & set("!%$*#\r\n\t")


def test_escape_writes_the_sequences_of_chapter_2_7() -> None:
    assert escape("a|b^c&d~e\\f") == r"a\F\b\S\c\T\d\R\e\E\f"
    assert escape("line\nnext\tcolumn") == r"line\.br\next\X09\column"


@pytest.mark.parametrize("character", ["\x00", "\r", "\x0b", "\x1c", "\x1b", "\x7f", "\x85", "\ud800"])
def test_what_cannot_be_sent_is_refused_without_telling_the_text(character: str) -> None:
    with pytest.raises(Malformed, match=r"at position 6") as refused:
        escape("SECRET" + character)
    assert "SECRET" not in str(refused.value)
    assert f"U+{ord(character):04X}" in str(refused.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (r"one\.br\two\.sp\three\.sp2\four\.sp+2\five", "one\ntwo\nthree\n\nfour\n\nfive"),
        (r"\.ce\title\.sk3\x\.in+4\y\.ti-2\z\.fi\\.nf\.", "\ntitle   xyz."),
        (r"\H\bold\N\ text", "bold text"),
        (r"\XC3A4\ and \X41\ ", "ä and A "),
        (r"\XFF\ is not UTF-8", r"\XFF\ is not UTF-8"),
        (r"\Zmark\ \C2842\ \M244242\ ", r"\Zmark\ \C2842\ \M244242\ "),
        (r"5\6 mm \T\ C:\dir\file", r"5\6 mm & C:\dir\file"),
        ("\\", "\\"),
        ("#\\P\\", "#\\P\\"),
    ],
)
def test_unescape_reads_what_others_write_and_loses_nothing(content: str, text: str) -> None:
    assert unescape(content) == text


def test_hexadecimal_data_is_in_the_charset_of_the_message() -> None:
    assert STANDARD.unescape(r"\XE4\ ", "latin-1") == "ä "


@pytest.mark.parametrize("marks", ["|^~\\^", "|^~\\a", "|^~\\ ", "|^~\\5", "|^~\\é", "||~\\&"])
def test_delimiters_are_five_different_punctuation_marks(marks: str) -> None:
    with pytest.raises(Malformed, match="MSH-1 and MSH-2"):
        Delimiters(*marks)
