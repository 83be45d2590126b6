"""Draw the recipes of the documentation: ``python -m docs.draw_recipes PAGE FOLDER``.

Each code block of the page whose first line names a file (three backquotes, ``python mine.py``) is
a scene. Its last picture is written to the folder, as a PNG file with the name of the scene's file.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click

from extract.support.temporary import temporary_folder
from filmkit.core.project import PROJECT

__all__ = ["draw_recipe", "recipes"]

BLOCK = re.compile(r"^```python (\w+)\.py\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def recipes(page: Path) -> dict[str, str]:
    """Return the code of each recipe of a page, by the name of its file without ``.py``."""
    return dict(BLOCK.findall(page.read_text(encoding="utf-8")))


def draw_recipe(name: str, code: str, folder: Path) -> Path:
    """Render a recipe, and return the path of its last picture.

    Parameters
    ----------
    name, code
        Name of its file without ``.py``, and its content.
    folder
        Where the picture goes.

    Raises
    ------
    subprocess.CalledProcessError
        When it cannot be rendered.
    """
    with temporary_folder() as scratch:
        file = scratch / f"{name}.py"
        file.write_text(code, encoding="utf-8")
        if "(Stage)" in code:
            command = [str(PROJECT / "render.py"), str(file), "--still", "all", "--quality", "hd"]
            command += ["--quiet", "--out", str(scratch)]
        else:
            command = ["-m", "manim", "-qm", "-s", "--media_dir", str(scratch), str(file)]
        subprocess.run([sys.executable, *command], check=True, cwd=scratch)
        *_, last = sorted(scratch.rglob("*.png"))
        folder.mkdir(parents=True, exist_ok=True)
        return last.replace(folder / f"{name}.png")


@click.command()
@click.argument("page", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(page: Path, folder: Path) -> None:
    """Draw every recipe of a page into a folder."""
    for name, code in recipes(page).items():
        click.echo(draw_recipe(name, code, folder))


if __name__ == "__main__":
    main()
