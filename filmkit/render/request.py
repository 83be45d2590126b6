"""What the command line asks for: plain data that loads at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import click

from extract.trace import Trace
from filmkit.core.fonts import lacks_fonts
from filmkit.core.records import StageSettings
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.render.errors import explain
from filmkit.render.formats import DEFAULT_CAPTIONS, DEFAULT_FORMAT
from filmkit.render.quality import DEFAULT_QUALITY, QUALITIES, Quality
from filmkit.render.traces import find_trace, provenance

__all__ = ["RenderOptions", "RenderRequest", "each", "load_trace", "report_files"]


@dataclass(frozen=True)
class RenderOptions:
    """How a scene is rendered.

    Attributes
    ----------
    quality
        Size and frame rate.
    settings
        What the viewer chose to see.
    """

    quality: Quality = QUALITIES[DEFAULT_QUALITY]
    settings: StageSettings = field(default_factory=StageSettings)


@dataclass(frozen=True)
class RenderRequest:
    """What is to be made, as the command line says it.

    Attributes
    ----------
    scenes
        In the order in which they are made.
    trace
        A trace file, or None for the default.
    compare
        A second trace, for scenes that compare two.
    layer, head, show_first_token
        What to show; see :class:`filmkit.core.records.StageSettings`.
    quality
        Size and frame rate.
    out
        The folder for what is made.
    quiet, verbose
        Say nothing but errors; say more.
    beat
        The only one to be filmed of each scene, or "all".
    jobs
        How many processes draw; as many as there are cores if None.
    cluster
        The address of a Dask scheduler whose workers draw instead.
    cache
        The folder for what is kept; the default one if None.
    keep_cache
        Whether anything is kept.
    form
        What films are written as; see :mod:`filmkit.render.formats`.
    joined
        Whether all scenes become one film.
    transparent, background
        Whether the background is left out; its colour instead of the theme's.
    theme, palette
        Names of the looks; see :mod:`filmkit.core.theme_names`.
    captions
        Where captions of films go; one of :data:`filmkit.render.formats.CAPTIONS`.
    """

    scenes: tuple[SceneEntry, ...]
    trace: Path | None
    layer: int | None
    head: int | None
    show_first_token: bool
    quality: Quality
    out: Path
    quiet: bool
    verbose: bool
    beat: str = "all"
    jobs: int | None = None
    cluster: str | None = None
    cache: Path | None = None
    keep_cache: bool = True
    form: str = DEFAULT_FORMAT
    joined: bool = False
    transparent: bool = False
    background: str | None = None
    theme: str = THEMES[0]
    palette: str = PALETTES[0]
    compare: Path | None = None
    captions: str = DEFAULT_CAPTIONS

    @property
    def options(self) -> RenderOptions:
        """How to render."""
        settings = StageSettings(
            self.layer,
            self.head,
            self.show_first_token,
            theme=self.theme,
            palette=self.palette,
            background=self.background,
            transparent=self.transparent,
            compare=self.compare and self.compare.resolve(),
        )
        return RenderOptions(self.quality, settings)

    @property
    def verbosity(self) -> str:
        """Which of Manim's messages to show."""
        return "INFO" if self.verbose else "ERROR"


T = TypeVar("T")


def load_trace(request: RenderRequest) -> Trace:
    """The numbers of an order, once it is sure that its layer and head are among them."""
    path = find_trace(request.trace)
    trace = Trace.load(path)
    if request.trace is None and not request.quiet:
        click.echo(provenance(trace, path), err=True)
    if not request.quiet and lacks_fonts(trace.meta.tokens):
        click.echo(
            "Some words need fonts that are not installed: pip install -e '.[cjk]'",
            err=True,
        )
    for option, chosen, count in (
        ("--layer", request.layer, trace.meta.n_layers),
        ("--head", request.head, trace.meta.n_heads),
    ):
        if chosen is not None and chosen >= count:
            raise click.BadParameter(
                f"{trace.meta.model} has {option[2:]}s 0 to {count - 1}", param_hint=option
            )
    return trace


def each(
    request: RenderRequest, entries: Iterable[SceneEntry], work: Callable[[SceneEntry], T]
) -> dict[SceneEntry, T]:
    """Do the work for every scene; one that fails says so and does not stop the others."""
    done = {}
    for entry in entries:
        try:
            done[entry] = work(entry)
        except click.ClickException:
            raise
        except Exception as error:
            click.echo(f"Error: {entry.slug}: {explain(error, verbose=request.verbose)}", err=True)
    return done


def report_files(request: RenderRequest, paths: Iterable[Path]) -> None:
    """Say which files there are now."""
    if not request.quiet:
        for path in paths:
            click.echo(path)
