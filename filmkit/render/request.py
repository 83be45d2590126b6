"""What the command line asks for, as plain data. Does not import Manim, so it loads fast."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from extract.support.assets import installing
from extract.support.docstrings import fault_of_python
from extract.support.printing import echo
from extract.trace import Trace
from filmkit.core.beat_records import Speech
from filmkit.core.fonts import lacks_fonts, without_own_font
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage_settings import StageSettings
from filmkit.core.token_text import printable
from filmkit.render.choice import named_choices
from filmkit.render.digests import file_hash, project_digest
from filmkit.render.errors import PoolError, explain
from filmkit.render.formats import DEFAULT_CAPTIONS, DEFAULT_FORMAT, DEFAULT_STILL
from filmkit.render.processes import core_count
from filmkit.render.quality import DEFAULT_QUALITY, QUALITIES, Quality
from filmkit.render.traces import find_trace, provenance
from filmkit.voice.clips import Voice

if TYPE_CHECKING:
    from filmkit.core.stage import Stage

__all__ = [
    "RenderRequest",
    "SceneSpeech",
    "for_each_scene",
    "load_trace",
    "report_files",
    "report_unknown",
    "require_layer_and_head",
]


MOST_CODES = 8  # of letters that no font has, in a message

SceneSpeech = Mapping[str, Mapping[str, Speech]]
"""What a voice says, by the name of the scene and that of the beat."""


@dataclass(frozen=True)
class RenderRequest:
    """What to render and how, as asked for on the command line.

    Attributes
    ----------
    scenes
        The scenes, in the order in which to render them.
    trace
        A trace file; None for the default trace.
    settings
        What the scenes see of the request: layer, head, theme and other choices of the viewer.
    quality
        Size and frame rate.
    out
        The folder for output files.
    quiet
        Whether to print nothing but errors.
    verbose
        Whether to print Manim's messages and tracebacks; None where there is no way to ask for
        them.
    beat
        Name of the only beat to film or the beginning of it, or "all".
    jobs
        Number of processes; None for the number of cores.
    cluster
        Address of a Dask scheduler whose workers render instead of local processes.
    cache
        The cache folder; None for the default folder.
    keep_cache
        False: use a temporary cache, which is removed in the end.
    file_format
        File format of films; one of :data:`filmkit.render.formats.FILMS`.
    still_format
        File format of single pictures; one of :data:`filmkit.render.formats.STILLS`.
    joined
        Whether to make one film of all scenes.
    selection
        The beats that it shows of each scene; all beats if empty.
    master
        Whether films have the quality of a master.
    captions
        How films get captions; one of :data:`filmkit.render.formats.CAPTIONS`.
    voice
        Who speaks the narration; None for films without sound.
    speech
        When the voice says what; :func:`filmkit.render.voices.with_voice` finds it out.
    content
        Hash of the trace file when it was read; what it holds now counts if empty.
    code
        Hash of the project then, see :func:`filmkit.render.digests.project_digest`; the same.
    """

    scenes: tuple[SceneEntry, ...] = ()
    trace: Path | None = None
    settings: StageSettings = field(default_factory=StageSettings)
    quality: Quality = QUALITIES[DEFAULT_QUALITY]
    out: Path = Path()
    quiet: bool = False
    verbose: bool | None = False
    beat: str = "all"
    jobs: int | None = None
    cluster: str | None = None
    cache: Path | None = None
    keep_cache: bool = True
    file_format: str = DEFAULT_FORMAT
    still_format: str = DEFAULT_STILL
    joined: bool = False
    selection: Mapping[SceneEntry, Sequence[str]] = field(default_factory=dict)
    master: bool = False
    captions: str = DEFAULT_CAPTIONS
    voice: Voice | None = None
    speech: SceneSpeech = field(default_factory=dict)
    content: str = ""
    code: str = ""

    @classmethod
    def chosen(cls, **choices: Any) -> RenderRequest:
        """Return the request for choices by their names, those for the settings among them."""
        names = choices.keys() & {field.name for field in fields(StageSettings)}
        settings = StageSettings(**{name: choices.pop(name) for name in names})
        request = cls(**choices)
        settings = replace(
            settings,
            compare=settings.compare and settings.compare.resolve(),
            # A film that is written as its last picture has no time to drift.
            calm=settings.calm or request.file_format == "png",
            caption_strip=request.captions == "burn",
        )
        return replace(request, settings=settings)

    @property
    def trace_file(self) -> Path:
        """The trace to draw."""
        return find_trace(self.trace)

    @property
    def trace_files(self) -> list[Path]:
        """The trace, and the one that it is compared with if any."""
        return [self.trace_file, *filter(None, [self.settings.compare])]

    def with_trace(self) -> tuple[RenderRequest, Trace]:
        """Return a request that says what its trace and the project hold now, and this trace.

        One that stays as it is is read and proved once in a process.
        """
        content = file_hash(self.trace_file)
        request = replace(self, trace=self.trace_file, content=content, code=project_digest())
        return request, _loaded(self.trace_file, content)

    @property
    def processes(self) -> int:
        """How many processes may work at a time."""
        return self.jobs or core_count()

    @property
    def verbosity(self) -> str:
        """Manim's log level."""
        return "INFO" if self.verbose else "ERROR"

    def speech_of(self, entry: SceneEntry) -> Mapping[str, Speech]:
        """Return what a voice says during the beats of a scene, by their names."""
        return self.speech.get(entry.slug, {})

    def stage(self, entry: SceneEntry, trace: Trace, **hooks: Any) -> Stage:
        """Return a scene that is ready to run; ``hooks`` are those of :class:`Stage`."""
        return entry.load()(trace, self.settings, speech=self.speech_of(entry), **hooks)

    def beat_names(self, entry: SceneEntry, trace: Trace) -> tuple[str, ...]:
        """Return the names of the beats that a scene plays for a trace, in order."""
        return entry.load().beat_names(trace, questions=self.settings.questions)

    def file_name(self, name: str) -> str:
        """Return what files are called, without a suffix: a name, and what was chosen for them."""
        settings = self.settings
        choices = named_choices(settings.theme, self.quality.aspect, settings.language)
        return ".".join([name, *choices])


T = TypeVar("T")


@lru_cache(maxsize=1)
def _loaded(file: Path, content: str) -> Trace:
    return Trace.load(file)


def load_trace(request: RenderRequest) -> Trace:
    """Load the trace of a request, and check that it has the requested layer and head.

    A second trace, to compare with, is checked even if no scene shows it. Unless the request is
    quiet, print which trace is used by default and what no font has.

    Raises
    ------
    click.UsageError
        When Python runs without docstrings, which are the narration.
    click.BadParameter
        When the model has no such layer or head.
    TraceError
        When one of the traces cannot be read.
    """
    if fault := fault_of_python():
        raise click.UsageError(fault)
    _, trace = request.with_trace()
    if request.settings.compare:
        Trace.load(request.settings.compare)
    if request.trace is None and not request.quiet:
        echo(provenance(trace, request.trace_file), err=True)
    if not request.quiet and lacks_fonts(trace.meta.tokens):
        echo(
            f"Some tokens need fonts that are not installed: {installing('cjk')}",
            err=True,
        )
    elif not request.quiet and (rare := without_own_font(_shown_letters(trace))):
        # Here alone: once Pango has drawn, this process is not forked any more.
        from filmkit.core.text import unknown_letters

        report_unknown(request, unknown_letters("".join(rare)))
    require_layer_and_head(trace, request.settings.layer, request.settings.head)
    return trace


def _shown_letters(trace: Trace) -> set[str]:
    return set("".join(map(printable, trace.meta.tokens)))


def report_unknown(request: RenderRequest, letters: str, told: Trace | None = None) -> None:
    """Say in one line which letters no font has, unless the request is quiet.

    Parameters
    ----------
    request
        Whether to print anything.
    letters
        The letters.
    told
        A trace that was loaded, which has told of its own.
    """
    unknown = sorted(set(letters) - (_shown_letters(told) if told else set()))
    if unknown and not request.quiet:
        codes = ", ".join(f"U+{ord(letter):04X}" for letter in unknown[:MOST_CODES])
        more = f" and {len(unknown) - MOST_CODES} more" if len(unknown) > MOST_CODES else ""
        echo(
            f"No font here has {codes}{more}: what it lacks is drawn as a box with its code; "
            "install a font that has it",
            err=True,
        )


def require_layer_and_head(trace: Trace, layer: int | None, head: int | None) -> None:
    """Check that a model has the layer and the head that are asked for, if any.

    Raises
    ------
    click.BadParameter
        When it has not.
    """
    for option, index, count in (
        ("--layer", layer, trace.meta.n_layers),
        ("--head", head, trace.meta.n_heads),
    ):
        if index is not None and not 0 <= index < count:
            raise click.BadParameter(
                f"{trace.meta.model} has {option[2:]}s 0 to {count - 1}", param_hint=option
            )


def _print_error(entry: SceneEntry, text: str) -> None:
    echo(f"Error: {entry.slug}: {text}", err=True)


def for_each_scene(
    request: RenderRequest,
    entries: Iterable[SceneEntry],
    function: Callable[[SceneEntry], T],
    report: Callable[[SceneEntry, str], None] = _print_error,
) -> dict[SceneEntry, T]:
    """Call a function for each scene; report the error of one that fails, and do the others.

    Parameters
    ----------
    request
        Whether to print tracebacks.
    entries
        The scenes.
    function
        Takes a scene.
    report
        Takes a scene that fails, and one line that says why; prints them by default.

    Returns
    -------
    dict
        The result for each scene that did not fail.

    Raises
    ------
    click.ClickException
        When the command line is wrong; this stops at once.
    PoolError
        When nothing more can be rendered; the same.
    """
    results = {}
    for entry in entries:
        try:
            results[entry] = function(entry)
        except (click.ClickException, PoolError):
            raise
        except Exception as error:
            report(entry, explain(error, verbose=request.verbose))
    return results


def report_files(request: RenderRequest, paths: Iterable[Path]) -> None:
    """Print the paths of what was written, and its size, unless the request is quiet."""
    if request.quiet:
        return
    size = 0
    for path in paths:
        echo(path)
        files = path.rglob("*") if path.is_dir() else [path]
        size += sum(file.stat().st_size for file in files if file.is_file())
    if size:
        echo(f"{size / 1e6:.1f} MB", err=True)
