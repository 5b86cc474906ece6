"""What the tests of listening and sending share: DCMTK's tools, real files, a listener that remembers, raw PDUs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pydicom.data
import pytest
from peers import free_port, listens, wait_until
from pydicom.filereader import read_file_meta_info
from pynetdicom import AE, _config, build_context
from pynetdicom.association import Association

from dicom_io.arrival import Arrival
from dicom_io.listener import Listener
from dicom_io.part10 import read_transfer_syntax

_TEST_FILES = Path(pydicom.data.__file__).parent
MORE_FILES = Path(__file__).resolve().parents[3] / "shared" / "dicom"


def bundled(name: str) -> Path:
    """A file of pydicom's wheel; nothing is downloaded."""
    path = pydicom.data.get_testdata_file(name, download=False)
    if path is None:
        pytest.fail(f"{name} is not bundled with pydicom {pydicom.__version__}")
    return Path(str(path))


def dicom_files() -> list[Path]:
    """All files of pydicom's wheel that are in DICOM's file format, and those of the folder beside the checkout."""
    candidates = [*_TEST_FILES.glob("*_files/**/*"), *MORE_FILES.glob("*.dcm")]
    return sorted(path for path in candidates if path.is_file() and path.read_bytes()[128:132] == b"DICM")


def dcmtk(tool: str, *arguments: object, timeout: float = 30) -> subprocess.CompletedProcess[str]:
    """Runs one of DCMTK's programs without Nagle's delay; standard error is in its standard output."""
    if not (program := shutil.which(tool)):
        pytest.skip(f"{tool} is not installed: make peers")
    return subprocess.run(
        [program, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout,
        env={**os.environ, "TCP_NODELAY": "1"},
        check=False,
    )


@contextmanager
def listening(keep: Callable[[Arrival], None], **settings: object) -> Iterator[Listener]:
    """RADPLUG on a free port of the loopback, for any calling AE title unless said otherwise."""
    chosen: Mapping[str, object] = {"calling_ae_titles": None, **settings}
    with Listener("RADPLUG", "127.0.0.1", 0, keep, **chosen) as listener:
        yield listener


@contextmanager
def storescp(folder: Path, *options: object) -> Iterator[int]:
    """DCMTK's Storage SCP as ARCHIVE; gives its port."""
    if not (program := shutil.which("storescp")):
        pytest.skip("storescp is not installed: make peers")
    port = free_port()
    arguments = [program, "--aetitle", "ARCHIVE", "-od", str(folder), *map(str, options), str(port)]
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: listens(port), 10, "storescp listens")
            yield port
        finally:
            process.kill()


@contextmanager
def associated(port: int, kinds: Iterable[tuple[str, str]], calling_ae: str = "MODALITY") -> Iterator[Association]:
    """An association with RADPLUG: a context for each SOP Class with its transfer syntax."""
    ae = AE(calling_ae)
    ae.acse_timeout = ae.dimse_timeout = 20
    association = ae.associate("127.0.0.1", port, [build_context(*kind) for kind in kinds], "RADPLUG")
    if not association.is_established:
        pytest.fail("there is no association")
    connection = association.dul.socket.socket
    try:
        yield association
    finally:
        association.release()
        connection.close()


@contextmanager
def bytes_as_they_are() -> Iterator[None]:
    """While in it, pynetdicom sends data sets as they stand in their files, under the UIDs of their file meta."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_config, "STORE_SEND_CHUNKED_DATASET", True)
        yield


def kind(file: Path) -> tuple[str, str]:
    """SOP Class and transfer syntax as the file meta information has them."""
    meta = read_file_meta_info(file)
    return meta.MediaStorageSOPClassUID, meta.TransferSyntaxUID


def data_set_bytes(file: Path) -> bytes:
    """What stands in a file behind its file meta information."""
    with file.open("rb") as stream:
        read_transfer_syntax(stream)
        return stream.read()
