"""Settings → real parts. The only file that knows every floor; each part is made when it is first asked for.

What a property imports is what other stations must not load: torch for drafting, highdicom for documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from model_runtime.lora.adapter_card import AdapterCard
from radplug.audit import AuditTrail
from radplug.domain import Lease, Patience
from radplug.lease_keeper import LeaseKeeper
from radplug.parts import Policy
from radplug.records.commitment_requests import CommitmentRequests
from radplug.records.committing import Committing
from radplug.records.comparing import Comparing
from radplug.records.database import Database
from radplug.records.delivering import Delivering
from radplug.records.desks import Desks
from radplug.records.drafting import Drafting
from radplug.records.fates import Fates
from radplug.records.notices import Notices
from radplug.records.people import People
from radplug.records.readers import Readers
from radplug.records.receiving import Receiving
from radplug.records.stations import Stations
from radplug.records.templates import SavedTemplates
from radplug.records.tokens import Tokens
from radplug.records.viewing import Viewing
from radplug.records.worklist import Worklist
from radplug.rules import Router, Rule, Site
from radplug.rules import read as read_rules
from radplug.settings import Settings
from radplug.study_store import StudyStore, make_private
from radplug.templates import InUse, TemplateFile, in_use, read_all

if TYPE_CHECKING:
    from radplug.archives import Archives
    from radplug.destinations import Destinations
    from radplug.documents import Documents
    from radplug.draftsman import Draftsman
    from radplug.key_images import KeyImages
    from radplug.prior_reports import PriorReports

DEMO_CHECKPOINT = Path(__file__).parents[1] / "model_runtime" / "weights" / "demo"
PAUSE_AFTER_FAILURE = timedelta(seconds=5)


class House:
    """Every part of the service at one site, for the station or command `actor`."""

    def __init__(self, settings: Settings, actor: str) -> None:
        self.settings = settings
        self._actor = actor

    def now(self) -> datetime:
        return datetime.now(UTC)

    @cached_property
    def policy(self) -> Policy:
        s = self.settings
        slowest = max((d.timeout_seconds for d in (*s.pacs, *s.reporting)), default=0.0)
        return Policy(
            patience=Patience(
                timedelta(seconds=s.assembly.quiet_seconds), timedelta(seconds=s.assembly.at_most_seconds)
            ),
            expected_series=s.assembly.expected_series,
            lease=timedelta(seconds=s.drafting.lease_seconds),
            drafting_attempts=s.drafting.attempts,
            batch=s.drafting.batch,
            gather=timedelta(milliseconds=s.drafting.gather_milliseconds),
            floor=s.model.floor,
            priors_time=timedelta(seconds=s.drafting.priors_seconds),
            first_retry=timedelta(seconds=s.delivery.first_retry_seconds),
            longest_retry=timedelta(seconds=s.delivery.longest_retry_seconds),
            delivery_attempts=s.delivery.attempts,
            delivery_lease=timedelta(seconds=3 * slowest + 30),  # connecting, sending and releasing each may take it
        )

    # ── rows and files ──

    @cached_property
    def database(self) -> Database:
        make_private(self.settings.store.data)
        return Database(self.settings.database_url)

    @cached_property
    def store(self) -> StudyStore:
        return StudyStore(self.settings.store.data, self.settings.store.keep_free_mib << 20)

    @cached_property
    def receiving(self) -> Receiving:
        return Receiving(self.database)

    @cached_property
    def notices(self) -> Notices:
        return Notices(self.database)

    @cached_property
    def drafting(self) -> Drafting:
        return Drafting(self.database)

    @cached_property
    def fates(self) -> Fates:
        return Fates(self.database)

    @cached_property
    def readers(self) -> Readers:
        return Readers(self.database)

    @cached_property
    def comparing(self) -> Comparing:
        return Comparing(self.database)

    @cached_property
    def desks(self) -> Desks:
        return Desks(self.database)

    @cached_property
    def delivering(self) -> Delivering:
        return Delivering(self.database)

    @cached_property
    def committing(self) -> Committing:
        return Committing(self.database)

    @cached_property
    def commitment_requests(self) -> CommitmentRequests:
        return CommitmentRequests(self.database)

    @cached_property
    def viewing(self) -> Viewing:
        return Viewing(self.database)

    @cached_property
    def stations(self) -> Stations:
        return Stations(self.database)

    @cached_property
    def worklist(self) -> Worklist:
        return Worklist(self.database)

    @cached_property
    def people(self) -> People:
        return People(self.database)

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.database)

    @cached_property
    def saved_templates(self) -> SavedTemplates:
        return SavedTemplates(self.database)

    @cached_property
    def audit(self) -> AuditTrail:
        return self.audit_by(self._actor)

    def audit_by(self, actor: str) -> AuditTrail:
        """What a person does is noted under their own name."""
        return AuditTrail(self.database, actor)

    # ── the draft ──

    @property
    def checkpoint(self) -> Path:
        return self.settings.model.checkpoint or DEMO_CHECKPOINT

    @cached_property
    def template_files(self) -> tuple[TemplateFile, ...]:
        return read_all(self.settings.drafting.templates)

    @property
    def templates(self) -> tuple[InUse, ...]:
        """Those in use now: what is saved in the page counts at once, for every station."""
        return in_use(self.template_files, self.saved_templates.newest())

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """Raises UnusableText, and UnusableAdapter where an adapter's name cannot be told."""
        file = self.settings.drafting.rules
        return read_rules(file, self.known_to_rules) if file else ()

    @property
    def known_to_rules(self) -> Site:
        """What rules may name."""
        s = self.settings
        return Site(
            templates={
                one.template.name for one in (self.templates if self.database.is_current() else self.template_files)
            },
            adapters={AdapterCard.read(directory).name for directory in s.model.adapters},
            destinations={d.name for d in (*s.pacs, *s.reporting)},
            callers=s.listener.callers,
            called=s.listener.ae_titles,
            archives={d.name for d in s.pacs if d.priors != "off"},
        )

    @cached_property
    def router(self) -> Router:
        return Router(self.rules, self.settings.drafting.assume_body_part)

    def holding(self, leases: Sequence[Lease]) -> LeaseKeeper:
        return LeaseKeeper(self.drafting, leases, self.policy.lease, PAUSE_AFTER_FAILURE, self.now)

    @cached_property
    def key_images(self) -> KeyImages:
        from radplug.key_images import KeyImages

        return KeyImages(self.store, self.settings.drafting.key_images)

    @cached_property
    def draftsman(self) -> Draftsman:
        from radplug.draftsman import Draftsman

        return Draftsman(
            self.checkpoint,
            lambda: [one.template for one in self.templates],
            self.settings.model.adapters,
            self.store.root,
            device=self.settings.model.device,
            threads=self.settings.model.threads,
            batch=self.settings.drafting.batch,
            seed=self.settings.model.seed,
            assume_body_part=self.settings.drafting.assume_body_part,
        )

    @cached_property
    def documents(self) -> Documents:
        from radplug.documents import Documents

        s = self.settings
        return Documents(self.store, self.viewing, s.device, s.pages.fonts, pacs=s.pacs, reporting=s.reporting)

    @cached_property
    def archives(self) -> Archives:
        from radplug.archives import Archives

        return Archives(self.settings.listener.ae_title, self.settings.pacs)

    @cached_property
    def prior_reports(self) -> PriorReports:
        from radplug.prior_reports import PriorReports

        return PriorReports(self.store)

    @cached_property
    def destinations(self) -> Destinations:
        from radplug.destinations import Destinations

        s = self.settings
        return Destinations(self.store, s.listener.ae_title, pacs=s.pacs, reporting=s.reporting)
