"""What radplug does with what is sent to it: associations, instances, studies."""

from __future__ import annotations

from itertools import groupby

from pydicom import Dataset, dcmread
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom.association import Association

from dicom_io.errors import DicomError, Rejected
from dicom_io.offered import offered
from dicom_io.sending import echo
from radplug.acceptance.altered import every_class_and_syntax, file_with, not_written, under_new_uid
from radplug.acceptance.check import Check, Failed, expect
from radplug.acceptance.ward import Ward

GROUP = "receiving"


def _echo(ward: Ward) -> str:
    echo(ward.radplug, calling_ae=ward.calling_ae, timeout=10)
    return f"{ward.radplug} answered 0x0000"


def _refused(ward: Ward, called: str, calling: str) -> str:
    try:
        echo(ward.under(called), calling_ae=calling, timeout=10)
    except Rejected as refusal:
        return str(refusal)
    except DicomError as error:
        raise Failed(str(error)) from error
    raise Failed("it was let in")


def _unknown_caller(ward: Ward) -> str:
    return _refused(ward, ward.radplug.ae_title, "NOBODYKNOWN")


def _wrong_called(ward: Ward) -> str:
    return _refused(ward, "SOMEBODYELSE", ward.calling_ae)


def _every_class(ward: Ward) -> str:
    study = ward.study()
    made = [dcmread(study.files[0]), *every_class_and_syntax(study.files[0])]
    refused: list[str] = []
    for sop_class, instances in groupby(made, key=lambda one: one.SOPClassUID):
        sent = list(instances)
        for instance, outcome in zip(sent, ward.send(sent), strict=True):
            if outcome:
                refused.append(f"{UID(sop_class).name}, {instance.file_meta.TransferSyntaxUID.name}: {outcome}")
    expect(not refused, f"{len(refused)} of {len(made)} refused; first {refused[:1]}")
    case = ward.case(study.order.accession_number, lambda case: case["instances"] == len(made), "every instance")
    return f"{case['instances']} instances kept; not generated here: {', '.join(not_written())}"


def _abort(ward: Ward) -> str:
    study = ward.study(views=3)
    association = _associated(ward, dcmread(study.files[0]))
    expect(association.send_c_store(dcmread(study.files[0])).Status == 0, "the first image was refused")
    association.abort()
    refused = [outcome for outcome in ward.send(study.files) if outcome]
    expect(not refused, f"after the abort: {refused[:1]}")
    case = ward.case(
        study.order.accession_number,
        lambda case: case["instances"] == 3 and case["state"] == "delivered",
        "3 instances, drafted and delivered",
    )
    return f"{case['instances']} instances, draft {case['version']}"


def _associated(ward: Ward, image: Dataset) -> Association:
    """An association for this image, without the care that our own sending takes. Raises Failed."""
    scu, where = AE(ward.calling_ae), ward.radplug
    scu.requested_contexts = [context for context in offered() if context.abstract_syntax == image.SOPClassUID]
    association = scu.associate(where.host, where.port, ae_title=where.ae_title)
    expect(association.is_established, "no association was made")
    return association


def _resend(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    first = ward.settled(study.order.accession_number)
    expect(not any(ward.send(study.files)), "the second time it was refused")
    again = ward.study()
    ward.send(again.files)
    ward.settled(again.order.accession_number)  # by now the first would have been drafted anew
    case = ward.settled(study.order.accession_number)
    expect((case["instances"], case["version"]) == (first["instances"], 1), f"now there is draft {case['version']}")
    return f"taken twice, kept once, draft {case['version']}; {len(ward.srs(study))} SR"


def _late(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    ward.settled(study.order.accession_number)
    ward.send([under_new_uid(study.files[0], lambda image: setattr(image, "InstanceNumber", 2))])
    ward.settled(study.order.accession_number, version=2)
    srs = ward.srs(study)
    expect(len(srs) == 2, f"{len(srs)} SRs came")
    expect(srs[1].predecessor == srs[0].sop_instance_uid, f"the second names {srs[1].predecessor or 'nothing'}")
    return "draft 2 names draft 1 as its predecessor"


def _other_pixels(ward: Ward) -> str:
    study = ward.study()
    ward.send(study.files)
    ward.settled(study.order.accession_number)
    file_with(study.files[0], lambda image: setattr(image, "PixelData", bytes(len(image.PixelData))))
    (said,) = ward.send(study.files)
    return (
        f"answered {said or '0x0000'}; the case has {ward.settled(study.order.accession_number)['instances']} instances"
    )


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
    case = ward.settled(study.order.accession_number)
    expect(case["instances"] == ward.instances, f"{case['instances']} kept")
    return f"{case['instances']} instances, {case['state']} with draft {case['version']}"


def _multi_frame(ward: Ward) -> str:
    study = ward.study()

    def frames(image: Dataset) -> None:
        image.NumberOfFrames, image.PixelData = 3, image.PixelData * 3

    ward.send([file_with(study.files[0], frames)])
    case = ward.settled(study.order.accession_number)
    return f"{case['state']}: {case['reason'] or 'with a draft'}"


def _monochrome1(ward: Ward) -> str:
    study = ward.study()
    ward.send([file_with(study.files[0], lambda image: setattr(image, "PhotometricInterpretation", "MONOCHROME1"))])
    case = ward.settled(study.order.accession_number)
    expect(case["state"] == "delivered", f"{case['state']}: {case['reason']}")
    return f"draft {case['version']}, {case['state']}"


def _damaged(ward: Ward) -> str:
    study = ward.study()
    file_with(study.files[0], lambda image: setattr(image, "PixelData", image.PixelData[: len(image.PixelData) // 2]))
    (said,) = ward.send(study.files)
    case = ward.settled(study.order.accession_number)
    expect(case["state"] == "not drafted" and bool(case["reason"]), f"{case['state']} {case['reason']}")
    return f"answered {said or '0x0000'}; not drafted: {case['reason']}"


def _no_study_uid(ward: Ward) -> str:
    study = ward.study()
    image = dcmread(study.files[0])
    del image.StudyInstanceUID
    association = _associated(ward, image)
    answer = association.send_c_store(image)
    association.release()
    expect(answer.get("Status", 0) != 0, "it was taken" if "Status" in answer else "it was not answered")
    return f"answered 0x{answer.Status:04X} {answer.get('ErrorComment', '')}".strip()


CHECKS = (
    Check("echo", GROUP, "C-ECHO under an AE title that radplug knows", "0x0000", _echo),
    Check(
        "unknown-caller",
        GROUP,
        "C-ECHO under one that it does not know",
        "the association is rejected",
        _unknown_caller,
    ),
    Check(
        "wrong-called", GROUP, "C-ECHO to another AE title than radplug's", "the association is rejected", _wrong_called
    ),
    Check("every-class", GROUP, "every SOP Class in every transfer syntax", "each is taken and kept", _every_class),
    Check("abort", GROUP, "an association aborted in the middle, then all of the study", "one complete case", _abort),
    Check("resend", GROUP, "the same study twice", "nothing happens the second time", _resend),
    Check("late-image", GROUP, "one more image after the draft", "draft 2, its predecessor named", _late),
    Check("other-pixels", GROUP, "a UID that is known, with other pixels", "an answer; nothing is lost", _other_pixels),
    Check("multi-frame", GROUP, "an image of three frames", "drafted, or not, with a reason", _multi_frame),
    Check("monochrome1", GROUP, "a radiograph whose white is black", "drafted and delivered", _monochrome1),
    Check("damaged", GROUP, "an image with half of its pixels", "kept, not drafted, with the reason", _damaged),
    Check("missing-uid", GROUP, "an image without Study Instance UID", "refused, with the reason", _no_study_uid),
    Check("big-study", GROUP, "a study of very many instances", "all kept, one draft", _big),
)
