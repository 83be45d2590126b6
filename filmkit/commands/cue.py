"""The command ``render.py cue``: note when each beat of a scene is said in a recording of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import cloup
from cloup.constraints import mutually_exclusive

from extract.support.files import atomic_write
from extract.support.printing import echo
from filmkit.commands.options import (
    CONTEXT_SETTINGS,
    PRINTING,
    WHAT_TO_SHOW,
    run,
    scenes_named,
)

if TYPE_CHECKING:
    from filmkit.render.request import RenderRequest

__all__ = ["cue"]


@cloup.command(no_args_is_help=True, context_settings=CONTEXT_SETTINGS)
@cloup.argument("scene")
@cloup.argument("recording", type=click.Path(path_type=Path, dir_okay=False))
@cloup.option_group(
    "What to write",
    cloup.option(
        "--record",
        "from_microphone",
        is_flag=True,
        help="Make the recording, a WAV file, with the microphone while you press Enter.",
    ),
    cloup.option(
        "--propose",
        is_flag=True,
        help="Find the pauses of the recording and propose cues from them, without asking.",
    ),
    cloup.option(
        "--out",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="Cue sheet to write.  [default: beside the recording, take.cues.json for take.wav]",
    ),
    cloup.option(
        "--force", is_flag=True, help="Replace a cue sheet, and a recording, that already exist."
    ),
)
@WHAT_TO_SHOW
@cloup.option_group("How to make it", PRINTING)
@cloup.constraint(mutually_exclusive, ["from_microphone", "propose"])
def cue(
    *,
    scene: str,
    recording: Path,
    from_microphone: bool,
    propose: bool,
    out: Path | None,
    force: bool,
    **options: Any,
) -> None:
    """Note when each beat, and each word at which something happens, begins in a recording.

    The recording is played, if there is a program that can play it, or made with --record. Each
    sentence is shown: press Enter when it begins, and again at its marked words. The result, a cue
    sheet, lies beside the recording, where --voice RECORDING finds it.
    """
    from filmkit.voice.cues import sheet_beside
    from filmkit.voice.recordings import recording_at

    try:
        recording_at(recording)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    target = out or sheet_beside(recording)
    if from_microphone and recording.suffix.lower() != ".wav":
        raise click.UsageError(f"--record writes a WAV file: name one instead of {recording}")
    if not (from_microphone or recording.exists()):
        raise click.UsageError(f"there is no file {recording}; --record makes one")
    for file in (target, recording) if from_microphone else (target,):
        if file.exists() and not force:
            raise click.UsageError(f"{file} already exists; --force replaces it")
    (entry,) = scenes_named([scene])

    def action(request: RenderRequest) -> bool:
        from filmkit.render.listing import rehearsals_of
        from filmkit.voice.cueing import cue_by_ear, fitted_to_recording, record
        from filmkit.voice.cues import CueSheet, to_json
        from filmkit.voice.cues import propose as proposed
        from filmkit.voice.sounds import read_sound, write_wav

        samples = None if from_microphone else read_sound(recording)
        rehearsals = rehearsals_of(request)
        if not rehearsals:
            return False
        beats = [record for record in rehearsals[entry].beats if record.narration]
        # Opened first, so that no keys are pressed in vain if it cannot be written.
        with atomic_write(target) as part:
            if samples is None:
                pressed, said = record(beats)
                with atomic_write(recording) as take:
                    write_wav(take, said)
                # What is wrong with it is known now; it stays, to be cued or heard.
                cues = fitted_to_recording(pressed, read_sound(recording))
            else:
                cues = proposed(samples, beats) if propose else cue_by_ear(beats, samples)
            sheet = CueSheet(entry.slug, recording.name, cues)
            part.write_text(to_json(sheet), encoding="utf-8")
        if not request.quiet:
            for each in cues:
                marks = "".join(f"  [{name}] {time:.2f}" for name, time in each.marks.items())
                echo(f"{each.start:8.2f} s  {each.name}{marks}")
            echo(target)
        return True

    run(action, scenes=(entry,), **options)
