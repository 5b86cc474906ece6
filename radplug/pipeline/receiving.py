"""An instance comes in, and at last its study is complete."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dicom_io.study import NOT_IMAGES, Instance
from radplug.completeness import Arrived, Complete, Waits, by_count, by_quiet, by_signals
from radplug.domain import Case, CaseState, KeptInstance, Received, StaleWork, StoredFile
from radplug.parts import House
from radplug.pipeline.comparing import keep_prior


def receive(
    house: House,
    instance: Instance,
    header: bytes,
    data_set: bytes,
    calling_ae: str,
    called_ae: str = "",
    *,
    moved_by_us: bool | None = None,
) -> Received:
    """Keep an instance: once this returns, its bytes and its row are safe, and the sender may be told so.

    `moved_by_us`: whether a C-MOVE of ours has brought it, as the sender says; None: it says nothing of that.

    Raises:
        NoSpace: the disk is below the watermark.
    """
    sha256 = house.store.digest(data_set)
    known = house.receiving.known(instance, sha256)
    if known and not known.damaged:
        return Received.DUPLICATE
    now = house.now()
    if house.comparing.expects(instance.study_uid, now, by_us=moved_by_us):
        return keep_prior(house, instance, header, data_set)
    stored = house.store.keep(header, data_set, sha256, now)
    if known:
        return _mend(house, known, stored, calling_ae)
    received = Received.DUPLICATE
    try:
        received = house.receiving.add(instance, stored, calling_ae, now, house.policy.patience, called_ae)
    finally:
        if received is Received.DUPLICATE:  # a second sender was faster, or the row could not be written
            house.store.discard(stored)
    return received


def _mend(house: House, damaged: StoredFile, stored: StoredFile, calling_ae: str) -> Received:
    """The same bytes have come again, and take the place of a file that no longer holds them."""
    mended = False
    try:
        mended = house.receiving.mend(damaged, stored)
    finally:
        house.store.discard(damaged if mended else stored)
    if not mended:
        return Received.DUPLICATE
    house.audit.note("stored file mended", file=stored.file, before=damaged.file, calling_ae=calling_ae)
    return Received.MENDED


def close(house: House, case_id: str) -> None:
    """Close a study that is complete: what was announced of it is here, or it has been quiet for long enough.

    This is when the site's rules are asked: what they say holds until late images close the study once more.
    """
    now, case = house.now(), house.viewing.case(case_id)
    if case.state is not CaseState.RECEIVING:
        return
    instances = house.drafting.instances(case_id)
    arrived = _arrived(house, case, instances)
    found = _completeness(house, case, arrived, now)
    if isinstance(found, Waits):
        if house.drafting.wait(case_id, now, found.until, found.lacks) and found.lacks:
            house.audit.note("study waits", case_id, lacks=found.lacks)
        return
    routing = house.router.route(instances, house.drafting.order(case), now)
    priors_until = now + house.policy.priors_time if routing.priors and not routing.not_drafted else None
    try:
        house.drafting.close(case_id, now, routing, found.because, found.lacks, priors_until)
    except StaleWork:
        return  # an image came just now
    about = {"images": len(arrived.images), "series": arrived.series, "series_expected": arrived.expected_series}
    why = {"because": found.because, "lacks": found.lacks}
    house.audit.note("study closed", case_id, **about, **why, rule=routing.rule or "none")
    if routing.not_drafted:
        house.audit.note("not drafted", case_id, reason=routing.not_drafted)


def _arrived(house: House, case: Case, kept: Sequence[KeptInstance]) -> Arrived:
    images = [one.instance for one in kept if one.instance.is_image]
    return Arrived(
        images=frozenset(image.sop_instance_uid for image in images),
        instances=len(kept),
        from_images=sum(one.instance.modality not in NOT_IMAGES for one in kept),
        series=len({image.series_uid for image in images}),
        expected_series=max((house.policy.expected_series.get(image.modality, 0) for image in images), default=0),
        last_at=case.last_received_at,
        until=house.drafting.deadline(case.id),
    )


def _completeness(house: House, case: Case, arrived: Arrived, now: datetime) -> Complete | Waits:
    """What others have announced, then the quiet time and the expected series, then the PACS's own count."""
    if found := by_signals(arrived, house.signals.of_study(case.study_uid), now):
        return found
    quiet = house.policy.patience.quiet
    found = by_quiet(arrived, quiet, now)
    if isinstance(found, Waits) or found.lacks or house.archives is None:
        return found
    counted = house.archives.count(case)
    if isinstance(counted, str):
        house.audit.note("count not told", case.id, reason=counted)
        return found
    return by_count(arrived, counted, quiet, now)
