"""Check names from the command line, and name files after what was chosen there."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

import click

from extract.support.printing import echo
from filmkit.core.language import DEFAULT_LANGUAGE
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme_names import THEMES
from filmkit.render.quality import DEFAULT_ASPECT

__all__ = ["choose", "choose_beginning", "named_choices", "now_called", "wanted_beats"]


def choose(name: str, known: Collection[str], kind: str, option: str) -> str:
    """Return a name if it is known, else raise an error that suggests the nearest known name.

    Parameters
    ----------
    name
        The name that the user typed.
    known
        All valid names.
    kind
        What the names stand for, as in "there is no KIND 'x'".
    option
        The command line option or argument that the name was given for.

    Raises
    ------
    click.BadParameter
        When the name is not among the known ones.
    """
    if name in known:
        return name
    nearest = get_close_matches(name, known, n=1, cutoff=0.4)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are {', '.join(known)}"
    raise click.BadParameter(f"there is no {kind} '{name}'; {hint}", param_hint=option)


def choose_beginning(name: str, known: Collection[str], kind: str, option: str) -> str:
    """Return the known name that begins with what was typed; an exact match comes first.

    Parameters
    ----------
    name
        What the user typed: a name, or the beginning of one.
    known, kind, option
        As for :func:`choose`.

    Raises
    ------
    click.BadParameter
        When no name begins so, or several do.
    """
    matches = [full for full in known if full.startswith(name)]
    if name in known or not matches or not name:
        return choose(name, known, kind, option)
    if len(matches) > 1:
        raise click.BadParameter(
            f"'{name}' begins more than one {kind}; choose {' or '.join(matches)}",
            param_hint=option,
        )
    return matches[0]


def now_called(beat: str, scenes: Collection[SceneEntry], option: str) -> str:
    """Return the name that a beat has now; if it had another one before, a line says so.

    Parameters
    ----------
    beat
        What the user typed.
    scenes
        The scenes in which it is looked for.
    option
        As for :func:`choose`.

    Raises
    ------
    click.BadParameter
        When it belongs to another scene now.
    """
    for entry in scenes:
        if beat not in entry.former_beats:
            continue
        scene, name = entry.former_beats[beat].split("/")
        if scene not in {each.slug for each in scenes}:
            raise click.BadParameter(
                f"{entry.slug} has no beat {beat} any more: {scene} shows it now, as {name}",
                param_hint=option,
            )
        echo(f"{beat}: {scene} shows it now, as {name}", err=True)
        return name
    return beat


def wanted_beats(
    entry: SceneEntry, names: Collection[str], beat: str, option: str
) -> Collection[str]:
    """Return the names of all beats of a scene, or the one that was asked for.

    Parameters
    ----------
    entry
        The scene.
    names
        Names of its beats.
    beat
        Name of a beat, the beginning of one, or a name that it once had; or "all".
    option
        The command line option that the name was given for.

    Raises
    ------
    click.BadParameter
        When the scene has no such beat, or several beats begin so.
    """
    if beat == "all":
        return names
    name = now_called(beat, [entry], option)
    return (choose_beginning(name, names, f"beat of {entry.slug}", option),)


def named_choices(theme: str, aspect: str, language: str) -> list[str]:
    """Return what the names of files say of a theme, an aspect ratio and a language.

    What is so by default is not named, so that no choice replaces the files of another.

    Examples
    --------
    >>> named_choices("light", "9:16", "en")
    ['light', '9x16']
    """
    chosen = ((theme, THEMES[0]), (aspect, DEFAULT_ASPECT), (language, DEFAULT_LANGUAGE))
    return [value.replace(":", "x") for value, default in chosen if value != default]
