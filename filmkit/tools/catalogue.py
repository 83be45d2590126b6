"""A picture of each mobject and animation, taken from the scenes themselves, and its page.

``render.py catalogue FOLDER`` runs every scene without filming it. Whenever a mobject or an
animation is seen for the first time, its picture is taken: a mobject at full strength among the
rest of its scene, an animation as it begins, at its middle, and as it ends. The pages are written
for Sphinx, which puts the docstrings in (``make docs``).
"""

from __future__ import annotations

import gc
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from manim import Animation, Mobject
from PIL import Image

import filmkit.mobjects
from extract.files import write_text
from extract.trace import Trace
from filmkit.core.animations import presence
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.stage import Stage
from filmkit.render.movie import Pixels
from filmkit.render.quality import quality_of
from filmkit.render.runner import manim_config, write_png
from filmkit.render.traces import SHIPPED

__all__ = ["MobjectCatalogue", "classes", "fill", "make_catalogue", "write_pages"]

ANIMATIONS = "filmkit.core.animations"
REST = 0.25  # of the light of what is not the mobject itself
MIN_SHARE, CLEARLY_MORE = 0.3, 0.1  # of the parts of a mobject
MOMENTS = (0.1, 0.5, 0.9)  # of an animation


def classes() -> list[type]:
    """Every public mobject and animation, in the order of their modules."""
    modules = [module.name for module in pkgutil.iter_modules(filmkit.mobjects.__path__)]
    found = []
    for name in (*(f"filmkit.mobjects.{module}" for module in modules), ANIMATIONS):
        module = import_module(name)
        members = (getattr(module, member) for member in module.__all__)
        found += [m for m in members if inspect.isclass(m) and issubclass(m, (Mobject, Animation))]
    return found


@dataclass
class MobjectCatalogue:
    """Pictures of classes.

    Attributes
    ----------
    wanted
        The classes that were not seen whole so far.
    pictures
        (height, width, 3) of each class that has been seen.
    seen_in
        Where: scene and beat.
    shares
        How much of it was seen: 1 when every part was there.
    """

    wanted: set[type]
    pictures: dict[type, Pixels] = field(default_factory=dict)
    seen_in: dict[type, str] = field(default_factory=dict)
    shares: dict[type, float] = field(default_factory=dict)

    def add(self, kind: type, picture: Pixels, where: str, share: float = 1.0) -> None:
        """Keep a picture of a class; it is wanted no longer once it was seen whole."""
        if share == 1:
            self.wanted.discard(kind)
        self.pictures[kind], self.seen_in[kind], self.shares[kind] = picture, where, share


def fill(album: MobjectCatalogue, entry: SceneEntry, trace: Trace) -> None:
    """Add what is seen in a scene."""
    stage: Any = entry.load()

    def update_to_time(self: Any, t: float) -> None:
        animations = [a for a in _flat(self.animations) if type(a) in album.wanted]
        if animations:
            strip = []
            for moment in MOMENTS:
                super(photographed, self).update_to_time(moment * self.duration)
                strip.append(self.snapshot()[..., :3])
            for animation in animations:
                album.add(type(animation), np.hstack(strip), _where(self, entry))
        super(photographed, self).update_to_time(t)

    def play(self: Any, *animations: Any, **kwargs: Any) -> None:
        super(photographed, self).play(*animations, **kwargs)
        for mobject, share in _on_show(self, album):
            picture = _among_the_rest(self, mobject)
            album.add(type(mobject), picture, _where(self, entry), share)

    photographed: Any = type(
        stage.__name__, (stage,), {"update_to_time": update_to_time, "play": play}
    )
    photographed(trace).render()


def _flat(animations: Sequence[Animation] | None) -> Iterator[Animation]:
    for animation in animations or ():
        yield animation
        yield from _flat(getattr(animation, "animations", ()))


def _where(stage: Stage, entry: SceneEntry) -> str:
    names = stage.beat_names(stage.trace)
    return f"{entry.slug}, beat {names[len(stage.beats)]}"


def _on_show(stage: Stage, album: MobjectCatalogue) -> list[tuple[Mobject, float]]:
    """Mobjects of which clearly more is on show than ever before, and how much of them."""
    shown = {id(part) for part in stage.on_show() if presence(part) == 1}
    found: dict[type, tuple[Mobject, float]] = {}
    # Groups are not always on the stage themselves, only their parts are.
    for mobject in gc.get_objects():
        kind = type(mobject)
        if kind not in album.wanted or not issubclass(kind, Mobject):
            continue
        parts = _parts(mobject)
        if not parts:
            continue
        share = sum(id(part) in shown for part in parts) / len(parts)
        before = found[kind][1] if kind in found else album.shares.get(kind, 0.0)
        if share > MIN_SHARE and (share == 1 or share > before + CLEARLY_MORE):
            found[kind] = mobject, share
    return list(found.values())


def _parts(mobject: Mobject) -> list[Mobject]:
    """What a mobject draws; some only name their parts, which a scene puts on show one by one."""
    if parts := mobject.family_members_with_points():
        return list(parts)
    named = [part for part in vars(mobject).values() if isinstance(part, Mobject)]
    return [part for name in named for part in name.family_members_with_points()]


def _among_the_rest(stage: Stage, mobject: Mobject) -> Pixels:
    camera = stage.camera
    background = camera.background[..., :3].astype(float)
    faint = background + (stage.snapshot()[..., :3] - background) * REST
    camera.pixel_array[..., :3] = np.rint(faint).astype(np.uint8)
    camera.capture_mobjects(_parts(mobject))
    return np.array(camera.pixel_array[..., :3])


PAGE = """\
{title}
{line}

.. currentmodule:: {module}

{image}.. autoclass:: {name}
   :members:
   :show-inheritance:
"""
IMAGE = """\
.. figure:: {name}.png
   :alt: {alt}

   {where}

"""
INDEX = """\
Mobjects and animations
=======================

Each with a picture from the film, taken when it is first seen there.

.. toctree::
   :maxdepth: 1

{names}
"""


def write_pages(album: MobjectCatalogue, kinds: Sequence[type], folder: Path) -> None:
    """Write a page and a picture for each class, and a page that lists them.

    Parameters
    ----------
    album
        The pictures.
    kinds
        The classes in order.
    folder
        Where to.
    """
    for kind in kinds:
        name, image = kind.__name__, ""
        if kind in album.pictures:
            write_png(Image.fromarray(album.pictures[kind]), folder / f"{name}.png")
            what = "three moments of" if issubclass(kind, Animation) else "an example of"
            where = album.seen_in[kind]
            image = IMAGE.format(name=name, alt=f"{what} {name}", where=f"From {where}.")
        page = PAGE.format(
            title=name, line="=" * len(name), module=kind.__module__, name=name, image=image
        )
        write_text(folder / f"{name}.rst", page)
    names = "\n".join(f"   {kind.__name__}" for kind in kinds)
    write_text(folder / "index.rst", INDEX.format(names=names))


def make_catalogue(scenes: Iterable[SceneEntry], folder: Path) -> str:
    """Take the pictures and write the pages; say in one line what was and was not seen."""
    kinds = classes()
    album, trace = MobjectCatalogue(set(kinds)), Trace.load(SHIPPED)
    with manim_config(quality_of("draft")):
        for entry in scenes:
            fill(album, entry, trace)
    write_pages(album, kinds, folder)
    unseen = ", ".join(kind.__name__ for kind in kinds if kind not in album.pictures)
    return f"{len(album.pictures)} pictures; not seen by themselves: {unseen}"
