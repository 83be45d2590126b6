"""Measure how fast an edit becomes a picture, films are made and the page turns: ``make bench``.

    python -m tests.speed --runs 3 --only films --against ../before

Nothing here is right or wrong: the numbers are to be read, above all ratios, whose two sides are
measured in turns. Times of frames and of whole programs are those of the processors, and say
something while other programs run too. With ``--against`` films and starts are made by another
checkout of this project as well.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click

from docs.draw_recipes import recipes
from extract.support.temporary import temporary_folder
from filmkit.commands.scene_files import find_scene
from filmkit.render.quality import QUALITIES, Quality
from scenes.registry import SCENES
from tests.speed.drawing import ENCODER, frame_times
from tests.speed.editing import edit_times, turning_rate
from tests.speed.films import film, peers, starts
from tests.speed.ours import HEADS, ManyHeads, Stack
from tests.support.checkout import PROJECT

IN_SPACE = "scene_heads"
FILMS = "scene_attention", IN_SPACE, "scene_mla"  # one of flat pictures, two in space
FULL_HD = QUALITIES["fullhd"]
LARGEST = Quality(3840, 2160, 60)
MEGABYTE = 1e6


def say_edits(runs: int, _against: Path | None) -> None:
    """From an edit to its picture, in the studio and with --watch."""
    for what, found in edit_times(runs).items():
        click.echo(f"{what}: {_range(found)} s")


def say_page(runs: int, _against: Path | None) -> None:
    """How fast the arc of heads on the page to explore turns."""
    click.echo(
        f"the arc of heads: {_range(turning_rate() for _run in range(runs))} frames a second"
    )


def say_frames(_runs: int, _against: Path | None) -> None:
    """What a frame takes, by part; in 4K at 60 frames a second too."""
    full_hd = {slug: frame_times(_scene(slug), FULL_HD) for slug in FILMS}
    for slug, times in full_hd.items():
        _say_parts(slug, times)
    largest = frame_times(_scene(IN_SPACE), LARGEST)
    _say_parts(f"{IN_SPACE} in 4K at 60", largest)
    each = sum(largest.values()) / sum(full_hd[IN_SPACE].values())
    click.echo(f"  {each:.2f} of a full HD frame, {2 * each:.2f} of a second of film")


def say_heads(runs: int, _against: Path | None) -> None:
    """What 128 heads take, as a stand-in for a large model."""
    ratios = []
    for _run in range(runs):
        few, many = (frame_times(scene, FULL_HD) for scene in (Stack, ManyHeads))
        ratios.append(_drawing(many) / _drawing(few))
    _say_parts(f"{ManyHeads.heads} heads of five panels", many)
    more = ManyHeads.heads / HEADS
    click.echo(
        f"  drawing: {_range(ratios)} times that of {HEADS}, with {more:.1f} times the heads"
    )


def say_room(_runs: int, _against: Path | None) -> None:
    """What a frame of the room takes, by part: the recipes of its page."""
    with temporary_folder() as folder:
        for name, code in recipes(PROJECT / "docs" / "room.md").items():
            file = folder / f"{name}.py"
            file.write_text(code, encoding="utf-8")
            times = frame_times(find_scene(str(file)).load(), FULL_HD)
            _say_parts(f"{name}, {_drawing(times):.1f} ms of drawing", times)


def say_films(runs: int, against: Path | None) -> None:
    """What whole films take, against x264 alone, and what is kept of them."""
    for slug in FILMS:
        alone = frame_times(_scene(slug), FULL_HD)[ENCODER]
        for _run in range(runs):
            made = film(PROJECT, slug)
            each = 1000 * made.seconds / made.frames
            click.echo(
                f"{slug}, {made.frames:,} frames: {each:.1f} ms of the processors each, "
                f"{each / alone:.2f} of x264 alone; {made.kept / made.length / MEGABYTE:.2f} MB "
                f"kept and {made.size / made.length / MEGABYTE:.3f} MB of film a second"
            )
            if against is not None:
                before = film(against, slug)
                click.echo(
                    f"  against {against}: {made.seconds / before.seconds:.3f} of its time, "
                    f"{made.size / before.size:.3f} of its size, "
                    f"{made.kept / before.kept:.3f} of what it keeps"
                )


def say_starts(runs: int, against: Path | None) -> None:
    """What it takes to begin: a list, a still, an empty film."""
    for _run in range(runs):
        before = starts(against) if against is not None else {}
        for what, seconds in starts(PROJECT).items():
            ratio = f", {seconds / before[what]:.3f} of before" if before else ""
            click.echo(f"{what}: {seconds:.2f} s of the processors{ratio}")


def say_peers(runs: int, _against: Path | None) -> None:
    """The same pictures in Manim alone."""
    for _run in range(runs):
        ours, stock = peers(PROJECT)
        click.echo(
            f"an empty film: {ours['empty'] / stock['empty']:.2f} of Manim's time\n"
            f"{HEADS} heads of five panels, moving, above an empty scene: "
            f"Manim takes {stock['panels'] / ours['panels']:.1f} times as long"
        )


PARTS: Mapping[str, Callable[[int, Path | None], None]] = {
    "edits": say_edits,
    "page": say_page,
    "frames": say_frames,
    "heads": say_heads,
    "room": say_room,
    "films": say_films,
    "starts": say_starts,
    "peers": say_peers,
}


def _scene(slug: str) -> type:
    return {entry.slug: entry for entry in SCENES}[slug].load()


def _drawing(times: Mapping[str, float]) -> float:
    return sum(milliseconds for part, milliseconds in times.items() if part != ENCODER)


def _say_parts(what: str, times: Mapping[str, float]) -> None:
    click.echo(f"{what}: {sum(times.values()):.1f} ms a frame")
    for part, milliseconds in times.items():
        click.echo(f"  {milliseconds:6.1f}  {part}")


def _range(found: Iterable[float]) -> str:
    numbers = [*found]
    least, most = min(numbers), max(numbers)
    return f"{least:.2f} to {most:.2f}, median {statistics.median(numbers):.2f}"


@click.command(help=(__doc__ or "").splitlines()[0])
@click.option("--runs", default=3, show_default=True, help="How often each thing is measured.")
@click.option(
    "--only", type=click.Choice([*PARTS]), multiple=True, help="What to measure; all by default."
)
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="Folder of another checkout, whose films and starts are measured in turns with these.",
)
def main(runs: int, only: tuple[str, ...], against: Path | None) -> None:
    for part in only or PARTS:
        PARTS[part](runs, against)


if __name__ == "__main__":
    main()
