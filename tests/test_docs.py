"""The docs keep up with the code: every variable, dependency and folder is described."""

import re
import tomllib
from pathlib import Path

from bench import tables

ROOT = Path(__file__).parent.parent


def read(name: str) -> str:
    return (ROOT / name).read_text()


def test_every_environment_variable_is_documented() -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "console").rglob("*.py"))
    names = set(re.findall(r'env\.(?:text|number|decimal|choice|flag|listing|secret)\(\s*"([A-Z_]+)"', code))
    assert names
    assert sorted(name for name in names if f"`{name}`" not in read("docs/running.md")) == []


def test_every_dependency_earns_its_line() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]
    stated = [
        *project["dependencies"],
        *(name for extra in project["optional-dependencies"].values() for name in extra),
    ]
    names = {re.split(r"[<>=\[]", entry)[0] for entry in stated}
    assert sorted(name for name in names if f"`{name}`" not in read("docs/dependencies.md")) == []


def test_the_readme_maps_every_top_level_folder() -> None:
    tracked = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith(".")}
    ours = tracked - {"static_vendor", "engine_console.egg-info", "__pycache__", "node_modules", "build"}
    assert sorted(name for name in ours if f"`{name}/`" not in read("README.md")) == []


def test_links_in_the_docs_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.name} → {target}")
    assert broken == []


def test_the_three_flows_name_files_that_exist() -> None:
    named = re.findall(
        r"`((?:console|routing|engines|gates|templates|static)/[\w./-]+\.\w+)`", read("docs/architecture.md")
    )
    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_measurements_are_those_of_the_last_runs() -> None:
    assert read("docs/measurements.md") == tables.page(), "run: python -m bench.tables"
