"""Documentation pages of the public names, with pictures taken from the scenes themselves.

``python -m docs.draw_reference FOLDER`` runs every scene without filming it. When a class of
mobjects or animations appears for the first time, its picture is taken: a mobject in full
brightness, with the rest of its scene dimmed; an animation near its beginning, at its middle and
near its end. The pages are written for Sphinx, which adds the docstrings (``make docs``).
"""

from __future__ import annotations

import gc
import inspect
import pkgutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import numpy as np
from manim import Animation, Mobject
from PIL import Image

import filmkit
import filmkit.mobjects
from extract.support.files import write_text
from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.movie import Pixels
from filmkit.render.quality import quality_of
from filmkit.render.runner import manim_config, write_png
from filmkit.render.traces import SHIPPED
from scenes.registry import SCENES

__all__ = ["ReferencePictures", "add_scene", "documented_objects", "write_pages"]

DIMMED = 0.25  # brightness of the rest of the scene, where 1 is its own
MIN_SHARE = 0.3  # least share of a mobject's parts that a picture must show
MIN_GAIN = 0.1  # least additional share for which a picture is taken again
MOMENTS = (0.1, 0.5, 0.9)  # when an animation is pictured; 0 is its beginning, 1 its end


def documented_objects() -> list[Any]:
    """Return the public names of filmkit and all other mobjects and animations, each once."""
    found = [getattr(filmkit, name) for name in dir(filmkit)]
    modules = [module.name for module in pkgutil.iter_modules(filmkit.mobjects.__path__)]
    for name in ("filmkit.core.animations", *(f"filmkit.mobjects.{name}" for name in modules)):
        module = import_module(name)
        members = [getattr(module, member) for member in module.__all__]
        found += [member for member in members if _is_drawn(member)]
    return list(dict.fromkeys(found))


def _is_drawn(item: object) -> bool:
    return inspect.isclass(item) and issubclass(item, (Mobject, Animation))


@dataclass
class ReferencePictures:
    """Pictures of classes.

    Attributes
    ----------
    incomplete
        Classes without a picture of all their parts so far.
    taken
        Picture of each class, (height, width, 3).
    seen_in
        Scene and beat of each picture, as text.
    shares
        Share of the parts that each picture shows: 1 if it shows them all.
    """

    incomplete: set[type]
    taken: dict[type, Pixels] = field(default_factory=dict)
    seen_in: dict[type, str] = field(default_factory=dict)
    shares: dict[type, float] = field(default_factory=dict)

    def add(self, kind: type, picture: Pixels, where: str, share: float = 1.0) -> None:
        """Store a picture of a class; with a share of 1 the class is complete."""
        if share == 1:
            self.incomplete.discard(kind)
        self.taken[kind], self.seen_in[kind], self.shares[kind] = picture, where, share


def add_scene(pictures: ReferencePictures, entry: SceneEntry, trace: Trace) -> None:
    """Run a scene and add pictures of the classes that it shows."""
    scene: Any = entry.load()

    def update_to_time(self: Any, t: float) -> None:
        animations = [a for a in _flat(self.animations) if type(a) in pictures.incomplete]
        if animations:
            strip = []
            for moment in MOMENTS:
                super(recorder, self).update_to_time(moment * self.duration)
                strip.append(self.snapshot()[..., :3])
            for animation in animations:
                pictures.add(type(animation), np.hstack(strip), _where(self, entry))
        super(recorder, self).update_to_time(t)

    def play(self: Any, *animations: Any, **kwargs: Any) -> None:
        super(recorder, self).play(*animations, **kwargs)
        for mobject, share in _visible_mobjects(self, pictures):
            picture = _picture_of(self, mobject)
            pictures.add(type(mobject), picture, _where(self, entry), share)

    recorder: Any = type(scene.__name__, (scene,), {"update_to_time": update_to_time, "play": play})
    recorder(trace).render()


def _flat(animations: Sequence[Animation] | None) -> Iterator[Animation]:
    for animation in animations or ():
        yield animation
        yield from _flat(getattr(animation, "animations", ()))


def _where(stage: Stage, entry: SceneEntry) -> str:
    names = stage.beat_names(stage.trace, questions=stage.settings.questions)
    return f"{entry.slug}, beat {names[len(stage.beats)]}"


def _visible_mobjects(stage: Stage, pictures: ReferencePictures) -> list[tuple[Mobject, float]]:
    """Return mobjects of which clearly more is visible than ever before, with that share."""
    visible = {id(part) for part in stage.visible_parts() if presence(part) == 1}
    best: dict[type, tuple[Mobject, float]] = {}
    # All objects in memory are searched: a group is not always on the stage, only its parts are.
    for mobject in gc.get_objects():
        kind = type(mobject)
        if kind not in pictures.incomplete or not issubclass(kind, Mobject):
            continue
        parts = _parts(mobject)
        if not parts:
            continue
        share = sum(id(part) in visible for part in parts) / len(parts)
        before = best[kind][1] if kind in best else pictures.shares.get(kind, 0.0)
        if share > MIN_SHARE and (share == 1 or share > before + MIN_GAIN):
            best[kind] = mobject, share
    return list(best.values())


def _parts(mobject: Mobject) -> list[Mobject]:
    """Return what a mobject draws.

    Some mobjects hold their parts as attributes only, and the scene adds these one by one.
    """
    if parts := mobject.family_members_with_points():
        return list(parts)
    attributes = [value for value in vars(mobject).values() if isinstance(value, Mobject)]
    return [part for value in attributes for part in value.family_members_with_points()]


def _picture_of(stage: Stage, mobject: Mobject) -> Pixels:
    """Return a picture of the stage, (height, width, 3), dimmed but for the mobject."""
    camera = stage.camera
    background = camera.background[..., :3].astype(float)
    faint = background + (stage.snapshot()[..., :3] - background) * DIMMED
    camera.pixel_array[..., :3] = np.rint(faint).astype(np.uint8)
    camera.draw_parts(camera.drawing_order(_parts(mobject)))
    return np.array(camera.pixel_array[..., :3])


PAGE = """\
{title}
{line}

.. currentmodule:: {module}

{image}.. auto{kind}:: {name}
"""
# What a page of a class has besides, and that of the stage: it is the stage without mosaics, too.
MEMBERS = "   :members:\n   :show-inheritance:\n"
INHERITED = "   :inherited-members: Scene\n"
IMAGE = """\
.. figure:: {name}.png
   :alt: {alt}

   {where}

"""
INDEX = """\
Reference
=========

First the public names of ``filmkit``, then other mobjects and animations. Most of what is drawn has
a picture, taken where it first appears in the scenes.

.. toctree::
   :maxdepth: 1

{names}
"""


def write_pages(pictures: ReferencePictures, items: Sequence[Any], folder: Path) -> None:
    """Write a page for each public name, with its picture if there is one, and a list of them.

    Parameters
    ----------
    pictures
        The pictures.
    items
        Classes and functions, in the order of their pages.
    folder
        The folder to write to.
    """
    for item in items:
        name, image = item.__name__, ""
        if item in pictures.taken:
            write_png(Image.fromarray(pictures.taken[item]), folder / f"{name}.png")
            what = "three moments of" if issubclass(item, Animation) else "an example of"
            where = pictures.seen_in[item]
            image = IMAGE.format(name=name, alt=f"{what} {name}", where=f"From {where}.")
        page = PAGE.format(
            title=name,
            line="=" * len(name),
            kind="class" if inspect.isclass(item) else "function",
            module=item.__module__,
            name=name,
            image=image,
        )
        if inspect.isclass(item):
            page += MEMBERS + INHERITED * issubclass(item, Stage)
        write_text(folder / f"{name}.rst", page)
    names = "\n".join(f"   {item.__name__}" for item in items)
    write_text(folder / "index.rst", INDEX.format(names=names))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def main(folder: Path) -> None:
    """Take the pictures, write the pages, and say of what there is no picture."""
    items = documented_objects()
    drawn = {item for item in items if _is_drawn(item)}
    pictures, trace = ReferencePictures(set(drawn)), Trace.load(SHIPPED)
    with manim_config(quality_of("draft")):
        for entry in SCENES:
            add_scene(pictures, entry, trace)
    write_pages(pictures, items, folder)
    missing = ", ".join(sorted(kind.__name__ for kind in drawn - pictures.taken.keys()))
    click.echo(f"{len(pictures.taken)} pictures; no picture of: {missing}")


if __name__ == "__main__":
    main()
