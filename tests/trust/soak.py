"""Try at random, for some minutes, what others may do to the program.

    python -m tests.trust.soak --minutes 10 --seed 1

Traces and caches are damaged, the program is called wrongly, prompts have awkward words, and scenes
of users mistakes. Each trial is *answered well* if nothing wrong is used or delivered, what is
refused is refused in one line with the exit code 1 or 2, and nothing is left behind. At the end it
prints for each group how many trials were tried, answered well and not, and exits with 1 if any was
not. Trials depend on the seed alone.
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import click
import numpy as np

from extract.support.temporary import temporary_folder
from extract.trace import Trace, TraceError
from filmkit.render.jobs import make_films
from tests.support.calling import SCENE, call
from tests.support.checkout import SHIPPED
from tests.support.damages import TraceFile, damaged_metadata, damaged_tensors
from tests.support.filming import render_request
from tests.support.stand_in import SHAPES
from tests.support.traces import make_trace
from tests.trust.test_words import AWKWARD

__all__ = ["GROUPS", "Tally", "soak"]

Random = np.random.Generator
Trial = tuple[str, str]
"""What was tried, and what was wrong with the answer; "" if it was answered well."""

LEAST = 3  # trials of each group, however long they take
LONGEST_LINE = 600  # characters of an error line

KINDS: tuple[dict[str, Any], ...] = (
    {"positions": "rotary"},
    {"mla": True, "positions": "rotary", "d_head": 16},
    {"n_kv_heads": 1, "positions": "alibi", "weights_of": (0,)},
)
"""Made-up traces that are damaged, besides the one that comes with the project."""


@dataclass
class Tally:
    """How the trials of a group were answered.

    Attributes
    ----------
    tried
        Number of trials.
    wrong
        What was tried and what was wrong, of those that were not answered well.
    """

    tried: int = 0
    wrong: list[Trial] = field(default_factory=list)


def is_one_line(text: str) -> bool:
    """Return whether an error message is one line that a terminal only prints."""
    return len(text) <= LONGEST_LINE and text.isprintable()


# Traces


def traces(random: Random, folder: Path) -> Iterator[Trial]:
    """Damage tensors, metadata and bytes of trace files, and load them.

    Half of the damaged tensors and metadata get a seal that fits, as from a program that computes
    wrong numbers: what nothing can prove is then read, and all else refused.
    """
    file = folder / "damaged.safetensors"
    sources = [SHIPPED, *(folder / f"{number}.safetensors" for number in range(len(KINDS)))]
    for path, kind in zip(sources[1:], KINDS, strict=True):
        make_trace(**kind, seed=int(random.integers(100))).save(path)
    while True:
        source = sources[int(random.integers(len(sources)))]
        content, parts = source.read_bytes(), TraceFile.read(source)
        damages = damaged_tensors(parts, random), damaged_metadata(parts, random)
        for _ in range(20):
            part, fits = int(random.integers(4)), bool(random.integers(2))
            if part < len(damages):
                name, damaged = next(damages[part])
                (damaged.write_sealed if fits else damaged.write)(file)
            else:
                fits = False
                name, changed = _damaged_bytes(content, random)
                file.write_bytes(changed)
            name = f"{source.name}: {name}{', sealed' * fits}"
            try:
                Trace.load(file)
            except TraceError as error:
                yield name, "" if is_one_line(str(error)) else f"says {error}"
            except Exception as error:
                yield name, f"{type(error).__name__}: {error}"
            else:
                yield name, "" if fits else "was read as if it were whole"


def _damaged_bytes(content: bytes, random: Random) -> tuple[str, bytes]:
    """Flip, clear, cut or remove bytes of a file."""
    damaged = bytearray(content)
    while True:
        place = int(random.integers(len(content)))
        match int(random.integers(6)):
            case 0 | 1 | 2:
                what = f"a bit flipped at {place}"
                damaged[place] ^= 1 << int(random.integers(8))
            case 3:
                what = f"4 KiB cleared at {place}"
                damaged[place : place + 4096] = bytes(len(damaged[place : place + 4096]))
            case 4:
                what = f"cut at {place}"
                del damaged[place:]
            case _:
                what = f"5 bytes removed at {place}"
                del damaged[place : place + 5]
        # What was cleared may have been empty before.
        if damaged != content:
            return what, bytes(damaged)


def _places(folder: Path) -> Iterator[Path]:
    """Yield new folders in a folder, without end."""
    for number in count():
        (place := folder / str(number)).mkdir()
        yield place


# The cache


def caches(random: Random, folder: Path) -> Iterator[Trial]:
    """Damage files of a cache, and make a film with it."""
    trace_file, cache = folder / "trace.safetensors", folder / "cache"
    make_trace().save(trace_file)
    request = render_request((SHAPES,), trace_file, folder / "out", cache=cache)
    film = folder / "out" / "scene_shapes.mp4"
    assert make_films(request)
    expected = film.read_bytes()
    while True:
        files = sorted(path for path in cache.rglob("*.*") if path.is_file())
        path = files[random.integers(len(files))]
        name = ""
        if random.random() < 0.2:
            other = files[random.integers(len(files))]
            first, second = path.read_bytes(), other.read_bytes()
            path.write_bytes(second)
            other.write_bytes(first)
            name = "exchanged with another"
        elif content := path.read_bytes():
            name, changed = _damaged_bytes(content, random)
            path.write_bytes(changed)
        else:
            path.unlink()
            name = "removed"
        if random.random() < 0.3:
            for segment in cache.rglob("*.mp4"):
                segment.unlink()
        film.unlink(missing_ok=True)
        kind = path.name.partition(".")[2]
        try:
            made = make_films(request)
        except Exception as error:
            yield f"cache: {kind} {name}", f"{type(error).__name__}: {error}"
            continue
        wrong = ""
        if not made:
            wrong = "no film was made"
        elif film.read_bytes() != expected:
            wrong = "the film is another"
        yield f"cache: {kind} {name}", wrong


# Command lines

VALUES = (
    "",
    "all",
    "none",
    "0",
    "-1",
    "nan",
    "1e400",
    "mine.py",
    "mine.py:Other",
    "scene_mlb",
    "missing/x",
    "/dev/full",
    ".",
    "\x1b[31mred",
    "a\nb",
    "é" * 300,
    "x" * 5000,
    "tcp://127.0.0.1:1",
    "javascript:alert(1)",
    "#12345g",
)
OPTIONS = (
    "--still",
    "--beat",
    "--quality",
    "--aspect",
    "--format",
    "--captions",
    "--fps",
    "--theme",
    "--background",
    "--trace",
    "--layer",
    "--head",
    "--compare",
    "--out",
    "--jobs",
    "--cluster",
    "--cache",
    "--for",
    "--code",
    "--title",
)
FLAGS = ("--list", "--json", "--preview", "--transparent", "--quiet", "--verbose", "--no-cache")
COMMANDS = (
    "",
    "",
    "",
    "deck",
    "script",
    "new",
    "cache",
    "doctor",
)


def command_lines(random: Random, folder: Path) -> Iterator[Trial]:
    """Call render.py with arguments put together at random, in a folder with a scene."""
    for place in _places(folder):
        (place / "mine.py").write_text(SCENE, encoding="utf-8")
        words = [str(random.choice(COMMANDS))]
        words += [str(random.choice(("mine.py", "mine.py", *VALUES)))] * int(random.random() < 0.8)
        for _ in range(random.integers(4)):
            if random.random() < 0.3:
                words.append(str(random.choice(FLAGS)))
            else:
                words += [str(random.choice(OPTIONS)), str(random.choice(VALUES))]
        if words[0] == "new":
            words.append("no scene")  # a good name would write into this checkout
        words = [word for i, word in enumerate(words) if word or i]
        yield f"render.py {words}", _wrong_answer(words, place)


def _wrong_answer(words: list[str], folder: Path, expected: Sequence[int] = (0, 1, 2)) -> str:
    """Call the program, and return what is wrong with its answer."""
    try:
        done = call(*words, folder=folder)
    except subprocess.TimeoutExpired:
        return "it hangs"
    if done.returncode not in expected or "mistake in the program" in done.stderr:
        return f"exit code {done.returncode}: {done.stderr[-300:]}"
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    if "Traceback" in done.stderr and "--verbose" not in words:
        return f"a traceback: {done.stderr[-300:]}"
    # Without any argument a command prints its help.
    if done.returncode and not errors and not done.stderr.startswith("Usage: "):
        return f"no error line: {done.stderr[-300:]!r}"
    if not all(map(is_one_line, errors)) or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", done.stderr):
        return f"not one plain line: {done.stderr[-300:]!r}"
    if left := [*folder.rglob("*.part"), *folder.rglob(".attention-film-*")]:
        return f"left {left[0].name}"
    return ""


# Words of a prompt

# What can be made of any trace, without the time of a film.
OF_WORDS = (
    "scene_attention --still a_query_meets_a_key",
    "scene_kv_cache --still all",
    "deck scene_question --for pdf",
    "script scene_attention",
    "worksheet scene_attention",
    "explore",
    "scene_question --preview --quality draft",
)


def words(random: Random, folder: Path) -> Iterator[Trial]:
    """Make outputs of prompts of awkward words."""
    for place in _places(folder):
        prompt = [str(word) for word in random.choice(AWKWARD, 6)]
        make_trace(n_tokens=5, words=prompt, n_generated=1).save(place / "trace.safetensors")
        made = str(random.choice(OF_WORDS))
        done = [*made.split(), "--trace", "trace.safetensors", "--quiet"]
        yield f"{made} of {prompt}", _wrong_answer(done, place, expected=(0,))


# Scenes of users

MISTAKES = (
    "1 / 0",
    "self.nothing",
    "import nothing_there",
    "raise SystemExit(0)",
    "os._exit(0)",
    "ctypes.string_at(0)",
    "os.chdir('/')",
    "threading.Thread(target=lambda: 1 / 0).start()",
    "self.add(1)",
    "self.play(5)",
    "self.wait('a')",
    "self.wait(float('nan'))",
    "self.hold(-1)",
    "self.play(Appear(Label('a')), run_time=float('inf'))",
    "self.play(Appear(Label('a')), run_time=-1)",
    "self.add(Label(3))",
    "self.add(Label('\\0'))",
    "self.add(self.headline_of('a', '<nothing>b</nothing>'))",
    "self.wait_for('nothing')",
    "self.show(5)",
    "self.move_camera(5)",
    "self.facts = None",
    "self.trace = None",
    "self.add(Square().shift([float('nan'), 0, 0]))",
    "self.play(Square().animate.nothing())",
)
OF_SCENES = "--still all", "--list", "--quality draft"


def scenes(random: Random, folder: Path) -> Iterator[Trial]:
    """Run scenes of users with mistakes, which are theirs: each is said with its file."""
    for place in _places(folder):
        mistake, made = str(random.choice(MISTAKES)), str(random.choice(OF_SCENES))
        begins = "import ctypes, os, threading\n\nfrom filmkit import Appear, Label\n"
        where = random.choice(("self.add(Square())", "self.wait(0.2)"))
        code = SCENE.replace(where, f"{where}\n        {mistake}")
        (place / "mine.py").write_text(begins + code, encoding="utf-8")
        wrong = _wrong_answer(["mine.py", *made.split(), "--quiet"], place, expected=(0, 1))
        yield f"{made}: {mistake}", wrong


GROUPS: dict[str, Callable[[Random, Path], Iterator[Trial]]] = {
    "traces": traces,
    "caches": caches,
    "command lines": command_lines,
    "words": words,
    "scenes": scenes,
}
"""Each group yields trials without end."""

SHARES = {"traces": 0.15, "caches": 0.2, "command lines": 0.3, "words": 0.15, "scenes": 0.2}
"""How much of the time each group gets."""


def soak(seconds: float, seed: int) -> dict[str, Tally]:
    """Run trials of all groups for a time, and at least a few of each.

    Parameters
    ----------
    seconds
        How long.
    seed
        Of the random numbers.

    Returns
    -------
    dict
        How the trials of each group were answered.
    """
    tallies = {}
    for group, trials in GROUPS.items():
        tally = tallies[group] = Tally()
        end = time.monotonic() + SHARES[group] * seconds
        with temporary_folder() as folder:
            for name, wrong in trials(np.random.default_rng(seed), folder):
                tally.tried += 1
                if wrong:
                    tally.wrong.append((name, wrong))
                if tally.tried >= LEAST and time.monotonic() > end:
                    break
    return tallies


@click.command()
@click.option("--minutes", default=10.0, show_default=True, help="How long to go on.")
@click.option("--seed", default=0, show_default=True, help="Of the random numbers.")
def main(minutes: float, seed: int) -> None:
    """Try at random, for some minutes, what others may do to the program."""
    tallies = soak(60 * minutes, seed)
    for group, tally in tallies.items():
        for name, wrong in tally.wrong:
            click.echo(f"{name}: {wrong}")
        well = tally.tried - len(tally.wrong)
        click.echo(f"{group}: tried {tally.tried}, answered well {well}, not {len(tally.wrong)}")
    sys.exit(any(tally.wrong for tally in tallies.values()))


if __name__ == "__main__":
    main()
