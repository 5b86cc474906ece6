"""The parts of the DICOM statement on associations, configuration and security."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dicom_io import association, connection, listener
from radplug.conformance.facts import Service
from radplug.conformance.markdown import Section, bullets, code, table
from radplug.settings import Settings


def associations(settings: Settings, at_work: Iterable[Service]) -> Section:
    web = [(service.name, service.role, code(request)) for service in at_work for request in service.web]
    ours = settings.listener
    ports = [f"{ours.port}"] if ours.plain else []
    ports += [f"{ours.tls.port} with TLS"] if ours.tls else []
    callers = "any AE title" if ours.accept_any_calling_ae else _listed(ours.calling_ae_titles)
    accepted = (
        ("Listens on", f"{ours.host}, port {' and '.join(ports)}"),
        ("Called AE titles that are accepted", _listed(sorted(ours.ae_titles))),
        ("Calling AE titles that are accepted", callers),
        ("Application context name", "1.2.840.10008.3.1.1.1"),
        ("Associations at a time", f"{ours.maximum_associations}; further ones are rejected for the moment"),
        ("Maximum length PDU that is asked for", f"{ours.maximum_pdu} bytes"),
        ("Longest PDU that is read", f"{connection.LONGEST_PDU} bytes; a longer one ends the connection"),
        ("Largest data set", f"{listener.LARGEST_INSTANCE} bytes encoded; a larger one ends the connection"),
        ("Time for the association request, and for each PDU", f"{listener.ACSE_SECONDS:g} s"),
        ("An association without a message ends after", f"{listener.IDLE_SECONDS:g} s"),
        ("Asynchronous operations window", "not negotiated: one operation at a time"),
        ("SOP Class extended negotiation", "none; that of peers is passed over"),
        ("Common extended negotiation", "none"),
        ("User identity negotiation", "none; an identity that a peer sends is not checked"),
        ("SCP/SCU role selection", "where the tables above say so"),
    )
    proposed = (
        ("Calling AE title", code(ours.ae_title)),
        ("Maximum length PDU that is asked for", f"{association.MAXIMUM_PDU} bytes"),
        ("Longest PDU that is read", f"{connection.LONGEST_PDU} bytes; a longer one ends the connection"),
        ("Associations at a time with a PACS", f"one for each document, of {settings.delivery.workers} cases at most"),
        ("Asynchronous operations window", "not negotiated"),
        (
            "Negotiations beyond presentation contexts",
            "role selection: SCP of N-EVENT-REPORT, and of C-STORE with C-GET",
        ),
    )
    return Section(
        "Network communication details",
        (),
        (
            Section("Associations that are accepted", (table(("Parameter", "Value"), accepted),)),
            Section("Associations that are opened", (table(("Parameter", "Value"), proposed),)),
            Section("Media storage", ("None.",)),
            Section("Web services", (table(("Service", "Role", "Request"), web) or "None.",)),
        ),
    )


def configuration(settings: Settings) -> Section:
    rows = [
        (
            pacs.name,
            code(pacs.ae_title),
            f"{pacs.host}:{pacs.port}",
            "yes" if pacs.tls else "no",
            f"{pacs.timeout_seconds:g} s",
            ", ".join(pacs.shapes),
            "yes" if pacs.commitment else "no",
            "yes" if pacs.count_instances else "no",
            pacs.priors,
        )
        for pacs in settings.pacs
    ]
    head = ("PACS", "AE title", "Address", "TLS", "Longest wait", "Sent as", "Commitment", "Counted", "Earlier studies")
    with_tls = {pacs.ae_title for pacs in settings.pacs if pacs.tls}
    reports = [
        (code(ae_title), f"{address.host}:{address.port}", "yes" if address.tls or ae_title in with_tls else "no")
        for ae_title, address in settings.listener.commitment_reports.items()
    ]
    delivery = settings.delivery
    return Section(
        "Configuration",
        (
            "Everything is in one settings file; `radplug settings` prints it with every setting, its default and its "
            "meaning. AE titles, addresses and ports of peers are fixed there; none is learnt from the network.",
            table(head, rows) or "No PACS is set.",
            table(("Storage commitment is answered to", "Address", "TLS"), reports),
            table(("Modality worklist", "Address", "TLS", "Longest wait"), _worklist(settings)),
            table(("Workitems", "Address", "TLS", "Longest wait"), _workitems_peer(settings)),
            table(("Web server", "URL"), _web_servers(settings)),
            f"After a failure the pause is {delivery.first_retry_seconds:g} s; it doubles each time, up to "
            f"{delivery.longest_retry_seconds:g} s, and after {delivery.attempts} attempts a document is a dead "
            "letter.",
        ),
    )


def _worklist(settings: Settings) -> Iterator[tuple[str, ...]]:
    if one := settings.modality_worklist:
        address, tls = f"{one.host}:{one.port}", "yes" if one.tls else "no"
        yield code(one.ae_title), address, tls, f"{one.timeout_seconds:g} s"


def _workitems_peer(settings: Settings) -> Iterator[tuple[str, ...]]:
    if (workitems := settings.workitems) and (one := workitems.peer):
        address, tls = f"{one.host}:{one.port}", "yes" if one.tls else "no"
        yield code(one.ae_title), address, tls, f"{workitems.timeout_seconds:g} s"


def _web_servers(settings: Settings) -> Iterator[tuple[str, str]]:
    yield from ((to.name, to.url) for to in settings.dicomweb)
    for pacs in settings.pacs:
        if pacs.priors == "dicomweb" and pacs.dicomweb:
            yield f"{pacs.name}, earlier studies", pacs.dicomweb.url
    if (workitems := settings.workitems) and workitems.url:
        yield "workitems", workitems.url
    if workitems and workitems.images_url:
        yield "workitems' inputs", workitems.images_url


def security(settings: Settings) -> Section:
    return Section(
        "Security",
        (bullets(_secured(settings)),),
        (
            Section(
                "Audit trail",
                (
                    "What is received, refused, drafted, sent, confirmed, seen and changed is noted in rows that are "
                    "only ever added, each chained to the one before by SHA-256. " + _audit_file(settings),
                ),
            ),
            Section(
                "De-identification", ("None: nothing is de-identified, and nothing leaves but the documents above.",)
            ),
        ),
    )


def _audit_file(settings: Settings) -> str:
    sent = "They are not sent anywhere: the audit message transport of PS3.15 is not there."
    if settings.audit.file is None:
        return sent
    return f"They are appended to a file as messages of the schema of PS3.15 A.5.1, which name no patient. {sent}"


def _secured(settings: Settings) -> Iterator[str]:
    tls = settings.listener.tls
    profile = "the BCP 195 RFC 8996, 9325 TLS profile (PS3.15 B.12): TLS 1.2 and 1.3, ECDHE with AES-GCM or ChaCha20"
    if tls:
        shown = "must show" if tls.require_client_certificate else "may show"
        yield f"Associations are accepted by {profile}; senders {shown} a certificate."
    if settings.listener.plain:
        yield "Associations are accepted without TLS: whoever reaches the port is told apart by AE title alone."
    worklist, workitems = settings.modality_worklist, settings.workitems
    called = [(pacs.name, pacs.tls) for pacs in settings.pacs] + ([("the worklist", worklist.tls)] if worklist else [])
    called += [("the workitems' peer", workitems.peer.tls)] if workitems and workitems.peer else []
    with_tls = [name for name, tls in called if tls]
    without = [name for name, tls in called if not tls]
    if with_tls:
        yield f"Associations with {', '.join(with_tls)} are opened by {profile}; its certificate must name its host."
    if without:
        yield f"Associations with {', '.join(without)} are opened without TLS."
    https = "with HTTPS" if settings.web.certificate or settings.web.behind_https else "without HTTPS"
    yield f"Requests over the web are accepted {https}, each with a bearer token of the scope that it needs."
    if any(_web_servers(settings)):
        yield (
            "Requests over the web go where the URLs above say and are not redirected: by HTTPS (this machine apart), "
            "with the token or password that is set. The server's certificate must name its host."
        )
    yield "Digital signatures and encrypted attributes are kept as they came, neither checked nor made."


def _listed(titles: Iterable[str]) -> str:
    return ", ".join(map(code, titles)) or "none"
