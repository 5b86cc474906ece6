"""An instance comes in, and at last its study is complete."""

from __future__ import annotations

from dicom_io.study import Instance
from radplug.domain import (
    Received,
    StaleWork,
)
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
    if house.receiving.knows(instance, sha256):
        return Received.DUPLICATE
    now = house.now()
    if house.comparing.expects(instance.study_uid, now, by_us=moved_by_us):
        return keep_prior(house, instance, header, data_set)
    stored = house.store.keep(header, data_set, sha256, now)
    received = Received.DUPLICATE
    try:
        received = house.receiving.add(instance, stored, calling_ae, now, house.policy.patience, called_ae)
    finally:
        if received is Received.DUPLICATE:  # a second sender was faster, or the row could not be written
            house.store.discard(stored)
    return received


def close(house: House, case_id: str) -> None:
    """The study has been quiet for long enough: it is complete, unless series that the site expects are missing.

    This is when the site's rules are asked: what they say holds until late images close the study once more.
    """
    instances, now = house.drafting.instances(case_id), house.now()
    images = [kept.instance for kept in instances if kept.instance.is_image]
    series = {image.series_uid for image in images}
    wanted = max((house.policy.expected_series.get(image.modality, 0) for image in images), default=0)
    if len(series) < wanted and house.drafting.wait_for_more(case_id):
        return
    routing = house.router.route(instances, house.drafting.order(house.viewing.case(case_id)), now)
    priors_until = now + house.policy.priors_time if routing.priors and not routing.not_drafted else None
    try:
        house.drafting.close(case_id, now, routing, priors_until)
    except StaleWork:
        return  # an image came just now
    about = {"images": len(images), "series": len(series), "series_expected": wanted}
    house.audit.note("study closed", case_id, **about, rule=routing.rule or "none")
    if routing.not_drafted:
        house.audit.note("not drafted", case_id, reason=routing.not_drafted)
