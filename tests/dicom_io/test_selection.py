"""Which frames stand for a study, and why the others do not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from image_samples import CORONAL, CR, ENHANCED_CT, MR, SC, SR, US, US_CLIP, instance, slices

from dicom_io import offered
from dicom_io.selection import KINDS, Selection, select
from dicom_io.stacks import CT_PRESETS
from dicom_io.study import Instance, Study
from dicom_io.windowing import PRESETS


def chosen_of(instances: list[Instance], limit: int, **options: object) -> list[str]:
    selection = select(Study.of(instances), limit, **options)  # type: ignore[arg-type]
    return [choice.instance.sop_instance_uid for choice in selection.chosen]


def reasons_of(selection: Selection) -> dict[str, str]:
    return {uid: left.reason for left in selection.left_out for uid in left.sop_instance_uids}


def test_slices_are_taken_evenly_in_the_order_of_their_places_not_of_their_numbers() -> None:
    selection = select(Study.of(slices("1.1", 20)), 4)
    assert [c.instance.sop_instance_uid for c in selection.chosen] == ["1.1.3", "1.1.8", "1.1.13", "1.1.18"]
    assert [c.reason for c in selection.chosen][:2] == ["axial slice 3 of 20", "axial slice 8 of 20"]
    assert selection.left_out == ()


def test_a_tilted_gantry_does_not_change_the_order() -> None:
    tilted = (1.0, 0.0, 0.0, 0.0, 0.94, -0.34)
    assert chosen_of(slices("1.1", 9, orientation=tilted), 3) == ["1.1.2", "1.1.5", "1.1.8"]


def test_all_slices_are_taken_where_the_limit_allows_it() -> None:
    assert chosen_of(slices("1.1", 3), 10) == ["1.1.1", "1.1.2", "1.1.3"]


def test_localizers_documents_captures_and_declared_text_are_left_out_with_their_reasons() -> None:
    odd = [
        instance("2.1", series_uid="2", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")),
        replace(instance("2.2", series_uid="3", sop_class_uid=SR, modality="SR"), has_pixels=False),
        instance("2.3", series_uid="4", sop_class_uid=SC, modality="CT"),
        instance("2.4", series_uid="5", sop_class_uid=SC, modality="OT", burned_in_annotation="YES"),
        instance("2.5", series_uid="6", sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1.1", modality="DX"),
    ]
    selection = select(Study.of(slices("1.1", 2) + odd), 8)
    assert [c.instance.series_uid for c in selection.chosen] == ["1.1", "1.1"]
    assert reasons_of(selection) == {
        "2.1": "localizer",
        "2.2": "shows no image",
        "2.3": "secondary capture, no slice",
        "2.4": "burned-in text is declared",
        "2.5": "of a SOP class that is not rendered",
    }


def test_burned_in_annotation_that_is_not_declared_refuses_nothing() -> None:
    assert chosen_of([instance("1", sop_class_uid=US, modality="US")], 1) == ["1"]


def test_a_modality_that_the_model_does_not_cover_is_left_out() -> None:
    selection = select(Study.of(slices("1.1", 2, modality="MR", sop_class_uid=MR)), 2, modalities={"CR", "DX"})
    assert selection.chosen == ()
    assert set(reasons_of(selection).values()) == {"the model does not cover modality MR"}


def test_reformats_are_used_only_where_nothing_original_is() -> None:
    derived = slices("1.2", 3, image_type=("DERIVED", "SECONDARY", "MPR"))
    assert chosen_of(slices("1.1", 3) + derived, 9) == ["1.1.1", "1.1.2", "1.1.3"]
    assert chosen_of(derived, 9) == ["1.2.1", "1.2.2", "1.2.3"]


def test_a_series_that_is_turned_in_part_shows_its_greater_part() -> None:
    turned = [replace(i, series_uid="1.1") for i in slices("1.9", 2, orientation=CORONAL)]
    selection = select(Study.of([*turned, *slices("1.1", 3)]), 9)
    assert [c.instance.sop_instance_uid for c in selection.chosen] == ["1.1.1", "1.1.2", "1.1.3"]
    assert set(reasons_of(selection).values()) == {"turned otherwise than most of its series"}


def test_another_frame_of_reference_is_another_group() -> None:
    moved = [replace(i, series_uid="1.1", frame_of_reference_uid="9") for i in slices("1.9", 2)]
    assert chosen_of([*moved, *slices("1.1", 3)], 9) == ["1.1.1", "1.1.2", "1.1.3"]


def test_phases_at_one_place_count_once() -> None:
    second = [replace(i, sop_instance_uid=f"2.{i.sop_instance_uid}", instance_number=99) for i in slices("1.1", 4)]
    selection = select(Study.of(slices("1.1", 4) + second), 9)
    assert [c.instance.sop_instance_uid for c in selection.chosen] == ["1.1.1", "1.1.2", "1.1.3", "1.1.4"]
    assert set(reasons_of(selection).values()) == {"at the same place as another slice"}


def test_slices_without_a_place_cannot_be_ordered_but_one_alone_can_be_shown() -> None:
    lost = [instance(f"1.{n}") for n in range(3)]
    assert chosen_of(lost, 9) == []
    assert chosen_of(lost[:1], 9) == ["1.0"]


def test_of_ct_series_of_one_plane_the_one_with_most_places_is_taken_axial_first() -> None:
    study = Study.of(
        [
            *slices("1.1", 4, orientation=CORONAL),
            *slices("1.2", 6),
            *slices("1.3", 30, spacing=1.0),
            *slices("1.4", 2, body_part="HEAD"),
        ]
    )
    selection = select(study, 6)
    assert [c.instance.series_uid for c in selection.chosen] == ["1.3", "1.3", "1.4", "1.4", "1.1", "1.1"]
    assert reasons_of(selection)["1.2.1"] == "another axial series shows more"


def test_every_mr_series_has_a_contrast_of_its_own() -> None:
    facts = {"sop_class_uid": MR, "modality": "MR"}
    study = [i for series in ("1.1", "1.2", "1.3") for i in slices(series, 5, **facts)]
    assert chosen_of(study, 3) == ["1.1.3", "1.2.3", "1.3.3"]


def test_a_stack_for_which_no_share_is_left_says_so() -> None:
    facts = {"sop_class_uid": MR, "modality": "MR"}
    selection = select(Study.of(slices("1.1", 5, **facts) + slices("1.2", 5, **facts)), 1)
    assert [c.instance.sop_instance_uid for c in selection.chosen] == ["1.1.3"]
    (left,) = selection.left_out
    assert (left.series_uid, left.reason) == ("1.2", "the limit of 1 images is reached")


def test_a_chest_ct_is_shown_in_lung_and_soft_tissue_windows() -> None:
    selection = select(Study.of(slices("1.1", 10, body_part="CHEST")), 5)
    assert [(c.instance.sop_instance_uid, c.preset) for c in selection.chosen] == [
        ("1.1.2", "lung"),
        ("1.1.6", "lung"),
        ("1.1.9", "lung"),
        ("1.1.3", "mediastinum"),
        ("1.1.8", "mediastinum"),
    ]


@pytest.mark.parametrize(
    ("part", "preset"), [("HEAD", "brain"), ("ABDOMEN", "abdomen"), ("LSPINE", "bone"), ("", None)]
)
def test_the_body_part_of_a_ct_sets_its_window(part: str, preset: str | None) -> None:
    (choice,) = select(Study.of(slices("1.1", 1, body_part=part)), 1).chosen
    assert choice.preset == preset


def test_a_body_part_given_stands_in_for_a_header_that_names_none() -> None:
    assert select(Study.of(slices("1.1", 1)), 1, body_part="head").chosen[0].preset == "brain"
    assert select(Study.of(slices("1.1", 1, body_part="LIVER")), 1, body_part="HEAD").chosen[0].preset == "liver"


def test_only_ct_takes_presets() -> None:
    (choice,) = select(Study.of(slices("1.1", 1, modality="MR", sop_class_uid=MR, body_part="HEAD")), 1).chosen
    assert choice.preset is None


def test_every_preset_exists() -> None:
    assert {preset for presets in CT_PRESETS.values() for preset in presets} <= PRESETS.keys()


def test_frontal_radiographs_come_before_lateral_ones_up_to_the_limit() -> None:
    views = ["LL", "", "PA", "RL", "AP"]
    films = [
        instance(str(n), sop_class_uid=CR, modality="CR", view_position=view, instance_number=n)
        for n, view in enumerate(views)
    ]
    selection = select(Study.of(films), 4)
    assert [c.reason for c in selection.chosen] == [
        "frontal radiograph",
        "frontal radiograph",
        "radiograph",
        "lateral radiograph",
    ]
    assert [c.instance.view_position for c in selection.chosen] == ["PA", "AP", "", "LL"]
    assert reasons_of(selection) == {"3": "the limit of 4 images is reached"}


def test_clips_share_the_limit_and_show_their_middles() -> None:
    clips = [instance(f"{n}", sop_class_uid=US_CLIP, modality="US", frames=30) for n in (1, 2)]
    selection = select(Study.of(clips), 4)
    assert [(c.instance.sop_instance_uid, c.frame) for c in selection.chosen] == [
        ("1", 8),
        ("1", 23),
        ("2", 8),
        ("2", 23),
    ]
    assert selection.chosen[0].reason == "frame 8 of 30"


def test_stills_of_a_series_stand_for_one_another() -> None:
    stills = [instance(f"{n}", sop_class_uid=US, modality="US", instance_number=n) for n in range(1, 10)]
    assert chosen_of(stills, 3) == ["2", "5", "8"]


def test_an_enhanced_ct_gives_evenly_spaced_frames_in_its_presets() -> None:
    volume = instance("1", sop_class_uid=ENHANCED_CT, frames=100, body_part="HEAD")
    selection = select(Study.of([volume]), 2)
    assert [(c.frame, c.preset) for c in selection.chosen] == [(26, "brain"), (76, "brain")]


def test_a_number_of_frames_that_lies_costs_nothing() -> None:
    (choice,) = select(Study.of([instance("1", sop_class_uid=US_CLIP, modality="US", frames=2**31 - 1)]), 1).chosen
    assert choice.frame == 2**30


def test_radiographs_come_first_in_a_mixed_study_and_captures_last() -> None:
    mixed = [
        instance("1", series_uid="1.1", sop_class_uid=SC, modality="OT"),
        instance("2", series_uid="1.2", sop_class_uid=US, modality="US"),
        instance("3", series_uid="1.3"),
        instance("4", series_uid="1.4", sop_class_uid=CR, modality="CR"),
    ]
    assert chosen_of(mixed, 4) == ["4", "3", "2", "1"]


def test_every_image_that_the_listener_takes_has_a_kind() -> None:
    assert {str(uid) for uid in offered.IMAGES} <= KINDS.keys()


def test_a_limit_below_one_is_an_error_of_the_caller() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        select(Study.of(slices("1.1", 1)), 0)
