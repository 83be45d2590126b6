"""Copy the project into a folder that tests may change, and run its programs there."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
SHIPPED = PROJECT / "assets" / "traces" / "smollm2-135m.safetensors"
REFERENCE = PROJECT / "assets" / "reference" / "gpt2_small.json"
PARTS = ("filmkit", "scenes", "extract", "tests", "assets", "render.py", "pyproject.toml")


def copy_project(folder: Path) -> Path:
    """Copy the files for rendering and for testing into a folder, and return the folder."""
    for name in PARTS:
        if (PROJECT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(PROJECT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(PROJECT / name, folder)
    return folder


def run_python(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a copy of the project, with a cache inside that copy."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"ATTENTION_FILM_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
