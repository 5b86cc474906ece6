"""Pages on paper and on screen: as a PDF whose text can be read out, and as grey images. Both have the watermark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

from dicom_io.report_pages import HEIGHT, WIDTH, Page
from dicom_io.typefaces import DEJAVU, Typefaces

DOTS_PER_INCH: Final = 150
WHITE, WATERMARK_GREY, BLACK = 255, 208, 0
_SCALE: Final = DOTS_PER_INCH / 72
_WATERMARK_SIZE, _WATERMARK_ANGLE = 46.0, 52.0  # points, degrees


def pdf(pages: Sequence[Page], title: str, written_at: datetime, typefaces: Typefaces) -> bytes:
    """The pages as a PDF with its fonts; the same arguments give the same bytes.

    Contents are not compressed, and the watermark is in Helvetica, so that the bytes show that each page has it.

    Raises:
        Refused: a text has a character that cannot be drawn.
    """
    made = FPDF(unit="pt", format=(WIDTH, HEIGHT))
    made.set_compression(False)
    made.set_auto_page_break(False)
    made.set_creation_date(written_at)
    made.set_title(title)
    for page in pages:
        made.add_page()
        made.set_font("Helvetica", "B", _WATERMARK_SIZE)
        made.set_text_color(WATERMARK_GREY)
        half = made.get_string_width(page.watermark) / 2
        with made.rotation(_WATERMARK_ANGLE, WIDTH / 2, HEIGHT / 2):
            made.text(WIDTH / 2 - half, HEIGHT / 2, page.watermark)
        made.set_text_color(BLACK)
        for line in page.lines:
            for run in typefaces.runs(line.text, line.size):
                family = str(run.typeface.file).lower()
                if family not in made.fonts:
                    made.add_font(family, fname=run.typeface.file)
                made.set_font(family, size=line.size)
                made.text(line.x + run.at, line.y, run.text)
    return bytes(made.output())


def image(page: Page, typefaces: Typefaces) -> Image.Image:
    """A page in grey, black on white.

    Raises:
        Refused: a text has a character that cannot be drawn.
    """
    drawn = Image.new("L", (round(WIDTH * _SCALE), round(HEIGHT * _SCALE)), WHITE)
    drawn.paste(WATERMARK_GREY, mask=watermark(page.watermark))
    pen = ImageDraw.Draw(drawn)
    for line in page.lines:
        for run in typefaces.runs(line.text, line.size):
            at = ((line.x + run.at) * _SCALE, line.y * _SCALE)
            font = ImageFont.truetype(run.typeface.file, line.size * _SCALE, layout_engine=ImageFont.Layout.BASIC)
            pen.text(at, run.text, fill=BLACK, font=font, anchor="ls")
    return drawn


def watermark(text: str) -> Image.Image:
    """Where a page's watermark is, as an image of the page: 255 inside its letters."""
    font = ImageFont.truetype(DEJAVU, _WATERMARK_SIZE * _SCALE, layout_engine=ImageFont.Layout.BASIC)
    width, height = round(WIDTH * _SCALE), round(HEIGHT * _SCALE)
    side = math.ceil(math.hypot(width, height))
    mask = Image.new("L", (side, side))
    ImageDraw.Draw(mask).text((side / 2, side / 2), text, fill=255, font=font, anchor="mm")
    left, top = (side - width) // 2, (side - height) // 2
    return mask.rotate(_WATERMARK_ANGLE).crop((left, top, left + width, top + height))
