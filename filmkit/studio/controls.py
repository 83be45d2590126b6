"""The controls of the studio's page: what of a scene can be chosen there.

Each is a list to choose from. On the page all values are texts; an empty one stands for the
default.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from extract.support.assets import traces_folder
from extract.trace import Trace
from filmkit.core.fonts import lacks_fonts
from filmkit.core.language import N_, Language, _, catalogue_folder, known_languages
from filmkit.core.scene_entry import SceneEntry
from filmkit.core.theme_names import PALETTES, THEMES
from filmkit.core.view import LayerView
from filmkit.render.quality import ASPECTS, DRAFT, quality_of
from filmkit.render.request import RenderRequest
from filmkit.render.traces import SHIPPED, find_trace

__all__ = ["CONTROLS", "Choices", "Control", "ModelFacts", "choices_of", "controls_of", "requested"]

Choices = Mapping[str, str]
"""The value of each control, by its name."""

Option = tuple[str, str]
"""A value, and what stands for it on the page."""

_WORDS = {
    "dark": N_("dark"),
    "light": N_("light"),
    "print": N_("print"),
    "roles": N_("roles"),
    "film": N_("film"),
    "signed": N_("signed"),
}
"""Names of themes and palettes."""


@dataclass(frozen=True)
class ModelFacts:
    """What the controls need to know of the trace that is shown.

    Attributes
    ----------
    layers, heads
        Numbers of layers, and of heads in each.
    layer, head
        Those that are shown by default.
    """

    layers: int
    heads: int
    layer: int
    head: int

    @classmethod
    def of(cls, trace: Trace) -> ModelFacts:
        """Read them from a trace."""
        view = LayerView.of_prompt(trace, None, show_first_token=False)
        meta = trace.meta
        return cls(meta.n_layers, meta.n_heads, view.layer, view.head(None).head)


@dataclass(frozen=True)
class Control:
    """One thing that can be chosen.

    Attributes
    ----------
    name
        Its name in :data:`Choices`.
    label
        What it is called on the page, in English.
    options
        Lists what there is to choose from for a scene; without facts, as far as it is known.
    others
        Whether another value may be typed.
    shown
        Whether a scene has it.
    """

    name: str
    label: str
    options: Callable[[ModelFacts | None, SceneEntry], list[Option]]
    others: bool = False
    shown: Callable[[SceneEntry], bool] = lambda entry: True


def _default(value: object) -> str:
    return _("{value} (default)", value=value)


def _unknown() -> list[Option]:
    return [("", _("default"))]


def _numbers(count: int, default: int) -> list[Option]:
    return [("", _default(default)), *((str(i), str(i)) for i in range(count))]


def _layers(facts: ModelFacts | None, entry: SceneEntry) -> list[Option]:
    return _numbers(facts.layers, facts.layer) if facts else _unknown()


def _heads(facts: ModelFacts | None, entry: SceneEntry) -> list[Option]:
    return _numbers(facts.heads, facts.head) if facts else _unknown()


def _names(names: Mapping[str, Any] | tuple[str, ...]) -> list[Option]:
    return [(name, _(_WORDS.get(name, name))) for name in names]


def _languages(entry: SceneEntry) -> list[Option]:
    """List the languages of a scene that the fonts here can show."""
    languages = map(Language, known_languages(catalogue_folder(entry.source_file)))
    return [(each.code, each.name) for each in languages if not lacks_fonts([each.name])]


def _trace_files() -> list[Option]:
    """List the trace files in the usual places: the current folder, that of traces, the project."""
    folders = (Path(), Path("traces"), traces_folder())
    files = [path for folder in folders for path in sorted(folder.glob("*.safetensors"))]
    known = {path.resolve(): str(path) for path in (*files, SHIPPED)}
    return [
        (str(path), path.stem if path.parent in (traces_folder(), SHIPPED.parent) else shown)
        for path, shown in known.items()
    ]


CONTROLS: tuple[Control, ...] = (
    Control("layer", N_("Layer"), _layers),
    Control("head", N_("Head"), _heads),
    Control(
        "trace",
        N_("Trace"),
        lambda facts, entry: [("", _default(find_trace(None).stem)), *_trace_files()],
        others=True,
    ),
    Control(
        "compare",
        N_("Second trace"),
        lambda facts, entry: [("", _("none")), *_trace_files()],
        others=True,
        shown=lambda entry: entry.compares,
    ),
    Control("theme", N_("Theme"), lambda facts, entry: _names(THEMES)),
    Control("palette", N_("Palette"), lambda facts, entry: _names(PALETTES)),
    Control("aspect", N_("Aspect"), lambda facts, entry: _names(ASPECTS)),
    Control("language", N_("Language"), lambda facts, entry: _languages(entry)),
)
"""All controls, in the order in which they stand on the page."""


def choices_of(request: RenderRequest, aspect: str) -> Choices:
    """Return the choices that a request makes."""
    shown = request.settings
    return {
        "layer": "" if shown.layer is None else str(shown.layer),
        "head": "" if shown.head is None else str(shown.head),
        "trace": str(request.trace.resolve()) if request.trace else "",
        "compare": str(shown.compare) if shown.compare else "",
        "theme": shown.theme,
        "palette": shown.palette,
        "aspect": aspect,
        "language": shown.language,
    }


def requested(request: RenderRequest, entry: SceneEntry, choices: Choices) -> RenderRequest:
    """Return the request for a scene with these choices, at draft quality.

    Raises
    ------
    ValueError
        When there is no such choice; the message says what there is.
    """
    for name, known in (
        ("theme", THEMES),
        ("palette", PALETTES),
        ("aspect", ASPECTS),
        ("language", [code for code, _name in _languages(entry)]),
    ):
        if choices[name] not in known:
            raise ValueError(f"there is no {name} {choices[name]!r}; there are {', '.join(known)}")
    for name in ("layer", "head"):
        if choices[name] and not (choices[name].isascii() and choices[name].isdigit()):
            raise ValueError(f"{choices[name]!r} is not a {name}; give its number, counted from 0")
    settings = replace(
        request.settings,
        layer=int(choices["layer"]) if choices["layer"] else None,
        head=int(choices["head"]) if choices["head"] else None,
        compare=_chosen_file(choices["compare"]),
        theme=choices["theme"],
        palette=choices["palette"],
        language=choices["language"],
    )
    return replace(
        request,
        scenes=(entry,),
        trace=_chosen_file(choices["trace"]),
        settings=settings,
        quality=quality_of(DRAFT, choices["aspect"], request.quality.frame_rate),
    )


def _chosen_file(choice: str) -> Path | None:
    try:
        return Path(choice).expanduser().resolve() if choice else None
    except (ValueError, RuntimeError) as error:  # a zero byte; a home that is unknown, a circle
        raise ValueError(f"{choice!r} is not the path of a trace: {error}") from error


def controls_of(
    entry: SceneEntry, choices: Choices, facts: ModelFacts | None
) -> list[dict[str, Any]]:
    """Return the controls of a scene as data for the page; no facts if no trace was read."""
    controls = []
    for control in CONTROLS:
        if not control.shown(entry):
            continue
        options, value = control.options(facts, entry), choices[control.name]
        if value not in dict(options):
            options = [*options, (value, value)]
        controls.append(
            {
                "name": control.name,
                "label": _(control.label),
                "value": value,
                "options": options,
                "others": control.others,
            }
        )
    return controls
