"""A case's images in a real Chromium: scrolled, windowed, zoomed, and drawn as they are rendered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from houses import add_slices, receive_file, send_study
from image_samples import image, part10
from playwright.sync_api import Page, expect

from dicom_io.rendering import render
from radplug.wiring import House


def middle(page: Page) -> int:
    """The grey in the middle of the viewer."""
    return int(
        page.evaluate(
            """() => { const c = document.querySelector("#viewer canvas");
            return c.getContext("2d").getImageData(c.width / 2, c.height / 2, 1, 1).data[0] }"""
        )
    )


def test_a_stack_of_500_slices_is_scrolled_windowed_and_zoomed(
    site: House, page: Page, address: str, tmp_path: Path
) -> None:
    case = send_study(site, tmp_path / "study")
    add_slices(site, case, 500)
    page.goto(f"{address}/cases/{case.id}")
    page.get_by_label("Series").select_option(label="Thorax (500)")
    canvas, told = page.locator("#viewer canvas"), page.locator("#viewer output")
    expect(told).to_contain_text("image 1 of 500 · window 40 / 400 · 100%")
    dark = middle(page)
    canvas.focus()
    for key in ("End", "ArrowUp", "PageUp"):
        page.keyboard.press(key)
    expect(told).to_contain_text("image 489 of 500")
    canvas.hover()
    page.mouse.wheel(0, 100)
    expect(told).to_contain_text("image 490 of 500")
    assert middle(page) > dark
    page.get_by_role("button", name="lung").click()
    expect(told).to_contain_text("window -600 / 1500")
    canvas.focus()
    page.keyboard.press("+")
    expect(told).to_contain_text("125%")
    box = canvas.bounding_box()
    assert box
    page.mouse.move(box["x"] + 100, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 130)
    page.mouse.up()
    expect(told).not_to_contain_text("window -600 / 1500")
    page.keyboard.press("0")
    expect(told).to_contain_text("image 490 of 500 · window 40 / 400 · 100%")


@pytest.mark.parametrize("curve", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_a_window_is_drawn_as_it_is_rendered(site: House, page: Page, address: str, tmp_path: Path, curve: str) -> None:
    file = tmp_path / "ramp.dcm"
    ramp = np.tile(np.arange(64, dtype=np.uint16), (64, 1))
    file.write_bytes(part10(image(ramp, WindowCenter=30, WindowWidth=20, VOILUTFunction=curve)))
    case = receive_file(site, file)
    page.goto(f"{address}/cases/{case.id}")
    expect(page.locator("#viewer output")).to_contain_text("window 30 / 20")
    drawn = page.evaluate(
        """() => { const c = document.querySelector("#viewer canvas"), pixel = Math.min(c.width, c.height) / 64;
        return [...Array(64).keys()].map((column) =>
          c.getContext("2d").getImageData(c.width / 2 + (column - 31.5) * pixel, c.height / 2, 1, 1).data[0]) }"""
    )
    assert np.abs(np.array(drawn) - render(file).pixels[32, :, 0]).max() <= 1
