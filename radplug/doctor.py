"""Looks at an installation from all sides, and says in plain words what is wrong and what to do."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import redis

from dicom_io.errors import DicomError, UnusableCertificate
from dicom_io.sending import Peer, echo
from dicom_io.tls import explained
from dicom_io.typefaces import Typefaces
from hl7 import mllp
from hl7.errors import NoTls, Unavailable
from model_runtime.checkpoints.model_card import ModelCard
from model_runtime.errors import UnusableAdapter, UnusableCheckpoint
from model_runtime.lora.adapter_card import AdapterCard
from radplug import certificates, commitment_findings, fhir_findings, web_services
from radplug.embedded_redis import NoRedis, find_server
from radplug.findings import Finding
from radplug.records.database import WrongSchema
from radplug.settings import ModalityWorklistSettings, PacsDestination, SettingsError
from radplug.supervisor import stations
from radplug.texts.reading import UnusableText
from radplug.web.provider import Provider
from radplug.web.provider_answers import BadAnswer, ProviderAway
from radplug.wiring import House

WAIT = 5.0  # seconds for a peer's answer


def examine(house: House) -> list[Finding]:
    """All findings, in the order of the data's way."""
    looks: tuple[Callable[[House], Iterator[Finding]], ...] = (
        _callers,
        _data,
        _database,
        _broker,
        _listener,
        _certificates,
        _stations,
        _checkpoint,
        _adapters,
        _templates,
        _rules,
        _gpu,
        _worklist,
        _openid,
        _pacs,
        _counts,
        _asked,
        commitment_findings.findings,
        _fonts,
        _reporting,
        _fhir,
    )
    return [finding for look in looks for finding in look(house)]


def _callers(house: House) -> Iterator[Finding]:
    try:
        callers = house.settings.listener.callers
    except SettingsError as error:
        yield Finding("who may send", False, str(error))
        return
    if callers is None:
        yield Finding("who may send", True, "any AE title (accept_any_calling_ae): right for a test bench only")
    else:
        yield Finding("who may send", True, ", ".join(sorted(callers)))


def _data(house: House) -> Iterator[Finding]:
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


def _database(house: House) -> Iterator[Finding]:
    where = house.database.url.render_as_string(hide_password=True)
    try:
        house.database.require_schema()
    except WrongSchema as error:
        yield Finding("database", False, f"{where}: {error}")
    except OSError as error:
        yield Finding("database", False, f"{where}: {error.strerror}; check database.url")
    else:
        yield Finding("database", True, where)


def _broker(house: House) -> Iterator[Finding]:
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


def _listener(house: House) -> Iterator[Finding]:
    s = house.settings.listener
    host = "127.0.0.1" if s.host in ("0.0.0.0", "::") else s.host
    ports = ([s.port] if s.plain else []) + ([s.tls.port] if s.tls else [])
    if closed := [port for port in ports if not _answers(host, port)]:
        where = " and ".join(f"{host}:{port}" for port in closed)
        text = f"nothing listens on {where}; start `radplug up`, and open the port in the firewall for the PACS"
        yield Finding("listener", False, text)
        return
    if s.tls:
        yield Finding("listener with TLS", True, f"{host}:{s.tls.port} accepts connections; only a sender shows more")
    if not s.plain:
        return
    caller = next(iter(sorted(s.calling_ae_titles)), s.ae_title)
    try:
        echo(Peer(s.ae_title, host, s.port), calling_ae=caller, timeout=WAIT)
    except DicomError as error:
        yield Finding("listener", False, f"{host}:{s.port} answers, but not as {s.ae_title} should: {error}")
    else:
        yield Finding("listener", True, f"{s.ae_title} answers C-ECHO on {host}:{s.port}")


def _answers(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(WAIT)
        return probe.connect_ex((host, port)) == 0


def _fhir(house: House) -> Iterator[Finding]:
    yield from fhir_findings.findings(house.settings)


def _certificates(house: House) -> Iterator[Finding]:
    yield from certificates.findings(house.settings)


def _stations(house: House) -> Iterator[Finding]:
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


def _worklist(house: House) -> Iterator[Finding]:
    s = house.settings.web
    address = f"{'https' if s.certificate else 'http'}://{s.host}:{s.port}"
    if not s.https and s.host not in ("127.0.0.1", "::1", "localhost"):
        text = (
            f"{address} sends passwords and patients' data unencrypted; give web.certificate and web.key, or listen on "
        )
        yield Finding("worklist", False, f"{text}127.0.0.1 behind a proxy that speaks HTTPS, and set web.behind_https")
    elif not house.database.is_current():
        return  # said already
    elif not s.openid and not house.people.all():
        yield Finding("worklist", False, f"nobody can sign in at {address}; `radplug account NAME` makes an account")
    else:
        yield Finding("worklist", True, address)


def _openid(house: House) -> Iterator[Finding]:
    settings = house.settings.web.openid
    if settings is None:
        return
    try:
        Provider(settings).discovery()
    except SettingsError as error:
        yield Finding("hospital's sign-in", False, str(error))
    except ProviderAway as error:
        text = f"web.openid.issuer does not answer ({error}); check it, the firewall and the certificate"
        yield Finding("hospital's sign-in", False, text)
    except BadAnswer as error:
        yield Finding("hospital's sign-in", False, f"web.openid.issuer answers, but {error}")
    else:
        yield Finding("hospital's sign-in", True, f"{settings.issuer} answers; only a person shows whether it lets in")


def _checkpoint(house: House) -> Iterator[Finding]:
    try:
        card = ModelCard.read(house.checkpoint)
    except UnusableCheckpoint as error:
        yield Finding("checkpoint", False, f"{error}; set model.checkpoint to a directory that has one")
        return
    if not (Path(house.checkpoint) / "config.json").is_file():
        yield Finding("checkpoint", False, f"{house.checkpoint} holds no model; set model.checkpoint")
        return
    yield Finding("checkpoint", True, f"{card.name} {card.version}: {card.purpose}")


def _adapters(house: House) -> Iterator[Finding]:
    """By their cards alone: whether its weights fit, an adapter shows when the draft worker loads it."""
    if not house.settings.model.adapters:
        return
    from model_runtime.checkpoints.checkpoint import fingerprint_of  # loads torch, as _gpu does

    try:
        base = fingerprint_of(house.checkpoint)
    except UnusableCheckpoint:
        return  # said already
    names: set[str] = set()
    for directory in house.settings.model.adapters:
        try:
            card = AdapterCard.read(directory)
        except UnusableAdapter as error:
            yield Finding("adapter", False, str(error))
            continue
        about = f"adapter {card.name}"
        if card.base_fingerprint != base:
            text = f"{directory} was trained on the checkpoint {card.base_fingerprint}, model.checkpoint is {base}"
            yield Finding(about, False, f"{text}; take the adapter for this checkpoint")
        elif card.name in names:
            yield Finding(about, False, f"{directory} has the name of another adapter; give each a name of its own")
        else:
            yield Finding(about, True, f"{card.version}: {card.purpose}")
        names.add(card.name)


def _templates(house: House) -> Iterator[Finding]:
    try:
        found = house.templates if house.database.is_current() else house.template_files
    except UnusableText as error:
        yield from (Finding("template", False, fault) for fault in str(error).splitlines())
    else:
        text = f"{len(found)}, {sum(not one.ours for one in found)} of them the site's own"
        yield Finding("templates", True, text)


def _rules(house: House) -> Iterator[Finding]:
    try:
        written = house.rules_text if house.database.is_current() else house.rules_file
        rules = house.read_rules(written)
    except UnusableText as error:
        yield from (Finding("rule", False, fault) for fault in str(error).splitlines())
    except UnusableAdapter:
        return  # said already
    else:
        if rules:
            yield Finding("rules", True, f"{len(rules)}, asked in the order of {written.where}")


def _gpu(house: House) -> Iterator[Finding]:
    import torch  # seconds to import: only this look needs it

    wanted = house.settings.model.device
    if torch.cuda.is_available():
        yield Finding("GPU", True, torch.cuda.get_device_name())
    elif wanted == "cuda":
        yield Finding("GPU", False, "model.device is cuda and there is no usable GPU; check the driver, or set auto")
    else:
        yield Finding("GPU", True, "none; the model runs on the CPU, which is enough for the demo checkpoint only")


def _pacs(house: House) -> Iterator[Finding]:
    if not house.settings.destinations:
        text = "no [[pacs]], [[dicomweb]], [[reporting]] or [[fhir]] is set, so drafts go nowhere; name one"
        yield Finding("destinations", False, text)
    for pacs in house.settings.pacs:
        yield _echo(f"PACS {pacs.name}", pacs, house)


def _echo(about: str, peer: PacsDestination | ModalityWorklistSettings, house: House) -> Finding:
    try:
        to, ours = certificates.calling(peer)(), house.settings.listener.ae_title
        echo(to, calling_ae=ours, timeout=min(WAIT, peer.timeout_seconds))
    except DicomError as error:
        return Finding(about, False, str(error))
    with_tls = " with TLS" if peer.tls else ""
    return Finding(about, True, f"{peer.ae_title} answers C-ECHO on {peer.host}:{peer.port}{with_tls}")


def _asked(house: House) -> Iterator[Finding]:
    if worklist := house.settings.modality_worklist:
        yield _echo("modality worklist", worklist, house)
    yield from web_services.findings(house.settings, WAIT)


def _counts(house: House) -> Iterator[Finding]:
    if house.archives:
        yield from house.archives.findings()


def _fonts(house: House) -> Iterator[Finding]:
    try:
        Typefaces(house.settings.pages.fonts)
    except DicomError as error:
        yield Finding("fonts", False, str(error))
    else:
        yield Finding("fonts", True, f"{len(house.settings.pages.fonts)} besides DejaVu Sans")


def _reporting(house: House) -> Iterator[Finding]:
    for reporting in house.settings.reporting:
        about, where = f"reporting system {reporting.name}", f"{reporting.host}:{reporting.port}"
        try:
            mllp.reach(
                reporting.host,
                reporting.port,
                timeout=min(WAIT, reporting.timeout_seconds),
                tls=certificates.calling_with(reporting.tls)(),
                server_name=reporting.tls.server_name if reporting.tls else "",
            )
        except UnusableCertificate as error:
            yield Finding(about, False, str(error))
        except NoTls as error:
            yield Finding(about, False, f"{error}: {explained(error.reason)}")
        except Unavailable as error:
            yield Finding(about, False, f"{error}; check host, port and firewall")
        else:
            with_tls = " with TLS" if reporting.tls else ""
            text = f"{where} accepts connections{with_tls}; only a message shows whether it takes results"
            yield Finding(about, True, text)
