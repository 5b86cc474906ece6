"""This machine: its disk, database, queue and stations."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import redis

from radplug.embedded_redis import NoRedis, find_server
from radplug.findings import WAIT, Finding
from radplug.records.database import WrongSchema
from radplug.supervisor import stations
from radplug.wiring import House


def data(house: House) -> Iterator[Finding]:
    folder = house.settings.store.data
    existing = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    if not os.access(existing, os.W_OK | os.X_OK):
        yield Finding("data directory", False, f"{folder} cannot be written; give it to the user that runs radplug")
        return
    free, wanted = shutil.disk_usage(existing).free >> 20, house.settings.store.keep_free_mib
    if free < wanted:
        text = f"{free} MiB are free in {folder}, below {wanted} MiB every C-STORE is answered 0xA700; make room"
        yield Finding("disk", False, text)
    else:
        yield Finding("disk", True, f"{free} MiB are free in {folder}")


def database(house: House) -> Iterator[Finding]:
    where = house.database.url.render_as_string(hide_password=True)
    try:
        house.database.require_schema()
    except WrongSchema as error:
        yield Finding("database", False, f"{where}: {error}")
    except OSError as error:
        yield Finding("database", False, f"{where}: {error.strerror}; check database.url")
    else:
        yield Finding("database", True, where)


def broker(house: House) -> Iterator[Finding]:
    url = house.settings.broker.url
    if not url:
        try:
            yield Finding("queue", True, f"`radplug up` will start a private Redis: {find_server()}")
        except NoRedis as error:
            yield Finding("queue", False, str(error))
        return
    client = redis.Redis.from_url(url, socket_timeout=WAIT, socket_connect_timeout=WAIT)
    try:
        version = client.info("server")["redis_version"]
    except redis.RedisError as error:
        yield Finding("queue", False, f"broker.url does not answer ({type(error).__name__}); is Redis running there?")
    else:
        yield Finding("queue", True, f"Redis {version}")
    finally:
        client.close()


def stations_at_work(house: House) -> Iterator[Finding]:
    try:
        house.database.require_schema()
    except WrongSchema:
        return  # said already
    found = {station.name: station for station in house.stations.all()}
    for name in stations(house.settings.further_stations):
        station = found.get(name)
        if station is None:
            yield Finding(f"station {name}", False, "is not at work; start `radplug up`, or its systemd unit")
        elif station.ready_at is None:
            yield Finding(
                f"station {name}", False, "has started and is not ready yet; its log tells why, if it stays so"
            )
        else:
            yield Finding(f"station {name}", True, f"ready {station.detail}".strip())
