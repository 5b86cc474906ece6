"""What radplug does with what is sent to it: associations, and studies that come otherwise than once and whole."""

from __future__ import annotations

from pydicom import Dataset, dcmread
from pydicom.uid import UID

from dicom_io.errors import DicomError, Rejected
from dicom_io.uids import mint_uid
from radplug.acceptance import by_hand
from radplug.acceptance.altered import file_with, under_new_uid
from radplug.acceptance.check import Check
from radplug.acceptance.expecting import Failed, expect, needed
from radplug.acceptance.ward import Ward

GROUP = "receiving"
NO_DOCTOR = "radplug calls its PACS from `radplug doctor`, on its own machine: run it there while the kit is at work"


def _echo(ward: Ward) -> str:
    ward.echo(ward.radplug, ward.calling_ae)
    return f"{ward.radplug} answered 0x0000"


def _echo_back(ward: Ward) -> str:
    wrong = needed(ward.look_around, NO_DOCTOR)()
    faults = [text for about, text in wrong.items() if about.startswith("PACS")]
    expect(not faults, "; ".join(faults))
    return "`radplug doctor` finds every PACS well"


def _refused(ward: Ward, called: str, calling: str) -> str:
    try:
        ward.echo(ward.under(called), calling)
    except Rejected as refusal:
        return str(refusal)
    except DicomError as error:
        raise Failed(str(error)) from error
    raise Failed("it was let in")


def _unknown_caller(ward: Ward) -> str:
    return _refused(ward, ward.radplug.ae_title, "NOBODYKNOWN")


def _wrong_called(ward: Ward) -> str:
    return _refused(ward, "SOMEBODYELSE", ward.calling_ae)


def _abort(ward: Ward) -> str:
    study = ward.study(views=3)
    first, second = (dcmread(file) for file in study.files[:2])
    with by_hand.associated(ward.radplug, first, ward.calling_ae) as association:
        expect(association.send_c_store(first).Status == 0, "the first image was refused")
        by_hand.half(association, second)
    refused = [outcome for outcome in ward.send(study.files) if outcome]
    expect(not refused, f"after the abort: {refused[:1]}")
    case = ward.case(
        study.order.accession_number,
        lambda case: case["instances"] == 3 and case["state"] == "delivered",
        "3 instances, drafted and delivered",
    )
    return f"{case['instances']} instances, draft {case['version']}"


def _resend(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    first = ward.settled(study.order.accession_number)
    expect(not any(ward.send(study.files)), "the second time it was refused")
    another = ward.study()
    ward.send(another.files)
    ward.settled(another.order.accession_number)  # by now the first would have been drafted anew
    case = ward.settled(study.order.accession_number)
    expect((case["instances"], case["version"]) == (first["instances"], 1), f"now there is draft {case['version']}")
    expect(len(ward.srs(study)) == 1, f"{len(ward.srs(study))} SRs came")
    return f"taken twice, kept once, draft {case['version']}; one SR"


def _late_series(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    first, _ = ward.came_back(study)

    def of_another_series(image: Dataset) -> None:
        image.SeriesInstanceUID, image.SeriesNumber = mint_uid(), 2

    ward.send([under_new_uid(study.files[0], of_another_series)])
    second, _ = ward.came_back(study, version=2)
    expect(second.predecessor == first.sop_instance_uid, f"the second SR names {second.predecessor or 'nothing'}")
    return "draft 2 of the same case; its SR names that of draft 1 as its predecessor"


def _other_pixels(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    ward.settled(study.order.accession_number)
    file_with(study.files[0], lambda image: setattr(image, "PixelData", bytes(len(image.PixelData))))
    (said,) = ward.send(study.files)
    if said:
        return f"refused: {said}"
    case = ward.case(study.order.accession_number, lambda case: case["instances"] == 2, "a second instance")
    return f"answered 0x0000; the case has {case['instances']} instances, the first of them as it was"


def _big(ward: Ward) -> str:
    study = ward.study()

    def numbered(number: int) -> Dataset:
        image = dcmread(study.files[0])
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = UID(f"{study.study_uid}.{number}"[:64])
        image.InstanceNumber, image.Rows, image.Columns = number, 64, 64
        image.PixelData = bytes(2 * 64 * 64)
        return image

    refused = [said for said in ward.send([numbered(number) for number in range(1, ward.instances + 1)]) if said]
    expect(not refused, f"{len(refused)} refused; first {refused[:1]}")
    case = ward.case(
        study.order.accession_number,
        lambda case: case["instances"] == ward.instances and case["state"] == "delivered",
        f"a case of {ward.instances} instances, delivered",
    )
    return f"{case['instances']} instances, {case['state']} with draft {case['version']}"


CHECKS = (
    Check("echo", GROUP, "C-ECHO under an AE title that radplug knows", "0x0000", _echo),
    Check("echo-back", GROUP, "C-ECHO from radplug to its PACS", "0x0000", _echo_back),
    Check(
        "unknown-caller",
        GROUP,
        "C-ECHO under an AE title that it does not know",
        "the association is rejected",
        _unknown_caller,
    ),
    Check(
        "wrong-called", GROUP, "C-ECHO to another AE title than radplug's", "the association is rejected", _wrong_called
    ),
    Check("abort", GROUP, "an association aborted within an image, then all of the study", "one complete case", _abort),
    Check("resend", GROUP, "the same study twice", "nothing happens the second time", _resend),
    Check("late-series", GROUP, "one more series after the draft", "draft 2, its predecessor named", _late_series),
    Check("other-pixels", GROUP, "a UID that is known, with other pixels", "refused, or both are kept", _other_pixels),
    Check("big-study", GROUP, "a study of very many instances", "one case of them all, drafted", _big, slow=True),
)
