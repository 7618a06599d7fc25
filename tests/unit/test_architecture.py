"""The rooms and who may enter: the import rules of the design, and no reader of the planted truth."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("orchestration", "sources", "ml", "reports")
MODULES = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
# dbt and Dagster stay in orchestration; ml and reports take and give frames.
FORBIDDEN = {
    "sources": {"orchestration", "ml", "reports", "dagster", "dagster_dbt", "dbt", "sklearn", "plotly"},
    "ml": {"orchestration", "sources", "reports", "dagster", "dagster_dbt", "dbt", "duckdb", "plotly"},
    "reports": {"orchestration", "sources", "ml", "dagster", "dagster_dbt", "dbt", "duckdb", "sklearn"},
    "orchestration": set(),
}


def imported(module: Path) -> set[str]:
    """Top-level packages that a module imports, inside functions as well."""
    names = set()
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports hide which room is entered"
            names.add((node.module or "").split(".")[0])
    return names


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_keep_to_the_rooms(module: Path) -> None:
    room = module.relative_to(ROOT).parts[0]
    assert not imported(module) & FORBIDDEN[room]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_belongs_there(module: Path) -> None:
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8")))
    assert docstring
    assert len(docstring) > 30


def test_only_the_resources_and_dbt_open_the_warehouse() -> None:
    openers = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "orchestration").rglob("*.py")
        if any(call in path.read_text("utf-8") for call in ("duckdb.connect(str(", "get_connection(", "attach "))
    }
    # dbt.py attaches it, read-only, to show the rows that failed a test; published.py opens what is published
    resources = {"orchestration/resources.py", "orchestration/spark/resources.py"}
    assert openers == {*resources, "orchestration/dbt.py", "orchestration/published.py"}
    assert "read_only=True" in (ROOT / "orchestration" / "published.py").read_text("utf-8")
    assert "(read_only)" in (ROOT / "orchestration" / "dbt.py").read_text("utf-8")


def test_only_the_scorecard_reads_the_truth_of_the_synthetic_business() -> None:
    readers = [
        path.relative_to(ROOT).as_posix()
        for path in [*MODULES, *(ROOT / "dbt_project").rglob("*.sql")]
        if "synthetic" not in path.parts and ".truth(" in path.read_text(encoding="utf-8")
    ]
    assert readers == ["orchestration/assets/insights/scorecard.py"]
    sql = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "dbt_project" / "models").rglob("*.sql"))
    assert "truth" not in sql
