"""What doctor says of the servers that are asked over HTTP."""

from __future__ import annotations

import socket
from pathlib import Path

from peers import free_port

from radplug.settings import Settings
from radplug.web_services import findings


def test_each_is_looked_for_wherever_it_is_set(tmp_path: Path) -> None:
    pacs = {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}
    with socket.create_server(("127.0.0.1", 0)) as listening:
        here, nobody = f"http://127.0.0.1:{listening.getsockname()[1]}", f"http://127.0.0.1:{free_port()}"
        settings = Settings(
            dicomweb=[{"name": "archive", "url": here}],
            pacs=[{**pacs, "dicomweb": {"url": here, "token_file": tmp_path / "none"}}],
            workitems={"url": nobody, "station": "RADPLUG^99HOSPITAL^AI drafts"},
        )
        found = {finding.about: finding for finding in findings(settings, 5)}
    assert {about: finding.well for about, finding in found.items()} == {
        "DICOMweb server archive": True,
        "DICOMweb server of PACS pacs": False,
        "UPS-RS server": False,
    }
    assert "token_file" in found["DICOMweb server of PACS pacs"].text
    assert "check url and firewall" in found["UPS-RS server"].text
