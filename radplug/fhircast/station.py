"""All sessions of a site, each in a thread of its own."""

from __future__ import annotations

import threading
from functools import partial

from radplug import certificates
from radplug.fhir.hub import Hub
from radplug.fhircast.session import Session
from radplug.wiring import House


def run(house: House, stop: threading.Event) -> None:
    """Take part in every session until told to stop."""
    topics = house.settings.fhircast.topics
    sessions = [Session(house, name, partial(_hub, house, topic)) for name, topic in topics.items()]
    threads = [threading.Thread(target=session.run, args=(stop,), daemon=True) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _hub(house: House, topic: str) -> Hub:
    """As settings and files have it now: a renewed token or authority counts when the session is next joined."""
    s = house.settings.fhircast
    subscriber = house.settings.device.station_name
    return Hub(str(s.url), topic, subscriber, s.token, certificates.asking(s), s.timeout_seconds)
