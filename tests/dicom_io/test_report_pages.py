"""Draft reports as pages: their text can be read out whole, each page says what it is, and what is unfit is found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset
from report_samples import IDS, REPORT, STUDY, WRITTEN_AT, findings, header, run_tool, with_sections

from dicom_io.errors import Refused, Unreadable
from dicom_io.page_checks import check_capture, check_pdf
from dicom_io.page_drawing import image
from dicom_io.page_objects import encapsulated_pdf, secondary_capture
from dicom_io.report import ACCEPTED_BANNER, BANNER, DraftReport
from dicom_io.report_pages import ACCEPTED_WATERMARK, WATERMARK, Page, lay_out
from dicom_io.typefaces import Typefaces

TYPEFACES = Typefaces()
LONG = "The heart is not enlarged, and the lungs are clear on both sides. " * 90
ACCEPTED = replace(REPORT, accepted_by="Maria", banner=ACCEPTED_BANNER)


def pages_of(report: DraftReport = REPORT, source: Dataset | None = None) -> tuple[Page, ...]:
    return lay_out(report, source or header(), 2, WRITTEN_AT, TYPEFACES)


def pdf_of(report: DraftReport = REPORT, source: Dataset | None = None) -> bytes:
    return encapsulated_pdf(pages_of(report, source), report, STUDY, header(), IDS, WRITTEN_AT, TYPEFACES)


def capture_of(report: DraftReport = REPORT) -> bytes:
    return secondary_capture(pages_of(report)[0], report, STUDY, header(), IDS, WRITTEN_AT, TYPEFACES)


def reader(data: bytes) -> Any:
    pypdf = pytest.importorskip("pypdf", reason="pypdf is not installed: make test")
    document = dcmread(BytesIO(data))
    return pypdf.PdfReader(BytesIO(document.EncapsulatedDocument[: document.EncapsulatedDocumentLength]))


def shown(data: bytes) -> list[list[str]]:
    """What each page's text layer shows, in the order of showing, as another's reader decodes it."""
    pages: list[list[str]] = []
    for page in reader(data).pages:
        parts: list[str] = []
        page.extract_text(visitor_text=lambda text, *_, to=parts: to.append(text.strip("\n")))
        pages.append([part for part in parts if part])
    return pages


class TestPdf:
    def test_the_text_layer_is_whole_and_says_whose_it_is(self) -> None:
        (page,) = shown(pdf_of(source=header(PatientName="Müller^Jürgen=山田^太郎")))
        text = "\n".join(page)
        for wanted in (BANNER, "Müller Jürgen", "PH-0001", "ACC0001", "draft 2", "page 1 of 1"):
            assert wanted in text
        for section in REPORT.sections:
            assert section.heading.meaning.upper() in text
            for paragraph in section.paragraphs:
                assert paragraph.text in text

    @pytest.mark.parametrize(("report", "words"), [(REPORT, WATERMARK), (ACCEPTED, ACCEPTED_WATERMARK)])
    def test_each_page_has_the_watermark(self, report: DraftReport, words: str) -> None:
        long = replace(report, sections=(findings(LONG),))
        pages = shown(pdf_of(long))
        assert len(pages) > 1
        assert all(words in page for page in pages)
        assert all("PH-0001" in "".join(page) for page in pages)
        title = str(dcmread(BytesIO(pdf_of(long))).DocumentTitle)
        assert title.startswith(words)
        assert report.banner in "".join(pages[0])

    def test_a_text_of_several_pages_is_whole(self) -> None:
        data = pdf_of(with_sections(findings(LONG.rstrip())))
        body = [line for page in pages_of(with_sections(findings(LONG.rstrip()))) for line in page.lines]
        assert max(line.y for line in body) < 842
        read = "".join(part for page in shown(data) for part in page if "heart" in part or "lungs" in part)
        assert read.count("The heart is not enlarged") == 90

    @given(st.text(st.characters(categories=["L", "N", "P", "S", "Z"], max_codepoint=0x2FFF), min_size=1, max_size=200))
    @settings(max_examples=30, deadline=None)
    def test_a_phrase_is_in_the_text_layer_byte_for_byte_or_refused(self, phrase: str) -> None:
        """Its lines joined again: a line keeps the spaces at which it was broken."""
        try:
            pages = pages_of(with_sections(findings(phrase)))
        except Refused:
            return
        lines = [line.text for page in pages for line in page.lines]
        assert phrase in "".join(lines)
        read = "\n".join(page.extract_text() for page in reader(pdf_of(with_sections(findings(phrase)))).pages)
        for line in lines:
            assert line.strip() in read

    def test_the_same_arguments_give_the_same_bytes(self) -> None:
        assert pdf_of() == pdf_of()

    def test_dciodvfy_finds_no_error(self, tmp_path: Path) -> None:
        verdict = run_tool(["dciodvfy", "-new"], pdf_of(), tmp_path)
        assert verdict.returncode == 0
        assert not [line for line in verdict.stderr.splitlines() if line.startswith(("Error", "Warning"))]


def compact(text: str) -> str:
    """Without white space, which readers place by the distance of letters."""
    return "".join(text.split())


class TestCapture:
    def test_the_page_is_an_image_with_the_watermark_burned_in(self) -> None:
        document = dcmread(BytesIO(capture_of()))
        assert (document.BurnedInAnnotation, document.ConversionType) == ("YES", "SYN")
        assert list(document.ImageType) == ["DERIVED", "SECONDARY"]
        assert (document.PatientID, document.StudyInstanceUID) == ("PH-0001", STUDY.uid)
        drawn = np.asarray(image(pages_of()[0], TYPEFACES))
        assert (document.pixel_array == drawn).all()
        plain = np.asarray(image(replace(pages_of()[0], watermark=" "), TYPEFACES))
        assert 0.01 < (plain != drawn).mean() < 0.2
        assert check_capture(capture_of()) == check_capture(capture_of(ACCEPTED)) == ()

    def test_dciodvfy_finds_no_error(self, tmp_path: Path) -> None:
        verdict = run_tool(["dciodvfy", "-new"], capture_of(), tmp_path)
        assert verdict.returncode == 0
        assert not [line for line in verdict.stderr.splitlines() if line.startswith("Error")]


class TestWhatCannotBeDrawn:
    @pytest.mark.parametrize(
        ("text", "why"),
        [
            ("山", "no font has U\\+5C71"),
            ("لا", "from right to left"),
            ("שלום", "from right to left"),
            ("\u202eabc", "right to left"),
            ("a\tb", "U\\+0009"),
        ],
    )
    def test_it_is_refused_with_the_character_and_no_text(self, text: str, why: str) -> None:
        with pytest.raises(Refused, match=why) as refused:
            pages_of(with_sections(findings(f"Secret {text}")))
        assert "Secret" not in str(refused.value)

    def test_one_form_of_the_name_is_enough_and_none_is_refused(self) -> None:
        assert any(
            "Yamada Tarou" in line.text for line in pages_of(source=header(PatientName="Yamada^Tarou=山田"))[0].lines
        )
        with pytest.raises(Refused, match="name"):
            pages_of(source=header(PatientName="山田^太郎"))

    def test_a_further_font_is_asked_for_what_the_first_lacks(self, tmp_path: Path) -> None:
        file = font_with(tmp_path, "山")
        typefaces = Typefaces([file])
        report = with_sections(findings("a山b"))
        pages = lay_out(report, header(), 1, WRITTEN_AT, typefaces)
        data = encapsulated_pdf(pages, report, STUDY, header(), IDS, WRITTEN_AT, typefaces)
        assert "a山b" in "".join(page.extract_text() for page in reader(data).pages)
        assert check_pdf(data) == ()

    @pytest.mark.parametrize("content", [b"", b"no font"])
    def test_what_is_no_font_is_named(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "bad.ttf").write_bytes(content)
        with pytest.raises(Unreadable, match=r"bad\.ttf"):
            Typefaces([tmp_path / "bad.ttf"])


def font_with(folder: Path, character: str) -> Path:
    """DejaVu's A under another code point."""
    from fontTools.ttLib import TTFont

    from dicom_io.typefaces import DEJAVU

    with TTFont(DEJAVU) as font:
        glyph = font.getBestCmap()[ord("A")]
        for table in font["cmap"].tables:
            table.cmap = {ord(character): glyph}
        font.save(folder / "one.ttf")
    return folder / "one.ttf"


Fault = Callable[[Dataset], object]


def put(keyword: str, value: object) -> Fault:
    return lambda dataset: setattr(dataset, keyword, value)


def exchange(old: bytes, new: bytes) -> Fault:
    assert len(old) == len(new)

    def make(dataset: Dataset) -> None:
        assert old in dataset.EncapsulatedDocument
        dataset.EncapsulatedDocument = dataset.EncapsulatedDocument.replace(old, new)

    return make


def wash(dataset: Dataset) -> None:
    """The page without its watermark."""
    dataset.PixelData = bytes(np.where(dataset.pixel_array > 200, 255, dataset.pixel_array).astype(np.uint8))


BOTH: dict[str, Fault] = {
    "a series of another name": put("SeriesDescription", "REPORT"),
    "no burned in text": put("BurnedInAnnotation", "NO"),
    "another character set": put("SpecificCharacterSet", "ISO_IR 100"),
    "no patient": lambda dataset: delattr(dataset, "PatientID"),
    "no UID": put("SOPInstanceUID", ""),
    "no device": put("DeviceUID", "1.2.x"),
    "another class": put("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2"),
    "another modality": put("Modality", "CT"),
}
OF_PDF: dict[str, Fault] = BOTH | {
    "verified": put("VerificationFlag", "VERIFIED"),
    "a title that does not say what it is": put("DocumentTitle", "Radiology report"),
    "no watermark": exchange(b"(AI DRAFT - NOT REVIEWED) Tj", b"(AI DRAFT - YES REVIEWED)Tj "),
    "no PDF": exchange(b"%PDF-", b"%XXX-"),
    "another length": put("EncapsulatedDocumentLength", 17),
    "cut short": lambda d: setattr(d, "EncapsulatedDocument", d.EncapsulatedDocument[:-40]),
    "empty": put("EncapsulatedDocument", b""),
    "no MIME type": put("MIMETypeOfEncapsulatedDocument", "text/xml"),
}
OF_CAPTURE: dict[str, Fault] = BOTH | {
    "an original": put("ImageType", ["ORIGINAL", "PRIMARY"]),
    "a derivation that does not say what it is": put("DerivationDescription", "Report"),
    "no watermark": wash,
    "black": lambda d: setattr(d, "PixelData", bytes(len(d.PixelData))),
    "white": lambda d: setattr(d, "PixelData", b"\xff" * len(d.PixelData)),
    "fewer rows": put("Rows", 100),
    "fewer pixels": lambda d: setattr(d, "PixelData", d.PixelData[:1000]),
}


def broken(data: bytes, make: Fault) -> bytes:
    dataset = dcmread(BytesIO(data))
    make(dataset)
    buffer = BytesIO()
    dcmwrite(buffer, dataset)
    return buffer.getvalue()


@pytest.mark.parametrize("name", OF_PDF)
def test_each_fault_of_a_pdf_is_found(name: str) -> None:
    assert check_pdf(pdf_of()) == ()
    found = check_pdf(broken(pdf_of(), OF_PDF[name]))
    assert found
    assert "PH-0001" not in "".join(found)


@pytest.mark.parametrize("name", OF_CAPTURE)
def test_each_fault_of_a_capture_is_found(name: str) -> None:
    found = check_capture(broken(capture_of(), OF_CAPTURE[name]))
    assert found
    assert "PH-0001" not in "".join(found)


def test_a_page_that_lacks_its_watermark_among_others_is_found() -> None:
    data = pdf_of(with_sections(findings(LONG)))
    document = dcmread(BytesIO(data))
    document.EncapsulatedDocument = document.EncapsulatedDocument.replace(
        b"(AI DRAFT - NOT REVIEWED) Tj", b"(AI DRAFT - YES REVIEWED)Tj ", 1
    )
    assert check_pdf(document) == ("not each page of the PDF has the watermark",)
