"""Settings → real parts. The only file that knows every floor; each part is made when it is first asked for.

What a property imports is what other stations must not load: torch for drafting, highdicom for documents.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from model_runtime.lora.adapter_card import AdapterCard
from radplug.audit import AuditTrail
from radplug.domain import Lease, Patience
from radplug.lease_keeper import LeaseKeeper
from radplug.models import ModelFiles, models
from radplug.policy import Policy
from radplug.records.commitment_requests import CommitmentRequests
from radplug.records.committing import Committing
from radplug.records.comparing import Comparing
from radplug.records.database import Database
from radplug.records.delivering import Delivering
from radplug.records.desks import Desks
from radplug.records.drafting import Drafting
from radplug.records.fates import Fates
from radplug.records.identities import Identities
from radplug.records.notices import Notices
from radplug.records.order_queries import OrderQueries
from radplug.records.people import People
from radplug.records.readers import Readers
from radplug.records.receiving import Receiving
from radplug.records.revising import Revising
from radplug.records.signals import Signals
from radplug.records.stations import Stations
from radplug.records.texts import SavedTexts
from radplug.records.tokens import Tokens
from radplug.records.viewing import Viewing
from radplug.records.workitems import Claims
from radplug.records.worklist import Worklist
from radplug.rules import Router, Rule, RulesText, Site, read_file, saved
from radplug.settings import Settings
from radplug.study_store import StudyStore, make_private
from radplug.templates import InUse, TemplateFile, in_use, read_all
from radplug.texts.history import History, Kind

if TYPE_CHECKING:
    from radplug.archives import Archives
    from radplug.destinations import Destinations
    from radplug.documents import Documents
    from radplug.draftsman import Draftsman
    from radplug.key_images import KeyImages
    from radplug.prior_archives import PriorArchives
    from radplug.prior_reports import PriorReports

SOURCE = "UPS-RS"  # stands where a sender's AE title does, with what a workitem has us fetch by WADO-RS
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
        peers = (*s.objects, *s.reporting, *s.fhir)
        slowest = max((peer.timeout_seconds for peer in peers), default=0.0)
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
    def signals(self) -> Signals:
        return Signals(self.database)

    @cached_property
    def notices(self) -> Notices:
        return Notices(self.database)

    @cached_property
    def drafting(self) -> Drafting:
        return Drafting(self.database)

    @cached_property
    def order_queries(self) -> OrderQueries:
        return OrderQueries(self.database)

    @cached_property
    def claims(self) -> Claims:
        return Claims(self.database)

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
    def identities(self) -> Identities:
        return Identities(self.database)

    @cached_property
    def desks(self) -> Desks:
        return Desks(self.database)

    @cached_property
    def revising(self) -> Revising:
        return Revising(self.database)

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
    def saved_templates(self) -> SavedTexts:
        return SavedTexts(self.database, Kind.TEMPLATE)

    @cached_property
    def saved_rules(self) -> SavedTexts:
        return SavedTexts(self.database, Kind.RULES)

    @cached_property
    def audit(self) -> AuditTrail:
        return self.audit_by(self._actor)

    def audit_by(self, actor: str) -> AuditTrail:
        """What a person does is noted under their own name."""
        return AuditTrail(self.database, actor)

    # ── the draft ──

    @cached_property
    def models(self) -> dict[str, ModelFiles]:
        return models(self.settings)

    @cached_property
    def template_files(self) -> tuple[TemplateFile, ...]:
        return read_all(self.settings.drafting.templates)

    @property
    def templates(self) -> tuple[InUse, ...]:
        """Those in use now: what is saved in the page counts at once, for every station."""
        return in_use(self.template_files, self.saved_templates.newest())

    @cached_property
    def rules_file(self) -> RulesText:
        """Raises UnusableText."""
        return read_file(self.settings.drafting.rules)

    @property
    def past_rules(self) -> History[RulesText]:
        return History(saved.NAME, self.rules_file, self.saved_rules.versions(saved.NAME))

    @property
    def rules_text(self) -> RulesText:
        """That in use now: what is saved in the page counts at once, for every station."""
        return saved.in_use(self.rules_file, self.saved_rules.newest())

    @property
    def rules(self) -> tuple[Rule, ...]:
        """Raises UnusableText, and UnusableAdapter where an adapter's name cannot be told."""
        return self.read_rules(self.rules_text)

    def read_rules(self, written: RulesText) -> tuple[Rule, ...]:
        return saved.read(written, self.known_to_rules)

    @property
    def known_to_rules(self) -> Site:
        """What rules may name."""
        s = self.settings
        return Site(
            templates={
                one.template.name for one in (self.templates if self.database.is_current() else self.template_files)
            },
            models={
                name: {AdapterCard.read(directory).name for directory in model.adapters}
                for name, model in self.models.items()
            },
            destinations=set(s.destinations),
            callers=self._senders,
            called=s.listener.ae_titles,
            archives={d.name for d in s.pacs if d.priors != "off"},
        )

    @property
    def _senders(self) -> frozenset[str] | None:
        """Under which AE titles, or names in their place, instances come; None: any."""
        s = self.settings
        if s.listener.accept_any_calling_ae:
            return None
        others = set[str]()
        if s.workitems:  # a PACS is the sender also of what it gives by C-GET
            others |= {SOURCE} if s.workitems.images_url else {pacs.ae_title for pacs in s.pacs}
        if self.database.is_current():
            others |= {token.sender for token in self.tokens.all() if "store" in token.scopes}
        return frozenset(s.listener.calling_ae_titles) | others

    @cached_property
    def router(self) -> Router:
        return Router(lambda: self.rules_text, self.read_rules, self.settings.drafting.assume_body_part)

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
            self.models,
            lambda: [one.template for one in self.templates],
            self.store.root,
            threads=self.settings.model.threads,
            batch=self.settings.drafting.batch,
            seed=self.settings.model.seed,
            assume_body_part=self.settings.drafting.assume_body_part,
        )

    @cached_property
    def documents(self) -> Documents:
        from radplug.documents import Documents

        s = self.settings
        return Documents(
            self.store, self.viewing, s.device, s.pages.fonts, pacs=s.objects, reporting=s.reporting, fhir=s.fhir
        )

    @cached_property
    def archives(self) -> Archives | None:
        """None where no PACS may be asked what it has."""
        from radplug.archives import Archives

        asked = [pacs for pacs in self.settings.pacs if pacs.count_instances]
        return Archives(self.viewing, self.settings.listener.ae_title, asked) if asked else None

    @cached_property
    def prior_archives(self) -> PriorArchives:
        from radplug.prior_archives import PriorArchives

        return PriorArchives(self.settings.listener.ae_title, self.settings.pacs)

    @cached_property
    def prior_reports(self) -> PriorReports:
        from radplug.prior_reports import PriorReports

        return PriorReports(self.store)

    @cached_property
    def destinations(self) -> Destinations:
        from radplug.destinations import Destinations

        s = self.settings
        return Destinations(
            self.store,
            self.identities,
            s.listener.ae_title,
            pacs=s.pacs,
            dicomweb=s.dicomweb,
            reporting=s.reporting,
            fhir=s.fhir,
        )
