"""Every file at hand goes through reading, selection and rendering: it is rendered, or refused with a reason.

The lists of what is refused are exact, so that a file lost or gained shows.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import pytest
from image_samples import BUNDLED, SHARED

from dicom_io.errors import DicomError
from dicom_io.reading import read_instance
from dicom_io.rendering import render
from dicom_io.selection import select
from dicom_io.study import Study

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")  # of values that are wrong on purpose

NOT_IDENTIFIED = "no DICOM file, or without the UIDs that identify it"

# Reason → files; what is not in here is rendered.
BUNDLED_REFUSED = {
    NOT_IDENTIFIED: """
        ExplVR_BigEndNoMeta.dcm ExplVR_LitEndNoMeta.dcm JPEGLSNearLossless_08.dcm JPEGLSNearLossless_16.dcm
        SC_rgb_jls_lossy_line.dcm SC_rgb_jls_lossy_sample.dcm UN_sequence.dcm empty_charset_LEI.dcm
        meta_missing_tsyntax.dcm nested_priv_SQ.dcm no_meta.dcm no_meta_group_length.dcm priv_SQ.dcm rtstruct.dcm""",
    "shows no image": """
        badVR.dcm liver_1frame.dcm liver_expb_1frame.dcm reportsi.dcm reportsi_with_empty_number_tags.dcm rtdose.dcm
        rtdose_1frame.dcm rtdose_expb.dcm rtdose_expb_1frame.dcm rtdose_rle.dcm rtdose_rle_1frame.dcm rtplan.dcm
        rtplan_truncated.dcm test-SR.dcm waveform_ecg.dcm""",
    "12-bit JPEG (Extended) has no decoder here: have it sent lossless or as JPEG 2000": """
        JPEG-lossy.dcm JPGExtended.dcm""",
    "the code stream holds 1024 x 3722445056 x 1 samples, the header says 1024 x 256 x 1": """
        JPEG2000-embedded-sequence-delimiter.dcm""",
    "the pixel data must hold 8192 bytes, and 8130 are there": "MR_truncated.dcm",
}
SHARED_REFUSED = {
    NOT_IDENTIFIED: """
        HTJ2KLossless_08_RGB.dcm HTJ2K_08_RGB.dcm JLSL_08_07_0_1F.dcm JLSL_16_15_1_1F.dcm JLSL_RGB_ILV0.dcm
        JLSL_RGB_ILV1.dcm JLSL_RGB_ILV2.dcm JLSN_RGB_ILV0.dcm OT-PAL-8-face.dcm bad_sequence.dcm""",
    "shows no image": """
        liver.dcm liver_deflate.dcm liver_expb.dcm liver_j2k.dcm liver_nonbyte_aligned.dcm
        liver_nonbyte_aligned_deflate.dcm liver_nonbyte_aligned_j2k.dcm liver_nonbyte_aligned_rle.dcm liver_rle.dcm""",
    "of a SOP class that is not rendered": "parametric_map_double_float.dcm parametric_map_float.dcm",
}


def refusals(files: Iterable[Path]) -> dict[str, set[str]]:
    """Reason → names of the files that were not rendered in full; anything but a DicomError goes through."""
    refused: dict[str, set[str]] = defaultdict(set)
    for path in files:
        try:
            known = read_instance(path)
        except DicomError:
            refused[NOT_IDENTIFIED].add(path.name)
            continue
        selection = select(Study.of([known]), 3)
        for left in selection.left_out:
            refused[left.reason].add(path.name)
        try:
            for choice in selection.chosen:
                render(path, choice.frame, preset=choice.preset)
        except DicomError as error:
            refused[str(error)].add(path.name)
    return refused


def names(listed: dict[str, str]) -> dict[str, set[str]]:
    return {reason: set(files.split()) for reason, files in listed.items()}


def test_the_files_bundled_with_pydicom() -> None:
    assert refusals((BUNDLED / "test_files").glob("*.dcm")) == names(BUNDLED_REFUSED)


def test_the_studies_bundled_with_pydicom_are_rendered_but_for_localizers() -> None:
    files = [path for path in (BUNDLED / "test_files/dicomdirtests").glob("[79]*/*/*") if path.is_file()]
    assert len(files) == 31
    assert refusals(files) == {"localizer": {"6293", "6924"}}


def test_a_study_as_it_came_from_a_scanner_gives_its_slices_from_foot_to_head() -> None:
    files = (path for path in (BUNDLED / "test_files/dicomdirtests/98892001").rglob("*") if path.is_file())
    known = [read_instance(path) for path in files]
    selection = select(Study.of(known), 3)
    heights = [choice.instance.position[2] for choice in selection.chosen if choice.instance.position]
    assert heights == sorted(heights)
    assert [choice.reason for choice in selection.chosen] == [f"axial slice {n} of 5" for n in (1, 3, 5)]
    assert [(left.reason, len(left.sop_instance_uids)) for left in selection.left_out] == [("localizer", 2)]


def test_the_files_in_the_shared_folder() -> None:
    files = sorted(SHARED.glob("*.dcm"))
    if not files:
        pytest.skip(f"{SHARED} is not there")
    assert refusals(files) == names(SHARED_REFUSED)


@pytest.mark.parametrize("folder", [BUNDLED, SHARED], ids=["bundled", "shared"])
def test_rendering_alone_gives_an_image_or_a_reason_for_any_file(folder: Path) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    if not files:
        pytest.skip(f"{folder} is not there")
    rendered = 0
    for path in files:
        try:
            shown = render(path)
        except DicomError as error:
            assert str(error)  # noqa: PT017 - an image is as good an answer
        else:
            assert shown.pixels.ndim == 3
            rendered += 1
    assert rendered > 60
