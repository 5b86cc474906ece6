"""Report templates: what ours hold, which one a study gets, and what is said of a file that cannot be used."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import free_port
from pydicom.sr.codedict import codes
from typer.testing import CliRunner

from dicom_io.study import Instance, Patient
from hl7.orders import Order
from model_runtime.canvas import FREE, Code, Section, Template, lay, pages
from radplug.cli import app
from radplug.doctor import examine
from radplug.domain import Case, CaseState, KeptInstance, Priority
from radplug.models import DEMO_CHECKPOINT
from radplug.settings import Settings
from radplug.templates import TemplateFile, choose, read, read_all
from radplug.texts.lines import line_of, line_of_error, lines_of
from radplug.texts.reading import UnusableText
from radplug.wiring import House

DOCUMENT = (Path(__file__).parents[2] / "docs" / "templates.md").read_text(encoding="utf-8")
OURS = read_all(None)
GOOD = """\
# A comment, so that lines are not statements.
name = "angiogram"
title = { value = "18748-4", scheme = "LN", meaning = "Diagnostic Imaging Report" }
modalities = ["XA"]
body_parts = [
    "HEART",
]
procedures = [{ value = "CORO", scheme = "99SITE" }]

[[section]]
name = "FINDINGS"
heading = "FINDINGS:"
tokens = 150
normal = '''
heading = "no key, but text"
'''
[section.code]
value = "59776-5"
scheme = "LN"
meaning = "Findings"

[[section]]
name = "IMPRESSION"
heading = "IMPRESSION:"
code = { value = "19005-8", scheme = "LN", meaning = "Impressions" }
tokens = 80
required = false
"""


def written(folder: Path, text: str, name: str = "site.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def refused(file: Path) -> list[str]:
    with pytest.raises(UnusableText) as caught:
        read(file)
    return str(caught.value).splitlines()


# ── ours ──


def test_the_document_lists_them_and_each_is_in_a_file_of_its_name() -> None:
    names = re.findall(r"^\| `([a-z-]+)` \|", DOCUMENT.split("\n## ")[0], re.MULTILINE)
    assert (
        sorted(names)
        == [file.template.name for file in OURS]
        == [*("chest-radiograph", "ct-chest", "ct-head", "generic", "mr-brain", "us-abdomen")]
    )
    assert all(file.ours and file.path.stem == file.template.name for file in OURS)


def test_the_chest_radiographs_layout_is_the_one_that_the_demo_model_was_trained_on() -> None:
    from model_runtime.phantoms.template import TEMPLATE

    (ours,) = [file.template for file in OURS if file.template.name == TEMPLATE.name]
    assert [(s.name, s.heading, s.tokens) for s in ours.sections] == [
        (s.name, s.heading, s.tokens) for s in TEMPLATE.sections
    ]
    assert (ours.modalities, ours.body_parts) == (TEMPLATE.modalities, TEMPLATE.body_parts)


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.template.name)
def test_titles_and_headings_are_the_standards(file: TemplateFile) -> None:
    def group(number: int) -> set[tuple[str, str, str]]:
        context = getattr(codes, f"cid{number}")
        found = [getattr(context, name) for name in context.dir()]
        return {(code.value, code.scheme_designator, code.meaning) for code in found}

    title = file.template.title
    assert (title.value, title.scheme, title.meaning) in group(7000)
    for section in file.template.sections:
        assert (section.code.value, section.code.scheme, section.code.meaning) in group(7001)


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.template.name)
def test_every_section_of_ours_fits_a_canvas_with_any_tokenizer(file: TemplateFile) -> None:
    def a_token_for_each_byte(text: str) -> list[int]:
        return list(text.encode())

    for page in pages(file.template, encode=a_token_for_each_byte, canvas_length=256):
        layout = lay(page, [], encode=a_token_for_each_byte, canvas_length=256, end_id=0)
        assert layout.ids.count(FREE) == sum(section.tokens for section in page.sections)


@pytest.mark.parametrize("file", OURS, ids=lambda file: file.template.name)
def test_a_phrase_dictated_for_findings_or_impression_has_its_place_on_each_of_ours(file: TemplateFile) -> None:
    assert file.template.section("FINDINGS").required
    assert file.template.section("IMPRESSION").required


def test_ours_name_no_procedure_so_that_a_sites_choice_by_modality_and_part_is_never_passed_over() -> None:
    assert not any(file.template.procedures for file in OURS)


# ── which one ──


def template(name: str, *, modalities: str = "", body_parts: str = "", procedures: str = "") -> Template:
    one = Code("59776-5", "LN", "Findings")
    return Template(
        name,
        one,
        (Section("FINDINGS", "FINDINGS:", one, 100),),
        modalities=frozenset(modalities.split()),
        body_parts=frozenset(body_parts.split()),
        procedures=frozenset((code, "99SITE") for code in procedures.split()),
    )


CHOICE = [
    template("anything"),
    template("chest", body_parts="CHEST"),
    template("ct", modalities="CT"),
    template("ct-chest", modalities="CT", body_parts="CHEST"),
    template("ct-chest-again", modalities="CT PT", body_parts="CHEST"),
    template("embolism", procedures="CTPA"),
    template("trauma", modalities="CT", body_parts="CHESTABDPELVIS", procedures="POLY"),
]


@pytest.mark.parametrize(
    ("procedures", "modality", "part", "name"),
    [
        (["CTPA"], "CT", "CHEST", "embolism"),
        (["CTPA"], "DX", "", "embolism"),  # the code alone decides
        (["OTHER", "CTPA", "POLY"], "CT", "CHEST", "embolism"),  # the study's codes in their order
        (["POLY", "CTPA"], "CT", "CHEST", "trauma"),
        ([], "CT", "CHESTABDPELVIS", "trauma"),  # by modality and part as well
        ([], "CT", "CHEST", "ct-chest"),  # the first of two that fit alike
        ([], "PT", "CHEST", "ct-chest-again"),
        (["OTHER"], "CT", "HEAD", "ct"),
        ([], "CT", "", "ct"),
        ([], "MR", "CHEST", "chest"),
        ([], "MR", "HEAD", "anything"),  # never one that names procedures only
        ([], "", "", "anything"),
    ],
)
def test_the_most_exact_template_is_taken(procedures: list[str], modality: str, part: str, name: str) -> None:
    chosen = choose(CHOICE, [(code, "99SITE") for code in procedures], modality, part)
    assert chosen is not None
    assert chosen.name == name


def test_a_code_of_another_scheme_is_another_code() -> None:
    chosen = choose(CHOICE, [("CTPA", "L")], "CT", "CHEST")
    assert chosen is not None
    assert chosen.name == "ct-chest"


def test_without_a_generic_one_a_study_may_get_none() -> None:
    assert choose(CHOICE[1:], [], "MR", "HEAD") is None


@pytest.mark.parametrize(
    ("modality", "part", "name"),
    [
        ("DX", "CHEST", "chest-radiograph"),
        ("CR", "CHEST", "chest-radiograph"),
        ("CT", "CHEST", "ct-chest"),
        ("CT", "HEAD", "ct-head"),
        ("CT", "BRAIN", "ct-head"),
        ("MR", "BRAIN", "mr-brain"),
        ("MR", "HEAD", "mr-brain"),  # what body_part makes of "MR brain" in a description
        ("US", "ABDOMEN", "us-abdomen"),
        ("CT", "ABDOMEN", "generic"),
        ("MG", "BREAST", "generic"),
    ],
)
def test_ours_take_what_they_are_for(modality: str, part: str, name: str) -> None:
    chosen = choose([file.template for file in OURS], [], modality, part)
    assert chosen is not None
    assert chosen.name == name


class TestPlan:
    """A study of the demo model's kind, on a site with a template for one procedure."""

    @pytest.fixture
    def site(self, tmp_path: Path) -> Iterator[House]:
        own = written(tmp_path / "own", GOOD).parent
        site = House(Settings(store={"data": tmp_path / "data"}, drafting={"templates": own}), "test")
        site.database.migrate()
        yield site
        site.database.close()

    def planned(self, site: House, on_image: tuple[str, str, str], ordered: tuple[str, str, str] | None) -> str:
        now = datetime.now(UTC)
        image = Instance(
            *("1.2", "1.3", "1.4", "1.5", "1.6"),
            modality="DX",
            body_part="CHEST",
            has_pixels=True,
            procedure_code=on_image,
            rows=1,
            columns=1,
        )
        case = Case(
            *(
                "1",
                "1.5",
                CaseState.COMPLETE,
                0,
                "",
                Patient(),
                "A1",
                "",
                "",
                "DX",
                "CHEST",
                Priority.ROUTINE,
                1,
                now,
                now,
            ),
            None,
            0,
        )
        order = Order("A1", procedure_code=ordered) if ordered else None
        return site.draftsman.plan(case, [KeptInstance(image, "")], order).template.name

    def test_by_the_code_in_the_images(self, site: House) -> None:
        assert self.planned(site, ("CORO", "99SITE", "Coronary angiogram"), None) == "angiogram"

    def test_by_the_code_in_the_order(self, site: House) -> None:
        assert self.planned(site, ("", "", ""), ("CORO", "99SITE", "")) == "angiogram"

    def test_by_modality_and_part_where_no_code_is_named(self, site: House) -> None:
        assert self.planned(site, ("OTHER", "99SITE", ""), ("CORO", "L", "")) == "chest-radiograph"


# ── a site's own ──


def test_a_good_file_is_read_whole(tmp_path: Path) -> None:
    one = read(written(tmp_path, GOOD)).template
    assert one == Template(
        name="angiogram",
        title=Code("18748-4", "LN", "Diagnostic Imaging Report"),
        sections=(
            Section("FINDINGS", "FINDINGS:", Code("59776-5", "LN", "Findings"), 150, 'heading = "no key, but text"'),
            Section("IMPRESSION", "IMPRESSION:", Code("19005-8", "LN", "Impressions"), 80, required=False),
        ),
        modalities=frozenset({"XA"}),
        body_parts=frozenset({"HEART"}),
        procedures=frozenset({("CORO", "99SITE")}),
    )


def test_the_documents_example_can_be_used_and_its_table_has_every_key(tmp_path: Path) -> None:
    (example,) = [block for block in re.findall(r"```toml\n(.*?)```", DOCUMENT, re.DOTALL) if "[[section]]" in block]
    one = read(written(tmp_path, textwrap.dedent("   " + example))).template
    assert one.procedures == {("CTPA", "99HOSP")}
    keys = set(re.findall(r"^\| `\[*([a-z_]+)\]*` \|", DOCUMENT.split("\n## The keys")[1], re.MULTILINE))
    assert {field.name for kind in (Template, Section) for field in fields(kind)} - {"sections"} | {"section"} <= keys


def test_a_sites_templates_come_before_ours_and_one_of_the_same_name_instead_of_ours(tmp_path: Path) -> None:
    written(tmp_path, GOOD.replace('"angiogram"', '"ct-head"').replace('"XA"', '"CT"'), "b.toml")
    written(tmp_path, GOOD, "a.toml")
    found = read_all(tmp_path)
    assert [file.template.name for file in found] == [
        *("angiogram", "ct-head", "chest-radiograph", "ct-chest", "generic", "mr-brain", "us-abdomen")
    ]
    assert [file.ours for file in found] == [False] * 2 + [True] * 5


def test_two_of_a_sites_files_may_not_have_one_name(tmp_path: Path) -> None:
    first, second = written(tmp_path, GOOD, "a.toml"), written(tmp_path, GOOD, "b.toml")
    with pytest.raises(UnusableText) as caught:
        read_all(tmp_path)
    assert str(caught.value).startswith(f"{second}, line 2: name: {first} has it already")


def test_every_bad_file_is_named_not_only_the_first(tmp_path: Path) -> None:
    written(tmp_path, GOOD)
    bad = [written(tmp_path, "name = ", "one.toml"), written(tmp_path, GOOD.replace("150", "-1"), "two.toml")]
    with pytest.raises(UnusableText) as caught:
        read_all(tmp_path)
    assert [line.split(",")[0] for line in str(caught.value).splitlines()] == list(map(str, bad))


def test_a_directory_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(UnusableText, match=r"no such directory; mend drafting\.templates"):
        read_all(tmp_path / "typo")


# ── what is wrong with a file, and where ──


@pytest.mark.parametrize(
    ("right", "wrong", "line", "reason"),
    [
        # wrong type
        ("tokens = 150", 'tokens = "150"', 13, "section.tokens: Input should be a valid integer"),
        ("tokens = 150", "tokens = 150.0", 13, "section.tokens: Input should be a valid integer"),
        ("tokens = 80", "tokens = true", 26, "section.tokens: Input should be a valid integer"),
        ("required = false", "required = 0", 27, "section.required: Input should be a valid boolean"),
        ('modalities = ["XA"]', 'modalities = "XA"', 4, "modalities: Input should be a valid list"),
        ('title = { value = "18748-4"', "title = { value = 187484", 3, "title.value: Input should be a valid string"),
        # wrong value
        ("tokens = 150", "tokens = -150", 13, "section.tokens: Input should be greater than or equal to 4"),
        (
            "tokens = 150",
            "tokens = 246",
            13,
            "section.tokens: a canvas has 256 tokens: with its heading, .* 245 at most",
        ),
        ('heading = "FINDINGS:"', 'heading = ""', 12, "section.heading: is empty"),
        ('heading = "FINDINGS:"', 'heading = "  "', 12, "section.heading: is empty"),
        ('heading = "FINDINGS:"', 'heading = "FIND\\nINGS:"', 12, "section.heading: must be one line"),
        ('name = "FINDINGS"', 'name = "Findings"', 11, "section.name: must be capital letters"),
        ('name = "angiogram"', 'name = "An Angiogram"', 2, "name: must be small letters"),
        ('    "HEART",', '    "HEART/LUNG",', 5, "body_parts: holds what is no DICOM code"),
        ("normal = '''", "normal = '''\x07", 14, "invalid character"),
        (
            "'''\nheading = \"no key, but text\"\n'''",
            '"\\u0007"',
            14,
            "section.normal: holds characters that cannot be",
        ),
        ("tokens = 150", "tokens = 5", 14, "section.normal: has 6 words and does not fit .* 5 tokens"),
        ('value = "59776-5"', 'value = "59776\\\\5"', 18, "section.code.value: holds a backslash"),
        ('scheme = "LN"\n', f'scheme = "{"L" * 17}"\n', 19, "section.code.scheme: String should have at most 16"),
        ('value = "CORO"', 'value = ""', 8, "procedures.value: is empty"),
        # a key too many, too few, or twice
        ("tokens = 150", "tokens = 150\ntoken = 150", 14, "section.token: is no key of a template"),
        ('name = "angiogram"', 'name = "angiogram"\nbodyparts = []', 3, "bodyparts: is no key of a template"),
        ("tokens = 80\n", "", 22, "section.tokens: is missing"),
        ('scheme = "LN"\n', "", 17, "section.code.scheme: is missing"),
        ('name = "angiogram"', "", 1, "name: is missing"),
        ("tokens = 80", "tokens = 80\ntokens = 90", 27, "Cannot overwrite a value"),
        ('name = "IMPRESSION"', 'name = "FINDINGS"', 23, "section.name: an earlier section has it already; anchors"),
        ('heading = "IMPRESSION:"', 'heading = "FINDINGS:"', 24, "section.heading: an earlier section has it already"),
        # no TOML
        ("tokens = 150", "tokens 150", 13, "Expected '='"),
        ('heading = "FINDINGS:"', "heading = FINDINGS:", 12, "Invalid value"),
        ("]\nprocedures", "\nprocedures", 8, "Invalid value"),
        ("'''\n[section.code]", "\n[section.code]", 14, "Expected \"'''\" .at end of document"),
    ],
)
def test_a_bad_file_is_refused_with_file_line_and_reason(
    tmp_path: Path, right: str, wrong: str, line: int, reason: str
) -> None:
    assert right in GOOD
    file = written(tmp_path, GOOD.replace(right, wrong, 1))
    (told,) = refused(file)
    assert told.startswith(f"{file}, line {line}: ")
    assert re.search(reason, told)


def test_all_that_is_wrong_with_a_file_is_said_at_once_in_the_order_of_its_lines(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD.replace("80", '"80"').replace('"XA"', "1").replace("150", "0"))
    assert [line.split(": ")[0] for line in refused(file)] == [f"{file}, line {number}" for number in (4, 13, 26)]


def test_a_file_without_sections_is_refused(tmp_path: Path) -> None:
    (told,) = refused(written(tmp_path, GOOD.split("[[section]]")[0]))
    assert "line 1: section: is missing" in told


def test_bytes_that_are_not_utf_8_are_found(tmp_path: Path) -> None:
    file = tmp_path / "latin.toml"
    file.write_bytes(GOOD.replace("no key", "naïve").encode("latin-1"))
    (told,) = refused(file)
    assert told.startswith(f"{file}, line 15: ")
    assert "UTF-8" in told


def test_windows_line_ends_count_as_any(tmp_path: Path) -> None:
    file = tmp_path / "windows.toml"
    file.write_bytes(GOOD.replace("150", "0").replace("\n", "\r\n").encode())
    (told,) = refused(file)
    assert told.startswith(f"{file}, line 13: ")


def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    (told,) = refused(tmp_path / "absent.toml")
    assert told == f"{tmp_path / 'absent.toml'}: cannot be read: No such file or directory"


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("name",), 2),
        (("title", "scheme"), 3),
        (("body_parts", 0), 5),
        (("section",), 10),
        (("section", 0, "normal"), 14),
        (("section", 0, "code"), 17),
        (("section", 0, "code", "meaning"), 20),
        (("section", 1), 22),
        (("section", 1, "required"), 27),
        (("section", 1, "absent"), 22),
        (("section", 7, "tokens"), 10),
        (("absent",), 1),
        ((), 1),
    ],
)
def test_a_key_is_found_where_it_stands(path: tuple[str | int, ...], line: int) -> None:
    assert line_of(GOOD, path) == line


VALUES = st.sampled_from(
    [
        *(
            "1",
            '"text"',
            "[1, 2]",
            "[\n  1,\n  2, # ]\n]",
            '"""\nk0 = 1\n\n[t]\n"""',
            "'''a\n'''",
            "{ a = 1, b = 'x' }",
        ),
        *('"\\"#"', "'#'", "1979-05-27", '"""\\\n  joined"""'),
    ]
)


@given(st.lists(st.tuples(st.sampled_from(["", "\n", "# k9 = 1\n", "\n# '''\n", "[[t]]\n"]), VALUES), min_size=1))
def test_any_key_is_found_where_it_stands(statements: list[tuple[str, str]]) -> None:
    text, tables, wanted = "", 0, {}
    for number, (before, value) in enumerate(statements):
        text += before
        tables += "[[t]]" in before
        path = ("t", tables - 1, f"k{number}") if tables else (f"k{number}",)
        wanted[path] = 1 + text.count("\n")
        text += f"k{number} = {value}\n"
    assert lines_of(text, wanted) == list(wanted.values())


@pytest.mark.parametrize(
    ("text", "line"),
    [("a = 1\nb = [\n1,\n", 2), ("a = 1\n\nb = '''\nx\n\n", 3), ("a =", 1), ("a = 1\na = 2\n", 2), ("a = 1\n[a", 2)],
)
def test_a_syntax_error_has_a_line_even_where_a_statement_never_ends(text: str, line: int) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    assert line_of_error(text, caught.value) == line


# ── the commands ──


def test_the_command_lists_what_is_asked_and_in_which_order(tmp_path: Path) -> None:
    written(tmp_path / "own", GOOD)
    text = f'[store]\ndata = "{tmp_path / "data"}"\n[drafting]\ntemplates = "{tmp_path / "own"}"\n'
    settings = written(tmp_path, text, "radplug.toml")
    assert CliRunner().invoke(app, ["--config", str(settings), "migrate"]).exit_code == 0
    result = CliRunner().invoke(app, ["--config", str(settings), "templates"], env={"COLUMNS": "300"})
    assert result.exit_code == 0
    first_column = re.findall(r"^│ ([a-z-]+) ", result.stdout, re.MULTILINE)
    assert first_column == ["angiogram", *(file.template.name for file in OURS)]
    assert "99SITE CORO" in result.stdout
    assert "XA of HEART" in result.stdout


def test_a_file_can_be_checked_before_it_is_used(tmp_path: Path) -> None:
    checked = CliRunner().invoke(app, ["templates", "--check", str(written(tmp_path, GOOD))])
    assert checked.exit_code == 0
    assert "angiogram" in checked.stdout
    bad = written(tmp_path, GOOD.replace("150", "0"), "bad.toml")
    command = [sys.executable, "-m", "radplug.cli", "templates", "--check", str(bad)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (outcome.returncode, outcome.stdout) == (2, "")
    assert outcome.stderr.startswith(f"{bad}, line 13: section.tokens: ")


@pytest.mark.parametrize(("tokens", "well"), [("150", True), ("0", False)])
def test_the_doctor_names_a_bad_template(tmp_path: Path, tokens: str, well: bool) -> None:
    file = written(tmp_path / "own", GOOD.replace("150", tokens))
    settings = Settings(
        store={"data": tmp_path / "data"},
        listener={"port": free_port()},
        drafting={"templates": file.parent},
        model={"checkpoint": DEMO_CHECKPOINT},
    )
    house = House(settings, "doctor")
    (finding,) = [finding for finding in examine(house) if finding.about.startswith("template")]
    house.database.close()
    assert finding.well is well
    assert finding.text.startswith("7, 1 of them the site's own" if well else f"{file}, line 13: section.tokens: ")
