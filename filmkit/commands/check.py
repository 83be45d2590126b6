"""The command ``render.py check``: measure scenes as pictures, without a test."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import cloup

from extract.support.plain_text import escaped_json
from extract.support.printing import echo
from filmkit.commands.options import (
    ALL_SCENES,
    ASPECT,
    CONTEXT_SETTINGS,
    PRINTING,
    VOICE,
    WHAT_TO_SHOW,
    require_scenes,
    run,
    scenes_named,
)
from filmkit.render.quality import DEFAULT_QUALITY

if TYPE_CHECKING:
    from filmkit.core.scene_entry import SceneEntry
    from filmkit.render.request import RenderRequest
    from filmkit.tools.checks import SceneReport

__all__ = ["check"]

MEASURES = ("still_share", "still_seconds", "idle_seconds", "texts", "most_texts", "fill")
"""What is measured of whole scenes: names of properties of a `SceneReport`."""


@cloup.command(no_args_is_help=True, context_settings=CONTEXT_SETTINGS)
@cloup.argument("scenes", nargs=-1, metavar="SCENE...")
@cloup.option_group(
    "What to measure",
    ALL_SCENES,
    ASPECT,
    cloup.option("--json", "as_json", is_flag=True, help="Print JSON for other programs."),
)
@WHAT_TO_SHOW
@cloup.option_group("How to run", VOICE, PRINTING)
def check(
    *,
    scenes: tuple[str, ...],
    all_scenes: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure scenes as pictures: what can be read, what moves, how much of the frame is used.

    For each beat it prints how long it is, how fast its captions must be read (at most 17
    letters a second), how long its picture stands still, how long nothing new is seen, how many
    headlines it has, how many pieces of text are in its last picture (the words of an axis are
    one), and how much of the frame that fills. Below are the faults of that picture: texts that
    overlap, lie across a panel, leave the frame, are too small or too faint. The exit code is 1
    if there is a fault. What has too little room is named too: cells smaller than 3.6 pixels and
    text smaller than 36 in a frame 1080 pixels high, and words that were left out.
    """
    require_scenes(scenes, all_scenes=all_scenes)

    def action(request: RenderRequest) -> bool:
        from filmkit.render.progress import make_meter
        from filmkit.render.request import for_each_scene, load_trace
        from filmkit.render.voices import timed
        from filmkit.tools.checks import SceneReport, check_scene

        trace, size = load_trace(request), request.quality
        spoken = timed(request)
        asked = spoken.settings.questions
        beats = for_each_scene(
            request,
            spoken.scenes,
            lambda entry: entry.load().beat_names(trace, questions=asked),
        )
        with make_meter(sum(map(len, beats.values())), quiet=request.quiet) as meter:

            def report_of(entry: SceneEntry) -> SceneReport:
                meter.describe(entry.slug)
                return check_scene(
                    entry.slug,
                    entry.load(),
                    trace,
                    spoken.settings,
                    width=size.width,
                    height=size.height,
                    speech=spoken.speech_of(entry),
                    measured=lambda: meter.advance(1),
                )

            reports = for_each_scene(request, beats, report_of)
        if as_json:
            document = [_record(report) for report in reports.values()]
            echo(escaped_json(json.dumps(document, indent=2, ensure_ascii=False)))
        else:
            for report in reports.values():
                echo(_table(report))
            if len(reports) > 1:
                measured = tuple(beat for report in reports.values() for beat in report.beats)
                echo(_summary(SceneReport("all scenes", measured)))
        faultless = not any(report.faults for report in reports.values())
        return faultless and len(reports) == len(request.scenes)

    named, size = scenes_named(scenes), DEFAULT_QUALITY
    run(
        action,
        scenes=named,
        all_scenes=all_scenes,
        runs_scenes=True,
        quality=size,
        **options,
    )


def _record(report: SceneReport) -> dict[str, Any]:
    """Return a report for JSON, with three digits after the point of every number."""
    whole = {name: getattr(report, name) for name in MEASURES}
    document = json.dumps(asdict(report) | whole)
    record: dict[str, Any] = json.loads(document, parse_float=lambda n: round(float(n), 3))
    return record


def _summary(report: SceneReport) -> str:
    """Return the measures of a whole scene, or of several, as one line of text."""
    return (
        f"{report.scene}: still {report.still_share:.0%} of the time, at most "
        f"{report.still_seconds:.1f} s; nothing new for {report.idle_seconds:.1f} s at most; "
        f"{report.texts:g} pieces of text (median; at most {report.most_texts}); fills "
        f"{report.fill:.0%} of the frame (median)"
    )


def _table(report: SceneReport) -> str:
    """Return a report as lines of text."""
    width = max(len(beat.name) for beat in report.beats)
    lines = [
        _summary(report),
        f"  {'':{width}}  length  letters/s  still   same  headlines  texts  fill",
    ]
    for beat in report.beats:
        lines.append(
            f"  {beat.name:{width}}  {beat.seconds:4.1f} s  {beat.letters_a_second:9.1f}"
            f"  {beat.still_seconds:3.1f} s  {beat.idle_seconds:3.1f} s  {beat.headlines:9}"
            f"  {beat.texts:5}  {beat.fill:4.0%}"
        )
        lines += [f"    {line}" for line in (*beat.faults, *beat.small)]
    return "\n".join(lines)
