"""Instances per second that are stored durably, beside DCMTK's storescp in the same run.

    python bench/receive.py                                # the listener, each file fsynced before it is acknowledged
    python bench/receive.py --target standalone radplug    # and the service: study store, checksums and records

Senders are DCMTK's storescu on this machine, one process for each association. Rounds alternate between the receivers,
and the median counts. storescp does not fsync, ours do. Senders with Nagle's algorithm on, which is DCMTK's default,
measure delayed acknowledgements more than anything else: that row stands by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
import pynetdicom
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dicom_io.listener import Arrival, Listener

HOST = "127.0.0.1"
STORESCP = "storescp"  # the yardstick
KEPT = {"standalone": "*.dcm", "radplug": "studies/**/*.dcm", STORESCP: "CT.*"}  # what each receiver stores
SETTINGS = """
[listener]
host = "{host}"
port = {port}
accept_any_calling_ae = true

[store]
data = "{folder}"
"""


@dataclass(frozen=True)
class Load:
    """What the senders do at the same time."""

    associations: int
    instances: int  # for each association
    nagle: bool = False

    def __str__(self) -> str:
        return f"{self.associations} × {self.instances}" + (", Nagle" if self.nagle else "")


Rates = dict[Load, dict[str, list[float]]]


def main() -> None:
    arguments = _arguments()
    if arguments.serve:
        serve(arguments.serve, arguments.folder)
        return
    for tool in ("storescu", "storescp"):
        if not shutil.which(tool):
            sys.exit(f"{tool} is not installed: make peers")
    loads = [Load(number, arguments.instances) for number in arguments.associations]
    if arguments.nagle_instances:
        loads.append(Load(1, arguments.nagle_instances, nagle=True))
    rates: Rates = {load: {name: [] for name in (*arguments.target, STORESCP)} for load in loads}
    with tempfile.TemporaryDirectory(dir=arguments.folder) as scratch:
        study = Path(scratch) / "study"
        _make_study(study, loads, arguments.size)
        with Progress() as progress:
            task = progress.add_task("receiving", total=arguments.rounds * sum(map(len, rates.values())))
            for _ in range(arguments.rounds):
                for load, by in rates.items():
                    for receiver, some in by.items():
                        progress.update(task, description=f"{receiver}: {load}")
                        some.append(_rate(receiver, load, study))
                        progress.advance(task)
    _print(rates, arguments)


def _rate(receiver: str, load: Load, study: Path) -> float:
    """Instances per second from the first sender's start to the last one's end."""
    files = [sorted(folder.iterdir())[: load.instances] for folder in sorted(study.iterdir())[: load.associations]]
    with tempfile.TemporaryDirectory(dir=study.parent) as folder, _receiving(receiver, Path(folder)) as port:
        command = ["storescu", "-R", "-xe", "-aet", "BENCH", "-aec", "RADPLUG", HOST, str(port)]
        started = time.perf_counter()
        senders = [subprocess.Popen([*command, *map(str, some)], env=_environment(load.nagle)) for some in files]
        failed = sum(sender.wait() != 0 for sender in senders)
        seconds = time.perf_counter() - started
        sent, kept = sum(map(len, files)), sum(1 for _ in Path(folder).glob(KEPT[receiver]))
    if failed or kept != sent:
        sys.exit(f"{receiver}: {failed} of {len(files)} senders failed, {kept} of {sent} instances were stored")
    return sent / seconds


@contextmanager
def _receiving(receiver: str, folder: Path) -> Iterator[int]:
    """The receiver on a free port, storing below the folder until the end."""
    with socket.create_server((HOST, 0)) as server:
        port = int(server.getsockname()[1])
    if receiver == STORESCP:
        command = ["storescp", "--fork", "+B", "-aet", "RADPLUG", "-od", str(folder), str(port)]
    elif receiver == "radplug":
        settings = folder / "radplug.toml"
        settings.write_text(SETTINGS.format(host=HOST, port=port, folder=folder))
        radplug = [str(Path(sys.executable).with_name("radplug")), "--config", str(settings)]
        subprocess.run([*radplug, "migrate"], check=True, capture_output=True)
        command = [*radplug, "listen"]
    else:
        command = [sys.executable, __file__, "--serve", str(port), "--folder", str(folder)]
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(command, env=_environment(nagle=False), stdout=output, stderr=output) as process,
    ):
        try:
            while subprocess.run(["echoscu", "-aec", "RADPLUG", HOST, str(port)], capture_output=True).returncode:
                if process.poll() is not None:
                    sys.exit(f"{receiver} ended with {process.returncode}: {log.read_text()}")
                time.sleep(0.1)
            yield port
        finally:
            process.terminate()


def _environment(nagle: bool) -> dict[str, str]:
    """For DCMTK's tools."""
    others = {name: value for name, value in os.environ.items() if name != "TCP_NODELAY"}
    return others if nagle else {**others, "TCP_NODELAY": "1"}


def serve(port: int, folder: Path) -> None:
    """The listener by itself, with the durable writing that its user owes it; until SIGTERM."""
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda number, frame: ended.set())

    def keep(arrival: Arrival) -> None:
        partial = folder / f"{uuid.uuid4().hex}.part"
        with partial.open("wb") as file:
            file.write(arrival.header)
            file.write(arrival.dataset)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(partial.with_suffix(".dcm"))
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(directory)
        os.close(directory)

    with Listener("RADPLUG", HOST, port, keep, calling_ae_titles=None):
        ended.wait()


def _make_study(folder: Path, loads: list[Load], size: int) -> None:
    """CT slices of size × size pixels, a folder for each association, all of one study."""
    ct = pydicom.dcmread(str(get_testdata_file("CT_small.dcm", download=False)))
    times = -(-size // ct.Rows)
    ct.PixelData = np.tile(ct.pixel_array, (times, times))[:size, :size].tobytes()
    ct.Rows = ct.Columns = size
    ct.StudyInstanceUID, ct.SeriesInstanceUID = generate_uid(), generate_uid()
    instances = max(load.instances for load in loads)
    for association in range(max(load.associations for load in loads)):
        (folder / f"{association:02}").mkdir(parents=True)
        for number in range(1, instances + 1):
            ct.InstanceNumber = association * instances + number
            ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid()
            ct.save_as(folder / f"{association:02}" / f"{number:05}.dcm")


def _print(rates: Rates, arguments: argparse.Namespace) -> None:
    table = Table(title=f"CT {arguments.size} × {arguments.size} stored per second, median of {arguments.rounds}")
    table.add_column("associations × instances")
    for target in arguments.target:
        table.add_column(f"{target}, fsync (spread)", justify="right")
        table.add_column("ratio", justify="right")
    table.add_column("storescp +B (spread)", justify="right")
    for load, by in rates.items():
        cells = []
        for target in arguments.target:
            ratio = statistics.median(by[target]) / statistics.median(by[STORESCP])
            cells += [_spread(by[target]), f"{ratio:.2f}"]
        table.add_row(str(load), *cells, _spread(by[STORESCP]))
    console = Console()
    console.print(table)
    mtu = int(Path("/sys/class/net/lo/mtu").read_text())
    versions = f"Python {platform.python_version()}, pydicom {pydicom.__version__}, pynetdicom {pynetdicom.__version__}"
    console.print(f"{os.cpu_count()} cores, {platform.platform()}, loopback MTU {mtu}, {versions}")
    if arguments.json:
        rows = [{"load": str(load), "rates": by} for load, by in rates.items()]
        arguments.json.write_text(json.dumps({"cores": os.cpu_count(), "mtu": mtu, "rows": rows}, indent=2) + "\n")


def _spread(rates: list[float]) -> str:
    return f"{statistics.median(rates):.0f} ({min(rates):.0f}–{max(rates):.0f})"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--target", nargs="+", choices=["standalone", "radplug"], default=["standalone"])
    parser.add_argument("--associations", nargs="+", type=int, default=[1, 4, 8], help="at the same time (1 4 8)")
    parser.add_argument("--instances", type=int, default=150, help="for each association (150)")
    parser.add_argument("--nagle-instances", type=int, default=30, help="with Nagle on, 0 for not at all (30)")
    parser.add_argument("--size", type=int, default=512, help="rows and columns (512, which makes 0.5 MB)")
    parser.add_argument("--rounds", type=int, default=3, help="of which the median counts (3)")
    parser.add_argument("--folder", type=Path, help="where to store; its file system is what is measured (temporary)")
    parser.add_argument("--json", type=Path, help="write the figures there as well")
    parser.add_argument("--serve", type=int, metavar="PORT", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
