"""DCMTK's archive as PACS: an administrator moves a study from it to radplug, and finds the report in it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import tiny_checkpoint
from peers import free_port, tool, wait_until
from sites import PACS_AE, hospital

from radplug.acceptance.synthetic_study import SyntheticStudy
from radplug.domain import CaseState

# dcmqrscp.cfg: who may be moved to, and the one database, which it keeps as files.
CONFIGURATION = """
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
radplug = (RADPLUG, 127.0.0.1, {radplug_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{ae_title} {store} RW (100, 1024mb) ANY
AETable END
"""
PACS = """
[[pacs]]
name = "pacs"
ae_title = "{ae_title}"
host = "127.0.0.1"
port = {port}
"""


def run(program: str, *arguments: object) -> str:
    """What one of DCMTK's tools says."""
    done = subprocess.run(
        [tool(program), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
        env={**os.environ, "TCP_NODELAY": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@contextmanager
def archive(root: Path, port: int, radplug_port: int) -> Iterator[Path]:
    """dcmqrscp as the PACS; gives its folder of files."""
    store = root / "store"
    store.mkdir(parents=True)
    file = root / "dcmqrscp.cfg"
    file.write_text(CONFIGURATION.format(port=port, radplug_port=radplug_port, ae_title=PACS_AE, store=store))
    with (root / "log").open("wb") as log:
        process = subprocess.Popen([tool("dcmqrscp"), "--config", str(file)], stdout=log, stderr=log)
    try:
        echo = [tool("echoscu"), "-aec", PACS_AE, "127.0.0.1", str(port)]
        up = lambda: not subprocess.run(echo, capture_output=True, check=False).returncode  # noqa: E731
        wait_until(up, 10, lambda: f"an answer of dcmqrscp:\n{(root / 'log').read_text()}")
        yield store
    finally:
        process.terminate()
        process.wait(10)


def series_of(port: int, study: SyntheticStudy, modality: str) -> list[str]:
    """Series Instance UIDs, as the archive knows them."""
    found = run(
        *("findscu", "-aec", PACS_AE, "-S", "-k", "QueryRetrieveLevel=SERIES", "-k", "SeriesInstanceUID"),
        *("-k", f"StudyInstanceUID={study.study_uid}", "-k", f"Modality={modality}", "127.0.0.1", port),
    )
    return re.findall(r"\(0020,000e\) UI \[([\d.]+)\0?\]", found)  # a UID of odd length is padded with NUL


def fetched(port: int, study: SyntheticStudy, series_uid: str, folder: Path) -> list[Path]:
    """The files of a series, as the archive gives them out."""
    folder.mkdir()
    run(
        *("getscu", "-aec", PACS_AE, "-S", "-k", "QueryRetrieveLevel=SERIES", "-od", folder),
        *("-k", f"StudyInstanceUID={study.study_uid}", "-k", f"SeriesInstanceUID={series_uid}", "127.0.0.1", port),
    )
    return [*folder.iterdir()]


def test_a_study_is_moved_to_radplug_and_its_report_stands_in_the_archive(tmp_path: Path) -> None:
    model = tiny_checkpoint.write(tmp_path / "model", canvas_length=256, steps=3)
    port = free_port()
    with (
        hospital(tmp_path, model, destinations=PACS.format(ae_title=PACS_AE, port=port)) as site,
        archive(tmp_path / "archive", port, site.listener.port) as store,
    ):
        study = site.study("study")
        run("storescu", "-aec", PACS_AE, "127.0.0.1", port, *study.files)
        run(
            *("movescu", "-aet", "STORESCU", "-aec", PACS_AE, "-aem", "RADPLUG", "-S"),
            *("-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={study.study_uid}", "127.0.0.1", port),
        )

        site.wait_for(study, CaseState.DELIVERED, 1)

        assert len([*store.glob("*.dcm")]) == 2
        (series,) = series_of(port, study, "SR")
        (report,) = fetched(port, study, series, tmp_path / "got")
        dumped = run("dsrdump", report)
        assert "UNVERIFIED" in dumped
        assert "FINDINGS" in dumped.upper()
