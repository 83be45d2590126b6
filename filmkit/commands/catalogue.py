"""The command ``render.py catalogue``: pages with a picture of each mobject and animation."""

from __future__ import annotations

from pathlib import Path

import click

from extract.support.printing import echo
from scenes.registry import SCENES

__all__ = ["catalogue"]


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folder", type=click.Path(path_type=Path))
def catalogue(folder: Path) -> None:
    """Write a page for each mobject and animation into FOLDER, for make docs."""
    # Loaded here, so that --help does not wait a second for Manim.
    from filmkit.tools.catalogue import make_catalogue

    echo(make_catalogue(SCENES, folder))
