"""Draft reports as DICOM documents: what goes in comes back, what cannot stand is refused, validators agree."""

from __future__ import annotations

import inspect
import time
import warnings
from dataclasses import fields, replace
from datetime import datetime
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from report_samples import (
    DEVICE,
    IDS,
    PYDICOM_DATA,
    REPORT,
    SHARED_DATA,
    STUDY,
    STUDY_UID,
    WRITTEN_AT,
    document,
    findings,
    header,
    instance,
    run_tool,
    with_sections,
)

from dicom_io.clinical_header import read_header
from dicom_io.errors import DicomError, Refused, Unreadable
from dicom_io.report import (
    ACCEPTED_BANNER,
    BANNER,
    Code,
    Device,
    DocumentIds,
    DraftReport,
    ImageReference,
    Paragraph,
    Predecessor,
    RequestedProcedure,
)
from dicom_io.report_checks import check
from dicom_io.report_reading import read, tree
from dicom_io.structured_report import build
from dicom_io.study import Instance, Study
from dicom_io.uids import IMPLEMENTATION_CLASS_UID, mint_uid, uid_for

# pydicom warns of the values that are invalid here on purpose
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")

# What UT keeps of one paragraph: anything but controls, surrogates and a last space; line ends come back as LF.
UT_TEXTS = st.text(
    st.characters(exclude_categories=["Cs"]).filter(lambda c: c == "\n" or not (c < " " or "\x7f" <= c <= "\x9f"))
).filter(lambda text: text.strip() and not text.endswith(" "))


def parsed(data: bytes) -> Dataset:
    return dcmread(BytesIO(data))


def revision(number: int, predecessor: DocumentIds) -> bytes:
    ids = replace(IDS, sop_instance_uid=uid_for(f"document {number}"), instance_number=number)
    replaced = Predecessor(predecessor.sop_instance_uid, predecessor.series_uid)
    return build(REPORT, STUDY, header(), ids, WRITTEN_AT, replaced)


class TestThereAndBack:
    def test_a_document_reads_as_what_it_was_built_from(self) -> None:
        back = read(document())
        assert back.report == REPORT
        assert back.study_uid == STUDY_UID
        assert back.ids == IDS
        assert back.written_at == WRITTEN_AT
        assert back.predecessor is None
        assert back.evidence == tuple(i.sop_instance_uid for i in STUDY.images)

    def test_a_report_without_order_procedure_and_serial_reads_as_such(self) -> None:
        bare = DraftReport((findings("Normal."),), replace(DEVICE, serial="", description=""))
        assert read(document(bare)).report == bare

    def test_a_revision_names_its_predecessor(self) -> None:
        assert read(revision(2, IDS)).predecessor == Predecessor(IDS.sop_instance_uid, IDS.series_uid)

    def test_the_same_arguments_give_the_same_bytes(self) -> None:
        assert document() == document()

    def test_a_data_set_reads_like_its_bytes(self) -> None:
        assert read(parsed(document())) == read(document())

    def test_a_document_that_an_archive_has_encoded_anew_reads_the_same(self) -> None:
        dataset = parsed(document())
        dataset["ContentSequence"].is_undefined_length = True
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        buffer = BytesIO()
        dataset.save_as(buffer, implicit_vr=True, little_endian=True, enforce_file_format=True)
        assert buffer.getvalue() != document()
        assert read(buffer.getvalue()) == read(document())
        assert check(buffer.getvalue()) == ()

    @given(UT_TEXTS)
    @settings(max_examples=100)
    def test_any_text_comes_back(self, text: str) -> None:
        (section,) = read(document(with_sections(findings(text)))).report.sections
        assert section.paragraphs[0].text == text

    @pytest.mark.parametrize("text", ["one\r\ntwo", "one\rtwo"])
    def test_a_carriage_return_is_refused_since_it_would_come_back_as_a_line_feed(self, text: str) -> None:
        with pytest.raises(Refused, match="line feed alone"):
            document(with_sections(findings(text)))

    def test_lines_end_in_cr_lf_in_the_file_and_in_lf_when_read(self) -> None:
        data = document(with_sections(findings("one\ntwo")))
        assert b"one\r\ntwo" in data
        assert read(data).report.sections[0].paragraphs[0].text == "one\ntwo"

    @pytest.mark.parametrize("data", [b"", b"not DICOM", document()[:200], document()[:-200]])
    def test_what_is_no_document_is_unreadable(self, data: bytes) -> None:
        with pytest.raises(Unreadable):
            read(data)

    def test_a_report_of_another_maker_is_unreadable(self) -> None:
        with pytest.raises(Unreadable, match="no draft report of ours"):
            read((PYDICOM_DATA / "test_files" / "test-SR.dcm").read_bytes())


class TestDraft:
    def test_it_says_that_it_is_an_unverified_draft(self) -> None:
        dataset = parsed(document())
        assert dataset.CompletionFlag == "PARTIAL"
        assert dataset.CompletionFlagDescription == "AI draft, not reviewed by a radiologist"
        assert dataset.VerificationFlag == "UNVERIFIED"
        assert dataset.PreliminaryFlag == "PRELIMINARY"
        assert dataset.SeriesDescription == "AI DRAFT REPORT - UNVERIFIED"
        assert "VerifyingObserverSequence" not in dataset
        assert [author.ObserverType for author in dataset.AuthorObserverSequence] == ["DEV"]

    def test_the_first_section_is_the_banner(self) -> None:
        first = dataset_sections(parsed(document()))[0]
        assert first.ConceptNameCodeSequence[0].CodeValue == "55112-7"
        assert first.ContentSequence[0].TextValue == BANNER

    def test_nothing_that_is_given_can_say_otherwise(self) -> None:
        assert set(inspect.signature(build).parameters) == {
            "report",
            "study",
            "header",
            "ids",
            "written_at",
            "predecessor",
            "form",
        }
        given_names = {f.name for fact in (DraftReport, DocumentIds, Device, Predecessor) for f in fields(fact)}
        assert not [n for n in given_names if any(w in n for w in ("complet", "final", "verif", "flag", "status"))]

    def test_header_and_title_cannot_make_it_final(self) -> None:
        claims = header(CompletionFlag="COMPLETE", VerificationFlag="VERIFIED", PreliminaryFlag="FINAL")
        claims.VerifyingObserverSequence = [Dataset()]
        assert check(document(source=claims)) == ()


class TestText:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("a\tb", "U+0009 at character 2"),
            ("a\x0cb", "U+000C at character 2"),
            ("a\x0bb", "U+000B"),
            ("\x00a", "U+0000 at character 1"),
            ("a\x1bb", "U+001B"),
            ("a\x7fb", "U+007F"),
            ("a\x85b", "U+0085"),
            ("a\ud800b", "U+D800"),
            ("ends in a space ", "ends in a space"),
            ("", "blank"),
            (" \n", "blank"),
        ],
    )
    def test_what_no_content_item_can_hold_is_refused_by_its_place_not_its_words(self, text: str, found: str) -> None:
        report = with_sections(findings("Confidential.", f"Secret {text}" if text.strip() else text))
        with pytest.raises(Refused) as refused:
            document(report)
        assert str(refused.value).startswith("section Findings, paragraph 2: ")
        assert found.split(" at ")[0] in str(refused.value)
        assert "Secret" not in str(refused.value)

    def test_the_place_of_a_stray_character_is_counted_from_one(self) -> None:
        with pytest.raises(Refused, match=r"U\+0009 at character 3"):
            document(with_sections(findings("ab\tc")))

    def test_a_blank_banner_is_refused(self) -> None:
        with pytest.raises(Refused, match="section Summary, paragraph 1"):
            document(replace(REPORT, banner=""))

    def test_an_empty_section_is_refused(self) -> None:
        with pytest.raises(Refused, match="section Findings has no paragraph"):
            document(with_sections(findings()))

    def test_texts_of_the_device_and_the_order_are_cut_to_fit_and_identifiers_left_out(self) -> None:
        long = RequestedProcedure(
            accession_number="A" * 17,
            placer_order_number="P" * 65,
            filler_order_number="F\\1",
            requested_procedure_id="R" * 16,
            description="D" * 65,
            code=Code("C", "99LOCAL", "meaning " * 20),
        )
        device = replace(DEVICE, name="n" * 70, description="two\nlines \\ " + "d" * 2000)
        data = document(replace(REPORT, requested=(long,), device=device))
        request = parsed(data).ReferencedRequestSequence[0]
        assert request.AccessionNumber == ""
        assert request.PlacerOrderNumberImagingServiceRequest == ""
        assert request.FillerOrderNumberImagingServiceRequest == ""
        assert request.RequestedProcedureID == "R" * 16
        assert request.RequestedProcedureDescription == "D" * 63 + "…"
        assert len(request.RequestedProcedureCodeSequence[0].CodeMeaning) == 64
        description = read(data).report.device.description
        assert description.startswith("two lines / d")
        assert len(description) == 1024
        assert check(data) == ()

    @pytest.mark.parametrize("parts", [("", "LN", "x"), ("1", "", "x"), ("1", "LN", " "), ("1\\2", "LN", "x")])
    def test_a_code_without_one_of_its_parts_cannot_be_made(self, parts: tuple[str, str, str]) -> None:
        with pytest.raises(ValueError, match="a code needs"):
            Code(*parts)

    @pytest.mark.parametrize("missing", ["uid", "name", "manufacturer", "model", "version"])
    def test_a_device_that_does_not_say_what_it_is_cannot_be_made(self, missing: str) -> None:
        with pytest.raises(ValueError, match="a device needs"):
            replace(DEVICE, **{missing: ""})


class TestImages:
    def test_references_name_class_instance_and_frame(self) -> None:
        references = [item.ReferencedSOPSequence[0] for item in image_items(parsed(document()))]
        assert [(r.ReferencedSOPClassUID, r.ReferencedSOPInstanceUID) for r in references] == [
            (STUDY.instances[0].sop_class_uid, f"{STUDY_UID}.1.1"),
            (STUDY.instances[2].sop_class_uid, f"{STUDY_UID}.2.1"),
        ]
        assert [r.get("ReferencedFrameNumber") for r in references] == [None, 7]

    def test_the_one_frame_of_a_single_frame_image_has_no_number(self) -> None:
        report = with_sections(findings(Paragraph("a", (ImageReference(f"{STUDY_UID}.1.1", frame=1),))))
        (item,) = image_items(parsed(document(report)))
        assert "ReferencedFrameNumber" not in item.ReferencedSOPSequence[0]

    @pytest.mark.parametrize("frame", [0, 21])
    def test_a_frame_that_is_not_there_is_refused(self, frame: int) -> None:
        with pytest.raises(Refused, match=f"frame {frame} of an image that has 20"):
            document(with_sections(findings(Paragraph("a", (ImageReference(f"{STUDY_UID}.2.1", frame),)))))

    def test_an_image_of_another_study_is_refused(self) -> None:
        with pytest.raises(Refused, match="none of the study's"):
            document(with_sections(findings(Paragraph("a", (ImageReference("9.9.9"),)))))

    def test_evidence_is_all_images_by_series_and_nothing_else(self) -> None:
        study = Study.of([*STUDY.instances, instance(1, series=3, modality="KO")])
        (evidence,) = parsed(document(study=study)).CurrentRequestedProcedureEvidenceSequence
        assert evidence.StudyInstanceUID == STUDY_UID
        assert [
            (s.SeriesInstanceUID, [r.ReferencedSOPInstanceUID for r in s.ReferencedSOPSequence])
            for s in evidence.ReferencedSeriesSequence
        ] == [
            (f"{STUDY_UID}.1", [f"{STUDY_UID}.1.1", f"{STUDY_UID}.1.2"]),
            (f"{STUDY_UID}.2", [f"{STUDY_UID}.2.1"]),
        ]

    def test_a_study_without_images_is_refused(self) -> None:
        with pytest.raises(Refused, match="no image"):
            document(with_sections(findings("a")), Study.of([instance(1, modality="KO")]))

    def test_three_thousand_instances_take_a_moment(self) -> None:
        study = Study.of([instance(n, series=n % 5) for n in range(3000)])
        started = time.perf_counter()
        data = document(with_sections(findings("a")), study)
        assert time.perf_counter() - started < 5
        assert len(read(data).evidence) == 3000


class TestArguments:
    def test_a_header_of_another_study_is_refused(self) -> None:
        with pytest.raises(Refused, match="another study"):
            document(source=header(StudyInstanceUID="9.9"))

    def test_a_revision_cannot_replace_itself(self) -> None:
        with pytest.raises(Refused, match="mint a new one"):
            revision(1, IDS)

    def test_a_time_without_its_zone_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="time zone"):
            build(REPORT, STUDY, header(), IDS, datetime(2026, 1, 1))

    @pytest.mark.parametrize("ids", [replace(IDS, series_number=0), replace(IDS, instance_number=0)])
    def test_numbers_count_from_one(self, ids: DocumentIds) -> None:
        with pytest.raises(ValueError, match="count from 1"):
            build(REPORT, STUDY, header(), ids, WRITTEN_AT)


class TestFile:
    def test_the_file_is_explicit_little_endian_and_names_us(self) -> None:
        dataset = parsed(document())
        assert dataset.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
        assert dataset.file_meta.MediaStorageSOPInstanceUID == dataset.SOPInstanceUID == IDS.sop_instance_uid
        assert dataset.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID
        assert dataset.file_meta.ImplementationVersionName.startswith("RADPLUG")
        assert b"highdicom" not in document()

    def test_the_device_is_observer_equipment_and_author(self) -> None:
        dataset = parsed(document())
        (equipment,) = dataset.ContributingEquipmentSequence
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        assert equipment.ContributionDescription == DEVICE.description
        assert dataset.DeviceUID == dataset.AuthorObserverSequence[0].DeviceUID == DEVICE.uid

    def test_times_are_in_the_zone_given(self) -> None:
        dataset = parsed(document())
        assert (dataset.ContentDate, dataset.ContentTime) == ("20261123", "140506.000789")
        assert dataset.TimezoneOffsetFromUTC == "+0100"

    def test_the_zone_of_the_images_wins_since_it_holds_for_their_times_too(self) -> None:
        dataset = parsed(document(source=header(TimezoneOffsetFromUTC="-0500")))
        assert (dataset.ContentTime, dataset.TimezoneOffsetFromUTC) == ("080506.000789", "-0500")
        assert dataset.StudyTime == "134500"

    def test_minted_uids_differ_and_named_ones_do_not(self) -> None:
        assert mint_uid() != mint_uid()
        assert uid_for("device 1") == uid_for("device 1") != uid_for("device 2")
        assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in (mint_uid(), uid_for("device 1")))


class TestTree:
    def test_the_tree_reads_depth_first(self) -> None:
        lines = [(n.depth, n.relationship, n.value_type, n.name, n.value) for n in tree(document())]
        assert lines[0] == (0, "", "CONTAINER", "Diagnostic Imaging Report", "")
        assert lines[1] == (1, "HAS CONCEPT MOD", "CODE", "Procedure reported", "CT Head")
        assert (1, "HAS OBS CONTEXT", "UIDREF", "Device Observer UID", DEVICE.uid) in lines
        assert (2, "CONTAINS", "TEXT", "Summary", BANNER) in lines
        assert (
            2,
            "CONTAINS",
            "TEXT",
            "Finding",
            "No acute intracranial haemorrhage.\nVentricles: 7 mm – normal.",
        ) in lines
        illustration = "Best illustration of finding"
        assert (3, "INFERRED FROM", "IMAGE", illustration, f"{STUDY_UID}.2.1 frame 7") in lines

    @pytest.mark.parametrize("file", ["reportsi.dcm", "test-SR.dcm"])
    def test_any_report_can_be_shown(self, file: str) -> None:
        lines = tree((PYDICOM_DATA / "test_files" / file).read_bytes())
        assert lines[0].value_type == "CONTAINER"
        assert len(lines) > 5
        assert any(line.value for line in lines)


CHARSET_FILES = sorted(
    f"charset_files/{f.name}" for f in (PYDICOM_DATA / "charset_files").glob("*.dcm") if "SQEncoding" not in f.name
)
IMAGE_FILES = (
    "test_files/CT_small.dcm",
    "test_files/MR_small.dcm",
    "test_files/MR_small_bigendian.dcm",
    "test_files/SC_rgb_jpeg.dcm",
    "test_files/examples_ybr_color.dcm",
    "test_files/examples_overlay.dcm",
    "test_files/693_J2KI.dcm",
)


def from_file(file: Path) -> tuple[Dataset, bytes]:
    """A file's header, and a document about its one image."""
    source = read_header(file)
    image = Instance(
        source.SOPInstanceUID,
        source.SOPClassUID,
        source.SeriesInstanceUID,
        source.StudyInstanceUID,
        source.file_meta.TransferSyntaxUID,
        has_pixels=True,
    )
    report = with_sections(findings(Paragraph("Normal.", (ImageReference(image.sop_instance_uid),))))
    return source, document(report, Study.of([image]), source)


class TestPatientAndStudy:
    @pytest.mark.parametrize("file", CHARSET_FILES)
    def test_names_survive_in_all_character_sets(self, file: str) -> None:
        source, data = from_file(PYDICOM_DATA / file)
        dataset = parsed(data)
        assert dataset.SpecificCharacterSet == "ISO_IR 192"
        assert str(dataset.PatientName) == str(source.PatientName)
        assert str(source.PatientName).encode() in data

    @pytest.mark.parametrize("file", IMAGE_FILES)
    def test_patient_and_study_are_those_of_the_image(self, file: str) -> None:
        source, data = from_file(PYDICOM_DATA / file)
        assert_same_patient_and_study(parsed(data), source)

    def test_patient_and_study_are_those_of_further_images(self) -> None:
        if not SHARED_DATA.is_dir():
            pytest.skip(f"no further DICOM files: {SHARED_DATA} is absent")
        built = 0
        for file in sorted(SHARED_DATA.glob("*.dcm")):
            try:
                source = read_header(file)
            except Unreadable:
                continue
            if source.get("SeriesInstanceUID") and source.Modality not in ("SEG", "RWV"):
                _, data = from_file(file)
                assert_same_patient_and_study(parsed(data), source)
                assert check(data) == (), file.name
                built += 1
        assert built > 30

    def test_what_was_missing_is_empty(self) -> None:
        dataset = parsed(document(source=minimal_header()))
        for keyword in (
            "PatientName",
            "PatientID",
            "PatientBirthDate",
            "PatientSex",
            "StudyDate",
            "StudyTime",
            "StudyID",
            "AccessionNumber",
            "ReferringPhysicianName",
        ):
            assert dataset[keyword].is_empty

    @pytest.mark.parametrize(
        ("keyword", "found", "written"),
        [
            ("PatientSex", "U", ""),
            ("PatientBirthDate", "19500000", ""),
            ("PatientBirthDate", "1950.01.02", "19500102"),
            ("StudyTime", "99", ""),
            ("StudyTime", "1345", "1345"),
            ("StudyDate", "20261301", ""),
            ("PatientAge", "45", None),
            ("PatientAge", "045Y", "045Y"),
            ("TimezoneOffsetFromUTC", "CET", "+0100"),
            ("PatientID", "X" * 70, "X" * 70),
            ("AccessionNumber", "0123456789ABCDEFG", "0123456789ABCDEFG"),
            ("StudyDescription", ["CT HEAD", "NECK"], ["CT HEAD", "NECK"]),
        ],
    )
    def test_invalid_values_become_empty_but_identity_stays(
        self, keyword: str, found: object, written: object, recwarn: pytest.WarningsRecorder
    ) -> None:
        source = as_read_from_file(header(**{keyword: found}))
        recwarn.clear()
        dataset = parsed(document(source=source))
        assert dataset.get(keyword) == written
        assert not [w for w in recwarn if "Invalid value" in str(w.message)], "a warning quotes the value"

    def test_codes_of_the_study_come_over_in_utf8(self) -> None:
        code = Dataset()
        code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "1", "99LOCAL", "Schädel nativ"
        source = header(SpecificCharacterSet="ISO_IR 100", ProcedureCodeSequence=[code])
        data = document(source=as_read_from_file(source))
        assert "Schädel nativ".encode() in data
        assert parsed(data).ProcedureCodeSequence[0].CodeMeaning == "Schädel nativ"

    def test_comments_and_histories_stay_behind(self) -> None:
        source = header(PatientComments="private", AdditionalPatientHistory="private")
        assert b"private" not in document(source=source)

    def test_the_header_is_left_as_it_is(self) -> None:
        source = as_read_from_file(header(PatientSex="U"))
        before = source.to_json()
        document(source=source)
        assert source.to_json() == before

    def test_what_is_no_file_is_unreadable(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"not DICOM")
        with pytest.raises(DicomError):
            read_header(tmp_path / "x")


def minimal_header() -> Dataset:
    minimal = Dataset()
    minimal.StudyInstanceUID = STUDY_UID
    return minimal


MANY = Study.of([instance(n) for n in range(1, 201)])
DOCUMENTS = {
    "first": document(),
    "revision": revision(2, IDS),
    "without order": document(replace(REPORT, requested=(), procedure=None)),
    "many images": document(
        with_sections(findings(Paragraph("a", tuple(ImageReference(i.sop_instance_uid) for i in MANY.images)))), MANY
    ),
    "frames": document(
        with_sections(findings(Paragraph("a", tuple(ImageReference(f"{STUDY_UID}.2.1", n) for n in range(1, 21)))))
    ),
    "scripts": document(
        with_sections(findings("Ä ß œ – “ ”", "漢字 かな 한글", "الصدر طبيعي", "👩‍⚕️ \\ ^ = & < > |", "  indented\n\nx"))
    ),
    "device without serial": document(replace(REPORT, device=replace(DEVICE, serial="", description=""))),
    "minimal header": document(source=minimal_header()),
    "accepted": document(replace(REPORT, accepted_by="maria", banner=ACCEPTED_BANNER)),
    "another language": document(
        replace(REPORT, language=Code("de-DE", "RFC5646", "German (Germany)"), banner="KI-ENTWURF - NICHT GEPRÜFT")
    ),
}


class TestValidators:
    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_dciodvfy_finds_no_error(self, name: str, tmp_path: Path) -> None:
        assert dciodvfy_errors(DOCUMENTS[name], tmp_path) == []

    @pytest.mark.parametrize("file", [*IMAGE_FILES, *CHARSET_FILES])
    def test_dciodvfy_finds_no_error_in_documents_about_real_files(self, file: str, tmp_path: Path) -> None:
        _, data = from_file(PYDICOM_DATA / file)
        assert check(data) == ()
        assert dciodvfy_errors(data, tmp_path) == []

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_dsrdump_reads_it(self, name: str, tmp_path: Path) -> None:
        dump = run_tool(["dsrdump"], DOCUMENTS[name], tmp_path)
        assert dump.returncode == 0, dump.stderr
        assert "Preliminary Flag    : PRELIMINARY" in dump.stdout
        assert "Verification Flag   : UNVERIFIED" in dump.stdout

    @pytest.mark.parametrize("name", DOCUMENTS)
    def test_our_own_checks_pass(self, name: str) -> None:
        assert check(DOCUMENTS[name]) == ()


def dataset_sections(dataset: Dataset) -> list[Dataset]:
    return [item for item in dataset.ContentSequence if item.ValueType == "CONTAINER"]


def image_items(dataset: Dataset) -> list[Dataset]:
    return [
        image
        for section in dataset_sections(dataset)
        for paragraph in section.ContentSequence
        for image in paragraph.get("ContentSequence", ())
    ]


def as_read_from_file(dataset: Dataset) -> Dataset:
    """The data set as a file has it: encoded in its character set, and not looked at yet."""
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that are invalid on purpose
        dataset.save_as(buffer, implicit_vr=False, little_endian=True)
    return dcmread(BytesIO(buffer.getvalue()), force=True)


def assert_same_patient_and_study(dataset: Dataset, source: Dataset) -> None:
    for keyword in ("StudyInstanceUID", "PatientName", "PatientID", "AccessionNumber", "StudyID"):
        assert str(dataset.get(keyword, "")) == str(source.get(keyword) or ""), keyword


def dciodvfy_errors(data: bytes, folder: Path) -> list[str]:
    report = run_tool(["dciodvfy", "-new"], data, folder)
    errors = [line for line in report.stderr.splitlines() if line.startswith("Error")]
    return errors or ([f"exit code {report.returncode}"] if report.returncode else [])
