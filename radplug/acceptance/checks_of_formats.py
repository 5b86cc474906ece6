"""What images may be like: every kind that radplug says it takes, unusual ones, and broken ones."""

from __future__ import annotations

from functools import partial
from io import BytesIO

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread

from dicom_io.offered import COMPRESSED, UNCOMPRESSED
from radplug.acceptance import by_hand
from radplug.acceptance.altered import LOSSY, every_offered, file_with, image_in, shown_in
from radplug.acceptance.check import Check
from radplug.acceptance.expecting import expect
from radplug.acceptance.ward import Ward

GROUP = "formats"
NEAR = 16  # of 256: as far as a lossy transfer syntax may be off
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def _every_class(ward: Ward) -> str:
    study = ward.study()
    refused: list[str] = []
    sent = classes = 0
    for sop_class, made in every_offered(study.files[0]):
        classes += 1
        sent += len(made)
        for instance, outcome in zip(made, ward.send(made), strict=True):
            if outcome:
                refused.append(f"{sop_class.name}, {instance.file_meta.TransferSyntaxUID.name}: {outcome}")
    expect(not refused, f"{len(refused)} of {sent} refused; first {refused[:1]}")
    case = ward.case(study.order.accession_number, lambda case: case["instances"] == sent, f"a case of {sent}")
    return f"{case['instances']} instances of {classes} SOP Classes kept"


def _every_syntax(ward: Ward) -> str:
    study = ward.study()
    images = [image_in(study.files[0], syntax) for syntax in (*UNCOMPRESSED, *COMPRESSED)]
    expect(not any(ward.send(images)), "an image was refused")
    accession = study.order.accession_number
    ward.case(accession, lambda case: case["instances"] == len(images), f"a case of {len(images)}")
    for image in images:
        syntax = image.file_meta.TransferSyntaxUID
        shown = np.frombuffer(ward.api.content(f"/cases/{accession}/frames/{image.SOPInstanceUID}/1"), "<i2")
        off = np.abs(shown - shown_in(syntax).ravel().astype(int))
        expect(off.max() <= (NEAR if syntax in LOSSY else 0), f"{syntax.name}: pixels are off by up to {off.max()}")
    return f"each of {len(images)} shows what was sent"


def _multi_frame(ward: Ward) -> str:
    study = ward.study()

    def frames(image: Dataset) -> None:
        image.NumberOfFrames, image.PixelData = 3, image.PixelData * 3

    ward.send([file_with(study.files[0], frames)])
    case = ward.settled(study.order.accession_number)
    expect(case["state"] == "delivered" or (case["state"] == "not drafted" and case["reason"]), f"{case['state']}")
    return f"{case['state']}: {case['reason'] or 'with a draft'}"


def _monochrome1(ward: Ward) -> str:
    study = ward.study()
    as_seen = dcmread(study.files[0]).pixel_array.astype(float)

    def negative(image: Dataset) -> None:
        image.PixelData = (2**image.BitsStored - 1 - image.pixel_array).astype(np.uint16).tobytes()
        image.PhotometricInterpretation, image.PresentationLUTShape = "MONOCHROME1", "INVERSE"

    ward.send([file_with(study.files[0], negative)])
    accession = study.order.accession_number
    case = ward.settled(accession)
    expect(case["state"] == "delivered", f"{case['state']}: {case['reason']}")
    with Image.open(BytesIO(ward.api.content(f"/cases/{accession}/drafts/1/images/1.png"))) as shown:
        grey = np.asarray(shown.convert("L").resize(as_seen.shape[::-1]), float)
    alike = float(np.corrcoef(grey.ravel(), as_seen.ravel())[0, 1])
    expect(alike > 0.9, f"the image that the model was shown is like the one meant by {alike:.2f} of 1")
    return "drafted; the model was shown bone white and air black"


def _damaged(ward: Ward) -> str:
    study = ward.study()
    file_with(study.files[0], lambda image: setattr(image, "PixelData", image.PixelData[: len(image.PixelData) // 2]))
    (said,) = ward.send(study.files)
    case = ward.settled(study.order.accession_number)
    expect(case["state"] == "not drafted" and bool(case["reason"]), f"{case['state']} {case['reason']}")
    return f"answered {said or '0x0000'}; not drafted: {case['reason']}"


def _without(ward: Ward, uid: str) -> str:
    image = dcmread(ward.study().files[0])
    called = str(image.SOPInstanceUID)
    del image[uid]
    with by_hand.associated(ward.radplug, image, ward.calling_ae) as association:
        answer = by_hand.answer_to(association, image, called)
    expect(answer.Status != 0, "it was taken")
    return f"answered 0x{answer.Status:04X} {answer.get('ErrorComment', '')}".strip()


CHECKS = (
    Check("every-class", GROUP, "every SOP Class in every transfer syntax", "each is taken and kept", _every_class),
    Check(
        "every-syntax",
        GROUP,
        "an image in every transfer syntax, then opened as in the worklist",
        "the pixels that were sent; near them where the syntax is lossy",
        _every_syntax,
    ),
    Check("multi-frame", GROUP, "an image of three frames", "drafted, or not, with the reason", _multi_frame),
    Check("monochrome1", GROUP, "a radiograph whose white is black", "the model is shown it as meant", _monochrome1),
    Check("damaged", GROUP, "an image with half of its pixels", "kept, not drafted, with the reason", _damaged),
    *(
        Check(
            f"without-{uid.removesuffix('InstanceUID').lower()}-uid",
            GROUP,
            f"an image without {uid}",
            "refused, with the reason",
            partial(_without, uid=uid),
        )
        for uid in UIDS
    ),
)
