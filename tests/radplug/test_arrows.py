"""Knowledge goes one way: every import of every module is one that the drawing in docs/ARCHITECTURE.md allows."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GROUND_FLOOR = ("dicom_io", "hl7", "model_runtime")
# What the words of the domain are made of: these modules hold words only, and need nothing but the standard library.
WORD_FILES = {
    "dicom_io.commitment",
    "dicom_io.signals",
    "dicom_io.study",
    "dicom_io.errors",
    "hl7.orders",
    "hl7.errors",
    "model_runtime.canvas",
    "model_runtime.draft_text",
    "model_runtime.checkpoints.model_card",
    "model_runtime.errors",
}
# Of radplug's own modules: what each may import besides itself. A package stands for all its modules.
MAY_IMPORT = {
    "radplug.completeness": WORD_FILES,
    "radplug.domain": {"radplug.completeness", "radplug.priors", *WORD_FILES},
    "radplug.desk": {"radplug.anchors", *WORD_FILES},
    "radplug.patient_guard": {"radplug.priors", *WORD_FILES},
    "radplug.policy": {"radplug.domain"},
    "radplug.parts": {
        *("radplug.completeness", "radplug.desk", "radplug.domain", "radplug.policy", "radplug.priors", *WORD_FILES),
        "radplug.patient_guard",
    },
    "radplug.pipeline": {
        *("radplug.parts", "radplug.completeness", "radplug.desk", "radplug.domain", "radplug.priors", *WORD_FILES),
    },
    "radplug.people": set(),
    "radplug.settings": {"radplug.people", "hl7.errors", "hl7.message", "hl7.overrides"},
    "radplug.findings": set(),
    "radplug.anchors": set(),
    "radplug.body_part": set(),
    "radplug.embedded_redis": set(),
    "radplug.supervisor": set(),
    "radplug.uvicorn_thread": set(),
    "radplug.logs": {"radplug.settings"},
    "radplug.passages": {"model_runtime.canvas"},
    "radplug.notices": {"radplug.domain", "radplug.priors", *WORD_FILES},
    "radplug.records": {
        "radplug.notices",
        "radplug.completeness",
        "radplug.texts",
        "radplug.desk",
        "radplug.insight",
        "radplug.domain",
        "radplug.patient_guard",
        "radplug.people",
        "radplug.priors",
        *WORD_FILES,
    },
    "radplug.migrations": {"radplug.domain", "radplug.records"},
    "radplug.priors": {"dicom_io.study"},
    "radplug.study_store": {"radplug.domain", "dicom_io.part10", *WORD_FILES},
    "radplug.audit": {"radplug.domain", "radplug.records"},
    "radplug.audit_messages": {"radplug.domain"},
    "radplug.audit_file": {"radplug.audit_messages", "radplug.records"},
    "radplug.backups": {"radplug", "radplug.records", "radplug.study_store"},
    "radplug.lease_keeper": {"radplug.domain", "radplug.logs", "radplug.records"},
    "radplug.texts": set(),
    "radplug.rules": {"radplug.body_part", "radplug.domain", "radplug.priors", "radplug.texts", *WORD_FILES},
    "radplug.templates": {"model_runtime.canvas", "radplug.texts"},
    # one adapter for each trade: the domain's words on one side, a ground floor on the other
    "radplug.prior_archives": {
        *("radplug.body_part", "radplug.certificates", "radplug.domain", "radplug.priors", "radplug.settings"),
        *("radplug.web_services", "dicom_io"),
    },
    "radplug.prior_reports": {"radplug.domain", "radplug.priors", "radplug.study_store", "dicom_io"},
    "radplug.key_images": {"radplug.domain", "radplug.study_store", "dicom_io"},
    "radplug.models": {"radplug.settings"},
    "radplug.loaded_model": {"radplug.models", "model_runtime"},
    "radplug.draftsman": {
        *(
            "radplug.desk",
            "radplug.domain",
            "radplug.loaded_model",
            "radplug.models",
            "radplug.priors",
            "radplug.rules",
            "radplug.templates",
        ),
        *("hl7.orders", "model_runtime"),
    },
    "radplug.differences": {"model_runtime.draft_text"},
    "radplug.insight": {"radplug.desk", "radplug.differences", "model_runtime.draft_text"},
    "radplug.shapes": {"radplug.domain", "radplug.records", "radplug.settings", "radplug.study_store", "dicom_io"},
    "radplug.fhir": {"dicom_io.report", "dicom_io.study"},
    "radplug.documents": {
        *("radplug", "radplug.domain", "radplug.records", "radplug.settings", "radplug.shapes", "radplug.study_store"),
        "radplug.fhir",
        *("dicom_io", "hl7", "model_runtime.canvas", "model_runtime.draft_text"),
    },
    "radplug.archives": {
        *("radplug", "radplug.certificates", "radplug.completeness", "radplug.domain", "radplug.findings"),
        *("radplug.records", "radplug.settings", "dicom_io"),
    },
    "radplug.conformance": {
        *("radplug", "radplug.domain", "radplug.fhir", "radplug.settings", "radplug.shapes"),
        *("dicom_io", "hl7"),
    },
    "radplug.certificates": {"radplug.findings", "radplug.settings", "dicom_io"},
    "radplug.web_services": {"radplug.findings", "radplug.settings", "dicom_io"},
    "radplug.document_identity": {
        *("radplug.domain", "radplug.fhir", "radplug.patient_guard", "radplug.settings"),
        *("dicom_io", "hl7"),
    },
    "radplug.destinations": {
        *("radplug.certificates", "radplug.domain", "radplug.fhir", "radplug.settings", "radplug.study_store"),
        *("radplug.document_identity", "radplug.patient_guard", "radplug.records", "radplug.web_services"),
        *("dicom_io", "hl7"),
    },
}
# Upstairs: wiring knows every floor, and these stand on it.
ENTRANCES = {
    *("wiring", "clock", "worker", "stations", "doctor", "show", "demo", "demo_report", "acceptance", "cli"),
    *("commands", "asking", "commitment_desk", "signal_desk", "web", "hl7_in", "fhircast"),
}


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Names of our own modules that a file imports, anywhere in it: at its top, in functions, for type checking."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide where an arrow goes"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found.add(whole if is_module(whole) else str(node.module))
    return {name for name in found if name.split(".")[0] in (*GROUND_FLOOR, "radplug")}


def is_module(name: str) -> bool:
    path = ROOT / Path(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def allows(allowed: set[str], imported: str) -> bool:
    return any(imported == name or (imported.startswith(name + ".") and name != "radplug") for name in allowed)


@pytest.mark.parametrize("package", GROUND_FLOOR)
def test_a_ground_floor_knows_nothing_but_itself(package: str) -> None:
    for path in modules(package):
        strangers = {name for name in imports_of(path) if name.split(".")[0] != package}
        assert not strangers, f"{name_of(path)} imports {strangers}"


def test_upstairs_arrows_are_the_drawn_ones() -> None:
    unknown = []
    for path in modules("radplug"):
        name = name_of(path)
        owner = ".".join(name.split(".")[:2])
        if name == "radplug" or owner.removeprefix("radplug.") in ENTRANCES:
            continue
        if owner not in MAY_IMPORT:
            unknown.append(name)
            continue
        for imported in imports_of(path):
            fits = imported == owner or imported.startswith(owner + ".") or allows(MAY_IMPORT[owner], imported)
            assert fits, f"{name} imports {imported}, which the drawing forbids"
    assert not unknown, f"not in the drawing: {unknown}"


def test_nothing_below_wiring_imports_an_entrance() -> None:
    entrances = {f"radplug.{name}" for name in ENTRANCES}
    for path in modules("radplug"):
        owner = ".".join(name_of(path).split(".")[:2])
        if owner not in entrances:
            assert not imports_of(path) & entrances, f"{name_of(path)} imports {imports_of(path) & entrances}"


def test_what_drafts_knows_no_phantoms() -> None:
    apart = tuple(f"model_runtime.{folder}" for folder in ("phantoms", "evaluation", "training"))
    for path in modules("model_runtime"):
        if not name_of(path).startswith(apart):
            known = {name for name in imports_of(path) if name.startswith(apart)}
            assert not known, f"{name_of(path)} imports {known}"


@pytest.mark.parametrize("parts", [2, None], ids=["folders", "modules"])
def test_there_is_no_ring(parts: int | None) -> None:
    """Neither of modules nor, with a package's folders taken whole, of these and the files beside them."""
    graph: dict[str, set[str]] = {}
    for path in (path for package in (*GROUND_FLOOR, "radplug") for path in modules(package)):
        name, *imported = (".".join(whole.split(".")[:parts]) for whole in (name_of(path), *imports_of(path)))
        graph.setdefault(name, set()).update({*imported} - {name})
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, f"a ring of imports: {' → '.join((*way[way.index(name) :], name))}"
        if name not in done:
            for imported in graph.get(name, ()):
                visit(imported, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize(
    "module",
    [
        "radplug.cli",
        "radplug.stations",
        "radplug.pipeline",
        "radplug.clock",
        "radplug.worker",
        "radplug.fhircast.station",
        "radplug.documents",
        "dicom_io.listener",
        "hl7.oru",
    ],
)
def test_what_does_not_draft_does_not_load_torch(module: str) -> None:
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_tests_shadow_no_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


def test_the_environment_is_read_at_the_entrances_only() -> None:
    readers = {"supervisor", "doctor", "cli"}  # hands it on to children; asks for access rights; sets the umask
    for package in (*GROUND_FLOOR, "radplug"):
        for path in modules(package):
            text = path.read_text(encoding="utf-8")
            if "os.environ" in text or "getenv" in text:
                assert path.stem in readers, f"{name_of(path)} reads the environment"
