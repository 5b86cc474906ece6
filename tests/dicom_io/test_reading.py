"""Headers to facts: the right ones, from good bytes and from bad ones, at a bounded cost."""

from __future__ import annotations

import struct
import tracemalloc
import warnings
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from dimse_peers import MORE_FILES, bundled, dcmtk, dicom_files
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from dicom_io.errors import Unreadable
from dicom_io.part10 import file_header, read_transfer_syntax
from dicom_io.reading import IDENTIFYING, identify, read_instance
from dicom_io.study import Instance, Patient

_SYNTAXES = [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]


def _data_set() -> Dataset:
    data_set = Dataset()
    data_set.SpecificCharacterSet = "ISO_IR 192"
    data_set.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    data_set.SOPClassUID = CTImageStorage
    data_set.SOPInstanceUID = "1.2.3.4"
    data_set.StudyInstanceUID = "1.2"
    data_set.SeriesInstanceUID = "1.2.3"
    data_set.Modality = "CT"
    data_set.PatientID = "MRN 1"
    data_set.IssuerOfPatientID = "HOSP"
    data_set.PatientName = "Yamada^Tarou=山田^太郎"
    data_set.PatientBirthDate = "19600101"
    data_set.PatientSex = "M"
    data_set.AccessionNumber = "ACC1"
    data_set.StudyID = "S1"
    data_set.StudyDate = "20261123"
    data_set.StudyTime = "101500.25"
    data_set.StudyDescription = "Thorax nativ"
    data_set.ProcedureCodeSequence = [_code("24627-2", "LN", "CT Chest")]
    data_set.SeriesNumber = 3
    data_set.SeriesDescription = "Lunge 1 mm"
    data_set.BodyPartExamined = "CHEST"
    data_set.Laterality = "L"
    data_set.ImageLaterality = "R"
    data_set.ViewPosition = "AP"
    data_set.InstanceNumber = 17
    data_set.Rows, data_set.Columns = 300, 512
    data_set.NumberOfFrames = 2
    data_set.SamplesPerPixel = 1
    data_set.BitsAllocated = 16
    data_set.PhotometricInterpretation = "MONOCHROME2"
    data_set.BurnedInAnnotation = "NO"
    data_set.FrameOfReferenceUID = "1.2.9"
    data_set.SliceThickness = "0.75"
    data_set.ImagePositionPatient = [-100.5, 20, 3.25]
    data_set.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    data_set.add_new(0x00091001, "LO", "private")
    data_set.add_new(0x7FE00010, "OW", bytes(64))
    return data_set


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _file(data_set: Dataset, syntax: str = ExplicitVRLittleEndian) -> bytes:
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.file_meta.MediaStorageSOPClassUID = CTImageStorage
    data_set.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    stream = BytesIO()
    data_set.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _file_with(keyword: str, vr: bytes, value: bytes) -> bytes:
    """The file with one value as these very bytes, which pydicom would not write."""
    data_set = _data_set()
    del data_set[keyword]
    file = _file(data_set)
    body = _body(file)
    tag = pydicom.tag.Tag(keyword)
    element = struct.pack("<HH2sH", tag.group, tag.element, vr, len(value)) + value
    return file.removesuffix(body) + element + body


def _body(file: bytes) -> bytes:
    stream = BytesIO(file)
    read_transfer_syntax(stream)
    return stream.read()


@pytest.mark.parametrize("syntax", _SYNTAXES, ids=lambda syntax: syntax.name)
def test_every_fact_is_read_in_every_uncompressed_syntax(syntax: str) -> None:
    assert read_instance(_file(_data_set(), syntax)) == Instance(
        sop_instance_uid="1.2.3.4",
        sop_class_uid=CTImageStorage,
        series_uid="1.2.3",
        study_uid="1.2",
        transfer_syntax_uid=syntax,
        modality="CT",
        patient=Patient("MRN 1", "HOSP", "Yamada^Tarou=山田^太郎", "19600101", "M"),
        accession_number="ACC1",
        study_id="S1",
        study_date="20261123",
        study_time="101500.25",
        study_description="Thorax nativ",
        procedure_code=("24627-2", "LN", "CT Chest"),
        series_number=3,
        series_description="Lunge 1 mm",
        body_part="CHEST",
        laterality="R",
        view_position="AP",
        instance_number=17,
        image_type=("ORIGINAL", "PRIMARY", "AXIAL"),
        rows=300,
        columns=512,
        frames=2,
        samples_per_pixel=1,
        bits_allocated=16,
        photometric_interpretation="MONOCHROME2",
        has_pixels=True,
        burned_in_annotation="NO",
        position=(-100.5, 20.0, 3.25),
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        frame_of_reference_uid="1.2.9",
        slice_thickness=0.75,
    )


def test_what_a_header_lacks_is_none_or_empty() -> None:
    bare = Dataset()
    for keyword in IDENTIFYING:
        setattr(bare, keyword, "1.2.3")
    assert read_instance(_file(bare)) == Instance("1.2.3", "1.2.3", "1.2.3", "1.2.3", ExplicitVRLittleEndian)


@pytest.mark.parametrize("file", dicom_files(), ids=lambda file: file.name)
def test_real_files_agree_with_pydicom_or_say_which_uid_they_lack(file: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # pydicom's, about values that are damaged on purpose
        expected = pydicom.dcmread(file)
        try:
            found = read_instance(file)
        except Unreadable as error:
            said = [keyword for keyword in IDENTIFYING if keyword in str(error)]
            lacking = [keyword for keyword in IDENTIFYING if not pydicom.uid.UID(expected.get(keyword, "")).is_valid]
            assert said == lacking or "TransferSyntaxUID" not in expected.file_meta
            return
        assert [found.study_uid, found.series_uid, found.sop_instance_uid, found.sop_class_uid] == [
            expected.get(keyword, getattr(found, attribute))  # pydicom gives up where the file is cut off
            for keyword, attribute in zip(
                IDENTIFYING, ("study_uid", "series_uid", "sop_instance_uid", "sop_class_uid"), strict=True
            )
        ]
        if "SOPClassUID" in expected:
            assert (found.rows, found.columns) == (expected.get("Rows"), expected.get("Columns"))
            assert str(found.frames) == str(expected.get("NumberOfFrames") or 1) or file.name == "badVR.dcm"
            assert found.has_pixels == any(
                keyword in expected for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")
            )
            assert found.patient.name.rstrip("=") == str(expected.get("PatientName") or "")


def test_further_real_files_are_there() -> None:
    if not MORE_FILES.is_dir():
        pytest.skip("../shared/dicom is absent: only the files of pydicom's wheel were tried")


@pytest.mark.parametrize("keyword", IDENTIFYING)
@pytest.mark.parametrize(
    ("uid", "flaw"),
    [
        ("", "absent"),
        ("1.2.X", "not of digits and dots"),
        ("../../etc", "not of digits and dots"),
        ("1." + "2" * 63, "65 characters long"),
    ],
)
def test_a_flawed_uid_is_named_with_its_flaw(keyword: str, uid: str, flaw: str) -> None:
    file = _file_with(keyword, b"UI", uid.encode())
    with pytest.raises(Unreadable) as error:
        read_instance(file)
    assert str(error.value) == f"{keyword} is {flaw}"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "no DICM"),
        (b"\x89PNG" * 100, "no DICM"),
        (bytes(128) + b"DICM", "Transfer Syntax"),
        (bytes(128) + b"DICM\x02\x00", "Transfer Syntax"),
    ],
)
def test_what_is_no_dicom_file_is_unreadable(content: bytes, complaint: str) -> None:
    with pytest.raises(Unreadable, match=complaint):
        read_instance(content)


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "fact"),
    [
        ("SeriesNumber", b"IS", b"three ", "series_number"),
        ("SeriesNumber", b"IS", b"99999999999 ", "series_number"),
        ("InstanceNumber", b"IS", b"1e999 ", "instance_number"),
        ("Rows", b"US", b"\x01", "rows"),
        ("Columns", b"US", b"", "columns"),
        ("SliceThickness", b"DS", b"thin", "slice_thickness"),
        ("SliceThickness", b"DS", b"nan ", "slice_thickness"),
        ("ImagePositionPatient", b"DS", b"1\\2 ", "position"),
        ("ImagePositionPatient", b"DS", b"1\\2\\x ", "position"),
        ("ImageOrientationPatient", b"DS", b"1\\0\\0 ", "orientation"),
    ],
)
def test_a_damaged_number_is_none_and_costs_nothing_else(keyword: str, vr: bytes, value: bytes, fact: str) -> None:
    found = read_instance(_file_with(keyword, vr, value))
    assert getattr(found, fact) is None
    assert found.patient.id == "MRN 1"
    assert found.has_pixels


def test_untidy_values_are_tidied() -> None:
    assert read_instance(_file_with("BodyPartExamined", b"CS", b" chest\0")).body_part == "CHEST"
    assert read_instance(_file_with("NumberOfFrames", b"IS", b"0 ")).frames == 1
    assert read_instance(_file_with("PatientID", b"LO", b"MRN\0 2\0 ")).patient.id == "MRN 2"
    assert read_instance(_file_with("SeriesNumber", b"IS", b" 3.0  ")).series_number == 3


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "charset", ["ISO_IR 100", "ISO_IR 6", "NO SUCH", "utf_16", "idna", "undefined", "\\ISO 2022 IR 87", ""]
)
def test_trouble_with_the_character_set_stops_no_file(charset: str) -> None:
    file = _file(_data_set()).replace(b"ISO_IR 192", charset.encode().ljust(10)[:10])
    found = read_instance(file)
    assert found.sop_instance_uid == "1.2.3.4"
    assert found.study_date == "20261123"
    assert found.has_pixels


@pytest.mark.parametrize("undefined_length", [False, True])
@pytest.mark.parametrize("groups", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
@pytest.mark.parametrize("syntax", _SYNTAXES, ids=lambda syntax: syntax.name)
def test_an_enhanced_image_is_placed_by_its_functional_groups(syntax: str, groups: str, undefined_length: bool) -> None:
    data_set, group, plane, tilt, measures = _data_set(), Dataset(), Dataset(), Dataset(), Dataset()
    del data_set.ImagePositionPatient, data_set.ImageOrientationPatient, data_set.SliceThickness
    plane.ImagePositionPatient = [1, 2, 3]
    tilt.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    measures.SliceThickness = 5
    group.PlanePositionSequence, group.PlaneOrientationSequence = [plane], [tilt]
    group.PixelMeasuresSequence = [measures]
    later = Dataset()
    later.PlanePositionSequence = [Dataset()]
    setattr(data_set, groups, [group, later])
    data_set[groups].is_undefined_length = undefined_length
    found = read_instance(_file(data_set, syntax))
    assert found.position == (1, 2, 3)
    assert found.orientation == (0, 1, 0, 0, 0, -1)
    assert found.slice_thickness == 5
    assert found.has_pixels


def test_a_file_that_is_cut_off_gives_what_comes_before_the_cut() -> None:
    whole = _file(_data_set())
    found = read_instance(whole[: whole.index(b"MONOCHROME2") + 4])
    assert (found.study_uid, found.modality, found.photometric_interpretation) == ("1.2", "CT", "MONO")
    assert (found.rows, found.has_pixels) == (None, False)


def test_of_a_path_only_the_header_is_read(tmp_path: Path) -> None:
    data_set = _data_set()
    del data_set.PixelData
    file = tmp_path / "large.dcm"
    header = _file(data_set)
    length = 1 << 30
    with file.open("wb") as stream:
        stream.write(header + b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little"))
        stream.truncate(len(header) + 12 + length)  # sparse
    tracemalloc.start()
    found = read_instance(file)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.has_pixels
    assert peak < 1 << 20


def test_a_deflated_data_set_that_swells_is_inflated_no_further_than_its_header() -> None:
    data_set = _data_set()
    del data_set.PixelData
    header = _file(data_set, DeflatedExplicitVRLittleEndian)
    inflated = zlib.decompress(_body(header), -zlib.MAX_WBITS)
    swelling = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    length = 256 << 20
    bomb = swelling.compress(inflated + b"\xe0\x7f\x10\x00OW\0\0" + length.to_bytes(4, "little"))
    bomb += b"".join(swelling.compress(bytes(1 << 20)) for _ in range(length >> 20)) + swelling.flush()
    tracemalloc.start()
    found = identify(bomb, DeflatedExplicitVRLittleEndian)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.has_pixels
    assert peak < 160 << 20


def test_a_deflated_data_set_that_does_not_inflate_is_unreadable() -> None:
    with pytest.raises(Unreadable, match="inflate"):
        identify(b"\xff" * 100, DeflatedExplicitVRLittleEndian)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_bytes_make_it_fail_otherwise_than_unreadable(data: st.DataObject) -> None:
    syntax = data.draw(st.sampled_from(_SYNTAXES[:3]))
    content = bytearray(_file(_data_set(), syntax))
    for position, replacement in data.draw(
        st.lists(st.tuples(st.integers(0, len(content) - 1), st.binary(min_size=1, max_size=4)), max_size=12)
    ):
        content[position : position + len(replacement)] = replacement
    with warnings.catch_warnings(action="ignore"), suppress(Unreadable):
        assert isinstance(read_instance(bytes(content)), Instance)


def test_a_file_header_before_a_data_set_makes_a_file_that_pydicom_and_dcmtk_read(tmp_path: Path) -> None:
    original = bundled("CT_small.dcm")
    instance = read_instance(original)
    header = file_header(
        sop_class_uid=instance.sop_class_uid,
        sop_instance_uid=instance.sop_instance_uid,
        transfer_syntax_uid=instance.transfer_syntax_uid,
        source_ae_title="MODALITY",
    )
    file = tmp_path / "again.dcm"
    file.write_bytes(header + _body(original.read_bytes()))
    again = pydicom.dcmread(file)
    assert again == pydicom.dcmread(original)
    assert again.file_meta.SourceApplicationEntityTitle == "MODALITY"
    dump = dcmtk("dcmdump", "+W", tmp_path, file)
    assert dump.returncode == 0
    assert "W:" not in dump.stdout
    assert "E:" not in dump.stdout
