"""What tests of several floors share: authorities, and databases of each kind."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from certificates import Authority, authority
from hypothesis import settings
from peers import free_port

settings.register_profile("busy", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("busy")


@pytest.fixture
def hospital(tmp_path: Path) -> Authority:
    """The one that vouches for us and our peers."""
    return authority(tmp_path, "hospital")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """One that nobody here knows."""
    return authority(tmp_path, "stranger")


@pytest.fixture(scope="session")
def postgresql_cluster() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, up to the database's name."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("PostgreSQL is not installed: make peers")
    bin_folder, port = programs[-1].parent, free_port()
    data = Path(tempfile.mkdtemp(prefix="radplug-postgresql-"))
    as_user: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        as_user = ["runuser", "-u", "postgres", "--"]
        shutil.chown(data, "postgres")
    control = [*as_user, str(bin_folder / "pg_ctl"), "-D", str(data), "-w"]
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={data} -c fsync=off"
    quiet: dict[str, Any] = {"check": True, "stdout": subprocess.DEVNULL, "cwd": "/"}
    subprocess.run([*control, "-o", "-A trust -U postgres -E UTF8 --locale=C.UTF-8", "init"], **quiet)
    subprocess.run([*control, "-l", str(data / "log"), "-o", options, "start"], **quiet)
    yield f"postgresql+psycopg://postgres@127.0.0.1:{port}"
    subprocess.run([*control, "-m", "immediate", "stop"], **quiet)
    shutil.rmtree(data, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'test.sqlite'}"
    cluster = request.getfixturevalue("postgresql_cluster")
    name = f"test_{time.monotonic_ns()}"
    engine = sa.create_engine(f"{cluster}/postgres", isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    engine.dispose()
    return f"{cluster}/{name}"
