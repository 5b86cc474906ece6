"""The stations as processes: each announces itself, says when it is ready, and stops cleanly on SIGTERM or Ctrl-C."""

from __future__ import annotations

import importlib
import multiprocessing
import signal
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import structlog

from dicom_io.arrival import Arrival
from dicom_io.errors import UnusableCertificate
from dicom_io.listener import Listener, SecurePort
from dicom_io.tls import explained
from hl7.errors import Unavailable
from hl7.listener import Listener as Hl7Listener
from hl7.listener import Secure
from model_runtime.errors import UnusableAdapter, UnusableCheckpoint
from radplug import certificates, clock, pipeline, worker
from radplug.audit_file import AuditFile
from radplug.clock import Doorbell
from radplug.commitment_desk import CommitmentDesk
from radplug.hl7_in import inbox
from radplug.signal_desk import SignalDesk
from radplug.supervisor import StationFailed, end_with_parent
from radplug.wiring import House

STOP_SECONDS = 10.0  # for a question that is under way

log = structlog.get_logger(__name__)


def listen(house: House) -> None:
    """The listener: instances, and what is announced of their studies, until told to stop."""
    s = house.settings.listener
    swept = house.store.sweep()
    if swept:
        log.info("removed instances that a crash left half written; none was acknowledged", files=swept)

    def keep(arrival: Arrival) -> None:
        received = pipeline.receive(
            house,
            arrival.instance,
            arrival.header,
            arrival.data_set,
            arrival.calling_ae,
            arrival.called_ae,
            moved_by_us=arrival.is_moved_by(s.ae_title),
        )
        log.info("received", instance=arrival.instance.sop_instance_uid, as_=received, calling_ae=arrival.calling_ae)

    def distrusted(address: str, reason: str) -> None:
        house.audit.note("TLS refused", address=address, reason=reason)

    with at_work(house, "listener") as stop:
        desk = CommitmentDesk(house)
        listener = Listener(
            s.ae_title,
            s.host,
            s.port if s.plain else None,
            keep,
            secure=SecurePort(s.tls.port, certificates.accepting(s.tls), distrusted) if s.tls else None,
            calling_ae_titles=s.callers,
            further_ae_titles=frozenset(s.further_ae_titles),
            commitment=desk if house.settings.commitment else None,
            signals=SignalDesk(house),
            maximum_pdu=s.maximum_pdu,
            maximum_associations=s.maximum_associations,
        )
        try:
            listener.start()
        except OSError as error:
            where = _where(s.host, s.port if s.plain else None, s.tls.port if s.tls else None)
            raise StationFailed(f"{where} cannot be listened on: {error.strerror}; is it taken?") from error
        except UnusableCertificate as error:
            raise StationFailed(f"listener.tls: {error}") from error
        where = _where(s.host, listener.port if s.plain else None, listener.secure_port if s.tls else None)
        house.stations.ready("listener", house.now(), f"{s.ae_title} on {where}")
        log.info("ready", ae_title=s.ae_title, listens_on=where)
        if house.settings.commitment:
            threading.Thread(target=desk.run, args=(stop,), name="commitment", daemon=True).start()
        stop.wait()
        listener.stop()


def _where(host: str, port: int | None, secure_port: int | None) -> str:
    plain = [] if port is None else [f"{host}:{port}"]
    secure = [] if secure_port is None else [f"{host}:{secure_port} (TLS)"]
    return " and ".join((*plain, *secure))


def take_hl7(house: House) -> None:
    """The HL7 station: messages from other systems, until told to stop."""
    s = house.settings.hl7
    if not s.on:
        raise StationFailed("hl7.port and [hl7.tls] are not set, so no HL7 is taken; name the port to listen on")

    def admits(address: str) -> bool:
        if not s.admits(address):
            house.audit.note("HL7 sender refused", address=address)
            log.warning("sender refused: hl7.addresses does not name it", address=address)
            return False
        return True

    def distrusted(address: str, error: ssl.SSLError) -> None:
        reason = explained(error)
        house.audit.note("TLS refused", address=address, reason=reason)
        log.warning("TLS failed", address=address, reason=reason)

    def listening(port: int, secure: Secure | None = None) -> Hl7Listener:
        return Hl7Listener(s.host, port, partial(inbox.take, house), secure=secure, admits=admits)

    with at_work(house, "hl7") as stop, ExitStack() as listeners:
        plain = None if s.port is None else listening(s.port)
        secure = listening(s.tls.port, Secure(certificates.accepting(s.tls), distrusted)) if s.tls else None
        try:
            for listener in filter(None, (plain, secure)):
                listeners.enter_context(listener)
        except Unavailable as error:
            raise StationFailed(f"{error}; is it taken?") from error
        except UnusableCertificate as error:
            raise StationFailed(f"hl7.tls: {error}") from error
        where = _where(s.host, plain.port if plain else None, secure.port if secure else None)
        house.stations.ready("hl7", house.now(), where)
        log.info("ready", listens_on=where)
        stop.wait()


def ask(house: House) -> None:
    """The station that asks others, until told to stop."""
    from radplug.asking.orders import OrderDesk
    from radplug.asking.performer import Performer

    s = house.settings
    if "ask" not in s.further_stations:
        raise StationFailed("neither [modality_worklist] nor [workitems] is set, so there is nobody to ask; set either")
    with at_work(house, "ask") as stop:
        runs: list[Callable[[threading.Event], None]] = []
        if s.modality_worklist:
            runs.append(OrderDesk(house, s.modality_worklist).run)
        if s.workitems:
            runs.append(Performer(house, s.workitems).run)
        threads = [threading.Thread(target=run, args=(stop,), daemon=True) for run in runs]
        for thread in threads:
            thread.start()
        house.stations.ready("ask", house.now())
        log.info("ready", orders=s.modality_worklist is not None, workitems=s.workitems is not None)
        stop.wait()
        for thread in threads:
            thread.join(STOP_SECONDS)


def follow_sessions(house: House) -> None:
    """The FHIRcast station: takes part in reporting sessions until told to stop."""
    s = house.settings.fhircast
    if s is None:
        raise StationFailed("[fhircast] is not set, so there is no session to join; name the hub, and its topics")
    from radplug.fhircast import station

    with at_work(house, "fhircast") as stop:
        house.stations.ready("fhircast", house.now(), f"{', '.join(s.topics)} at {s.url}")
        log.info("ready", sessions=len(s.topics), hub=s.url)
        station.run(house, s, stop)


def run_clock(house: House, doorbell: Doorbell) -> None:
    """The clock: until told to stop."""
    house.rules  # noqa: B018  a file that cannot be used is said now, not when a study closes
    with at_work(house, "clock") as stop:
        if file := house.settings.audit.file:
            writer = AuditFile(file, house.database, house.settings.listener.ae_title)
            threading.Thread(target=writer.run, args=(stop,), name="audit file", daemon=True).start()
        house.stations.ready("clock", house.now())
        clock.run(house, doorbell, stop)


def web(house: House) -> None:
    """The worklist: pages for browsers, until told to stop."""
    from radplug.web.serving import CannotServe, serving

    broker = house.settings.broker.url
    with at_work(house, "web") as stop:
        try:
            with serving(house, worker.CeleryDoorbell(broker) if broker else None) as address:
                house.stations.ready("web", house.now(), address)
                log.info("ready", address=address)
                stop.wait()
        except CannotServe as error:
            raise StationFailed(str(error)) from error


def work(house: House, broker_url: str, queue: str) -> int:
    """A worker of the queue `draft` or `delivery`; its exit status.

    What a worker needs is imported once, then the worker is forked off: one that is killed outright is replaced in a
    moment, instead of after the seconds that importing torch takes.
    """
    if queue == worker.DRAFT:
        importlib.import_module("radplug.draftsman")
        importlib.import_module("radplug.key_images")
    importlib.import_module("radplug.documents" if queue == worker.DRAFT else "radplug.destinations")
    house.database.close()  # no connection may cross a fork
    forked = multiprocessing.get_context("fork")
    stop = threading.Event()
    while True:
        child = forked.Process(target=_work, args=(house, broker_url, queue), name=queue)
        child.start()

        def pass_on(*_: object, child: multiprocessing.process.BaseProcess = child) -> None:
            stop.set()
            child.terminate()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, pass_on)
        child.join()
        status = child.exitcode or 0
        if stop.is_set() or status >= 0:
            return status
        log.warning("worker killed, starting another", signal=-status)


def _work(house: House, broker_url: str, queue: str) -> None:
    """The forked worker; Celery itself handles the signals."""
    end_with_parent()
    house.stations.started(queue, house.now())
    try:
        detail = house.draftsman.warm_up() if queue == worker.DRAFT else ""
    except (UnusableCheckpoint, UnusableAdapter) as error:
        log.error("the station cannot do its work here", reason=str(error))
        raise SystemExit(2) from error

    def ready() -> None:
        house.stations.ready(queue, house.now(), detail)
        log.info("ready", detail=detail)

    try:
        worker.run(house, broker_url, queue, ready)
    finally:
        house.stations.stopped(queue)


@contextmanager
def at_work(house: House, station: str) -> Iterator[threading.Event]:
    """The station's row, and an event that is set when the process is asked to stop."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    house.stations.started(station, house.now())
    try:
        yield stop
    finally:
        house.stations.stopped(station)
