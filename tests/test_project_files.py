"""The files around the code say what is true: versions, workflows, checks, words for newcomers."""

from __future__ import annotations

import re
import tomllib
from hashlib import sha256
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from filmkit.commands.cli import COMMANDS, render
from scripts.constraints import constraints
from tests.support.checkout import PROJECT

DOCS = PROJECT / "docs"


def text(name: str) -> str:
    return (PROJECT / name).read_text(encoding="utf-8")


def pinned() -> dict[str, str]:
    lines = [line for line in text("filmkit/constraints.txt").splitlines() if "==" in line]
    return dict(line.split("==") for line in lines if not line.startswith("#"))


def test_pinned_versions_are_within_the_ranges() -> None:
    pins = pinned()
    project = tomllib.loads(text("pyproject.toml"))["project"]
    for line in project["dependencies"]:
        requirement = Requirement(line)
        assert requirement.specifier.contains(pins[canonicalize_name(requirement.name)]), line


def test_everything_that_is_installed_for_a_render_is_pinned() -> None:
    assert set(constraints()) == set(pinned()), "make constraints writes the file again"


def workflow_commands() -> list[str]:
    found = []
    for path in sorted((PROJECT / ".github" / "workflows").glob("*.yml")):
        found += re.findall(r"^\s*- run: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return found


def test_workflows_run_what_people_run() -> None:
    """Each command is one that a contributor runs, or installs the project."""
    known = {".ci/run", "make docs", "python -m build"}
    for command in workflow_commands():
        installs = command.startswith("python -m pip install")
        assert installs or command in known or command.startswith("attention-film "), command
    assert ".ci/run" in workflow_commands()


def test_ci_runs_style_and_both_tiers_of_tests() -> None:
    commands = [line for line in text(".ci/run").splitlines() if line.startswith("make ")]
    assert commands == ["make lint", "make test", "make test-slow"]


def test_git_ignores_the_folders_that_commands_write() -> None:
    ignored = text(".gitignore").splitlines()
    folders = {
        str(option.default)
        for command in (render, *COMMANDS.values())
        for option in command.params
        if option.name == "out" and isinstance(option.default, Path)
    }
    assert {"videos", "gallery", "posters"} <= folders
    assert [name for name in sorted({*folders, "decks"}) if f"/{name}/" not in ignored] == []


@pytest.mark.parametrize(
    "check",
    [
        "-m ruff check",
        "-m ruff format --check",
        "-m mypy",
        "/lint-imports",
        "-m scripts.check_pages",
    ],
)
def test_pre_commit_and_make_lint_check_the_same(check: str) -> None:
    assert check in text(".pre-commit-config.yaml")
    lint = text("Makefile").partition("\nlint:")[2].partition("\n\n")[0]
    assert check in lint


def test_the_vendored_library_is_as_it_came() -> None:
    folder = PROJECT / "filmkit" / "explore" / "vendor"
    sources = (folder / "SOURCES.md").read_text(encoding="utf-8")
    (script,) = folder.glob("*.js")
    assert f"`{script.name}`" in sources
    assert f"`{sha256(script.read_bytes()).hexdigest()}`" in sources


def test_each_folder_of_scenes_holds_one() -> None:
    folder = PROJECT / "scenes"
    assert {path.name for path in folder.glob("*.py")} == {"__init__.py", "registry.py"}
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            assert list(path.glob("scene_*.py")), path.name


def test_a_bug_report_asks_for_what_doctor_finds() -> None:
    assert "doctor --json" in text(".github/ISSUE_TEMPLATE/bug.yml")


def test_one_version_everywhere() -> None:
    version = tomllib.loads(text("pyproject.toml"))["project"]["version"]
    assert f"version: {version}" in text("CITATION.cff")
    assert f"## {version}" in text("CHANGELOG.md")


@pytest.mark.parametrize(
    "name", ["README.md", "CONTRIBUTING.md", *(f"docs/{page.name}" for page in DOCS.glob("*.md"))]
)
def test_files_that_pages_name_exist(name: str) -> None:
    """Paths in back quotes and links to files of the repository."""
    page = text(name)
    paths = re.findall(r"`((?:extract|filmkit|scenes|tests|docs|assets)/[\w./-]*)`", page)
    paths += re.findall(r"\]\((?!http|#)([^)]+)\)", page)
    folder = (PROJECT / name).parent
    # A user's own trace, a placeholder, and what make docs makes.
    made = ("gpt2.safetensors", "NAME", "pictures/")
    paths = [path for path in paths if not any(name in path for name in made)]
    for path in (path.partition("#")[0] for path in paths):
        assert (PROJECT / path).exists() or (folder / path).exists(), path


def test_the_animation_of_the_readme_is_small_enough_to_play_there() -> None:
    shown = re.findall(r"assets/readme/\S+?\.gif", text("README.md"))
    assert shown
    assert all((PROJECT / path).stat().st_size < 3_000_000 for path in shown)
