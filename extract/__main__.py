"""``python -m extract``: trace a model, and ask about traces.

Another sub-command is a `click` command added to `main` at the end of this file.
"""

from __future__ import annotations

import json
import resource
import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from extract.architectures import ARCHITECTURES, architecture
from extract.cache_table import cache_row, cache_table
from extract.calibration import CALIBRATION_TEXT, calibrate
from extract.check import check, has_figures
from extract.errors import ExtractError
from extract.latent import add_latent, require_fit
from extract.latent_table import latent_table
from extract.models import DEFAULT_GENERATED, DEFAULT_MODEL, DEFAULT_PROMPT, PACKAGED, Loaded, load
from extract.trace import Trace, TraceError

__all__ = ["main"]

FOLDER = Path(__file__).resolve().parent.parent / "assets" / "traces"
"""Where traces go unless ``--out`` says otherwise; the films look here for ``gpt2.safetensors``."""


# What a shell reports of a program that was stopped by Ctrl-C.
INTERRUPTED = 130


class OneLineErrors(click.Group):
    """A group that says what is wrong in one line and ends as ``render.py`` does.

    The exit code is 1 for a failed job, 2 for a wrong call and 130 after Ctrl-C.
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
            done = super().main(args, prog_name, complete_var, standalone_mode=False, **extra)
            return sys.exit(done) if standalone_mode else done
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
        """Run the command; ``--verbose`` keeps the traceback."""
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
    help="The text on which a latent is fitted and measured.  [default: this project's own]",
)


@click.group(cls=OneLineErrors, invoke_without_command=True)
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help=f"A name on the hub, a folder, a .gguf file, or {PACKAGED} for the one pip installs.",
)
@click.option("--prompt", default=DEFAULT_PROMPT, show_default=True, help="The text to trace.")
@click.option(
    "--generate",
    type=click.IntRange(min=0),
    default=DEFAULT_GENERATED,
    show_default=True,
    help="How many tokens the model adds, the likeliest one each time.",
)
@click.option(
    "--continue", "continuation", help="Words that follow the prompt instead of generated ones."
)
@click.option(
    "--bos",
    type=click.Choice(["yes", "no"]),
    help="Begin with the beginning-of-sequence token.  [default: as the model's family does]",
)
@click.option(
    "--layer",
    "layers",
    type=click.IntRange(min=0),
    multiple=True,
    help="The featured layer; repeat it to keep the weights of more layers.  [default: chosen]",
)
@click.option("--head", type=click.IntRange(min=0), help="The featured head.  [default: chosen]")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the trace.  [default: MODEL.safetensors in this project's assets/traces]",
)
@click.option(
    "--latent/--no-latent",
    default=True,
    show_default=True,
    help="Fit a latent to the featured layer's keys and values; see the sub-command.",
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
    """Run a model on one prompt and record what its attention computes."""
    if ctx.invoked_subcommand is not None:
        return
    click.echo(f"loading {model}", err=True)
    loaded = load(model)
    from extract.capture import trace_model

    with _Progress() as progress:
        trace = trace_model(
            loaded.model,
            loaded.tokenizer,
            name=loaded.name,
            source=loaded.source,
            bos=None if bos is None else bos == "yes",
            layers=layers,
            report=progress.report,
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
            short = trace.meta.source.name.rsplit("/", 1)[-1].removesuffix(".gguf")
            out = FOLDER / f"{short}.safetensors"
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
    """Return how a trace compares with the published figures, in one line."""
    if agrees:
        return "it agrees with the published figures of this model and prompt"
    return "it DIFFERS from the published figures; see: python -m extract check"


def _with_latent(
    trace: Trace,
    loaded: Loaded,
    layer: int,
    calibration: Path,
    progress: _Progress,
    rank: int | None = None,
) -> Trace:
    """Fit a latent to a layer of the model that was traced."""
    require_fit(trace, layer, rank)
    received = calibrate(trace, loaded.model, loaded.tokenizer, layer, calibration, progress.report)
    progress.report("fitting a latent", 0, 1)
    return add_latent(trace, layer, received, rank)


class _Progress:
    """One bar on stderr that follows an extraction from stage to stage; lines when not a screen."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True))
        self._task = self._bar.add_task("starting", total=1)

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.stop()

    def report(self, what: str, done: int, total: int) -> None:
        """Show how many steps of what are finished."""
        self._bar.update(self._task, description=what, completed=done, total=total)


def _peak_memory() -> int:
    """Return the most memory that this process has held, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux also counts, in what getrusage says, the program that started this one.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def info(file: Path, as_json: bool) -> None:
    """Print what a trace holds; exit code 1 if it is not a good one."""
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
    """Return what a trace holds, as names and values for people."""
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
        ("tokens", _listed(meta.tokens[: meta.n_prompt])),
        ("given" if meta.continued else "generated", _listed(following)),
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


def _listed(tokens: tuple[str, ...]) -> str:
    return " ".join(json.dumps(token, ensure_ascii=False) for token in tokens)


def _errors(self_check: Any) -> str:
    return ", ".join(f"{stage} {error:.0e}" for stage, error in self_check.items())


@main.command("check")
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
def compare(file: Path) -> None:
    """Compare a GPT-2 small trace with published figures; exit code 1 if it differs."""
    outcome = check(Trace.load(file))
    for one in outcome.comparisons:
        click.echo(
            f"{'agrees' if one.agrees else 'DIFFERS':<8} {one.what}: largest difference "
            f"{one.difference:.2g} of {one.compared} figures (limit {one.limit:g})"
        )
    if not outcome.agrees:
        raise ExtractError(f"{file}: it differs from the published figures; extract it again")


@main.command("latent")
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
@click.option("--layer", type=int, help="A layer whose weights are stored.  [default: featured]")
@click.option("--rank", type=int, help="Numbers to cache for each token.  [default: chosen]")
@click.option("--model", help="Where the model is.  [default: where the trace says]")
@_calibration
def fit_latent(
    file: Path, layer: int | None, rank: int | None, model: str | None, calibration: Path
) -> None:
    """Fit a latent to a layer's keys and values, measure it at many ranks, and store one."""
    trace = Trace.load(file)
    layer = trace.meta.featured.layer if layer is None else layer
    require_fit(trace, layer, rank)
    source = trace.meta.source
    if model is None and source.kind not in ("hub", "package"):
        raise ExtractError(f"say with --model where the model of this trace is ({source.name})")
    loaded = load(model or source.name)
    with _Progress() as progress:
        trace = _with_latent(trace, loaded, layer, calibration, progress, rank)
        progress.report("saving", 0, 1)
        trace.save(file)
        progress.report("saving", 1, 1)
    Console().print(latent_table(trace, layer))


@main.command()
@click.option("--arch", metavar="NAME", help="One model only.  [default: all]")
@click.option(
    "--context", type=click.IntRange(min=1), default=1, show_default=True, help="Tokens cached."
)
@click.option(
    "--bits", type=click.IntRange(min=1), default=16, show_default=True, help="Of each number."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def cache(arch: str | None, context: int, bits: int, as_json: bool) -> None:
    """Print what published models' key/value caches take, and would take in other schemes."""
    try:
        architectures = ARCHITECTURES if arch is None else (architecture(arch),)
    except KeyError as error:
        raise click.BadParameter(str(error.args[0]), param_hint="--arch") from error
    rows = [cache_row(one, bits, context) for one in architectures]
    if as_json:
        click.echo(json.dumps([row.as_json() for row in rows], indent=2))
        return
    Console().print(cache_table(rows))


if __name__ == "__main__":
    main(prog_name="python -m extract")
