"""The budgets of the house: file, function, view, task and template sizes, and folder depth."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
APPS = ("console", "gates", "routing", "engines")
FILE_LINES, FUNCTION_LINES, VIEW_LINES, TASK_LINES, TEMPLATE_LINES, SCRIPT_LINES = 300, 40, 25, 12, 150, 100
DEPTH = 3


def sources() -> list[Path]:
    found = [path for app in (*APPS, "bench", "tests") for path in (ROOT / app).rglob("*.py")]
    return [path for path in found if "migrations" not in path.parts]


def lines(path: Path) -> int:
    return len(path.read_text().splitlines())


def functions(path: Path, first_argument: str | None = None) -> list[tuple[str, int]]:
    tree = ast.parse(path.read_text())
    nodes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    if first_argument:
        nodes = [node for node in nodes if node.args.args and node.args.args[0].arg == first_argument]
    return [(f"{path.relative_to(ROOT)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1) for node in nodes]


def over(named: list[tuple[str, int]], limit: int) -> list[str]:
    return [f"{name} has {size} lines" for name, size in named if size > limit]


def test_no_source_file_is_longer_than_its_budget() -> None:
    assert over([(str(path.relative_to(ROOT)), lines(path)) for path in sources()], FILE_LINES) == []


def test_no_function_is_longer_than_its_budget() -> None:
    code = [path for path in sources() if "tests" not in path.parts]
    assert over([entry for path in code for entry in functions(path)], FUNCTION_LINES) == []


def test_views_and_tasks_stay_thin() -> None:
    views = [entry for path in (ROOT / "console" / "pages").glob("*.py") for entry in functions(path, "request")]
    tasks = [entry for app in APPS for path in (ROOT / app).glob("tasks.py") for entry in functions(path)]
    assert over(views, VIEW_LINES) + over(tasks, TASK_LINES) == []


@pytest.mark.parametrize(
    ("folder", "pattern", "limit"),
    [("templates", "*.html", TEMPLATE_LINES), ("static/js", "*.js", SCRIPT_LINES)],
)
def test_templates_and_scripts_stay_small(folder: str, pattern: str, limit: int) -> None:
    found = list((ROOT / folder).rglob(pattern))
    assert found
    assert over([(str(path.relative_to(ROOT)), lines(path)) for path in found], limit) == []


def test_packages_are_not_nested_deeper_than_three_levels() -> None:
    deep = [
        str(path.relative_to(ROOT))
        for app in APPS
        for path in (ROOT / app).rglob("*.py")
        if len(path.relative_to(ROOT).parts) > DEPTH + 1
    ]
    assert deep == []


def test_every_module_says_what_belongs_there() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in sources()
        if path.read_text().strip() and ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert [name for name in silent if not name.startswith("tests/")] == []


def test_engine_kinds_are_named_only_by_adapters() -> None:
    compared = [
        f"{path.relative_to(ROOT)}: {found}"
        for path in sources()
        for found in re.findall(r"[!=]= [\"'](?:custom|vllm|trtllm)\b", path.read_text())
        if "adapters" not in path.parts and path.parts[len(ROOT.parts)] in APPS
    ]
    assert compared == []
