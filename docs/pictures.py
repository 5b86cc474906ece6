"""The README's pictures, made from a real run of the demo:  python docs/pictures.py"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

from rich.console import Console

from radplug import demo

IMAGES = Path(__file__).parent / "images"


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        terminal = Console(record=True, width=110, file=nowhere, force_terminal=True)
        status = demo.run(None, None, Path(folder), False, terminal, terminal)
        if status:
            raise SystemExit(f"the demo ended with {status}; no picture was made")
        shown = terminal.export_text(clear=False)
        terminal.save_svg(str(IMAGES / "demo.svg"), title="make demo")
        (image,) = Path(folder).glob("data/cases/*/v1/image-1.png")
        shutil.copy(image, IMAGES / "phantom.png")
    Console().print(shown, markup=False, highlight=False)


if __name__ == "__main__":
    main()
