"""All sessions of a site, each in a thread of its own."""

from __future__ import annotations

import threading
from functools import partial

from radplug import certificates
from radplug.fhir.hub import Hub
from radplug.fhircast.session import Session
from radplug.settings import FhircastSettings
from radplug.wiring import House


def run(house: House, settings: FhircastSettings, stop: threading.Event) -> None:
    """Take part in every session until told to stop."""
    subscriber = house.settings.device.station_name
    sessions = [
        Session(house, settings, name, partial(_hub, settings, subscriber, topic))
        for name, topic in settings.topics.items()
    ]
    threads = [threading.Thread(target=session.run, args=(stop,), daemon=True) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _hub(s: FhircastSettings, subscriber: str, topic: str) -> Hub:
    """As files have it now: a renewed token or authority counts when the session is next joined."""
    return Hub(s.url, topic, subscriber, s.authorization(), certificates.asking(s), s.timeout_seconds)
