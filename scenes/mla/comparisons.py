"""Comparisons: what the latent loses, and the outputs of both forms."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from manim import Group, VGroup

from filmkit.core.facts import fact
from filmkit.core.geometry import Frame
from filmkit.core.language import N_, _
from filmkit.core.numbers import format_number, format_power_of_ten, format_share
from filmkit.core.text import Label, Symbol, break_lines, fit_size
from filmkit.core.theme import current_theme
from filmkit.mobjects.latent_view import LatentHead, LatentView
from filmkit.mobjects.panel import Panel
from filmkit.mobjects.sayings import display_size
from scenes.mla.diagrams import output_panel
from scenes.mla.layout import LossLayout, OutputComparisonLayout

__all__ = ["Loss", "OutputComparison"]


@dataclass(frozen=True)
class _Names:
    """Names of panels in English, of what comes out of the latent and of the model's own.

    The others are the names of quantities.
    """

    rebuilt: str
    true: str
    from_latent: str
    own: str
    lost: str


KEYS = _Names(N_("keys, rebuilt"), N_("true keys"), "latent_keys", "own_keys", "lost_keys")
VALUES = _Names(
    N_("values, rebuilt"), N_("true values"), "latent_values", "own_values", "lost_values"
)


class Loss(Group):
    """Keys and values rebuilt from the latent, the model's own, and the difference.

    All three have the same scale; the difference belongs to no role.

    Parameters
    ----------
    latent_head
        The head, with its latent.
    frame
        The frame to fill.

    Attributes
    ----------
    rebuilt
        Panels of the rebuilt keys and values.
    true, difference
        The panels to their right.
    signs
        Minus and equals between them.
    errors
        For keys and for values, the relative error with its words.
    remark
        How all are drawn, and what is compared where the layer has biases.
    """

    def __init__(self, latent_head: LatentHead, frame: Frame) -> None:
        super().__init__()
        theme, view = current_theme(), latent_head.view
        self.layout = layout = LossLayout.of(frame, count=view.layer.count)
        self.rebuilt, self.true, self.difference = Group(), Group(), Group()
        self.errors, self.signs = VGroup(), VGroup()
        for name, names, boxes, point, colour in (
            ("k", KEYS, layout.keys, layout.errors[0], theme.key),
            ("v", VALUES, layout.values, layout.errors[1], theme.value),
        ):
            compared, norm = latent_head.comparison(name), view.layer.norm(name)
            width, layer = compared.true.shape[1], view.layer
            given: dict[str, Any] = {"kv_head": latent_head.kv_head}
            tensor = name if name == "v" else layer.trace.unrotated("k")
            true = layer.source(tensor, latent_head.kv_head, (0, width))
            if view.biased:
                given["about"] = (layer.first, layer.stop)
                true = layer.computed(names.own, width, **given)
            shown = (
                (
                    self.rebuilt,
                    _(names.rebuilt),
                    compared.rebuilt,
                    layer.computed(names.from_latent, width, **given),
                ),
                (self.true, _(names.true), compared.true, true),
                (
                    self.difference,
                    _("difference"),
                    compared.rebuilt - compared.true,
                    layer.computed(names.lost, width, **given),
                ),
            )
            for (group, title, values, origin), box in zip(shown, boxes, strict=True):
                own = group is not self.difference
                panel = Panel(
                    values,
                    norm if own else replace(norm, cmap=theme.colour_map()),
                    box,
                    name=title,
                    colour=colour if own else theme.ink,
                    show_shape=False,
                    source=origin,
                )
                group.add(panel)
            size = display_size(frame)
            error_of = fact(
                "relative error", compared.error, format_share, beside=_(names.rebuilt), of=name
            )
            share = Label(error_of, size=size, weight="semibold")
            x, y = point
            error = VGroup(share.on_line(x, y))
            words = break_lines(_("relative error"), layout.error_room, size=theme.note_size)
            for index, line in enumerate(words):
                note = fit_size(line, layout.error_room, size=theme.note_size, colour=theme.muted)
                error.add(note.on_line(x, y - 0.45 - 0.24 * index))
            self.errors.add(error)
        panels = [*self.rebuilt, *self.true, *self.difference]
        widest = max(panel.header.width / panel.cells.box.width for panel in panels)
        for panel in panels:  # all names of one size
            for part in panel.header:
                part.scale(min(1.0, 1 / widest))
            panel.header.stand_on(panel.cells.box)
        for number, (x, y) in enumerate(layout.signs):
            sign = Symbol("=" if number % 2 else "-", size=1.6 * theme.name_size)
            self.signs.add(sign.move_to([x, y, 0]))
        text = _("on the same scale")
        if view.biased:
            text = _("on the same scale, both about their mean row")
        self.remark = Label(text, size=theme.note_size, colour=theme.muted)
        self.remark.move_to([*layout.remark, 0])


class OutputComparison(Group):
    """The outputs of both forms, large, and the largest difference between their numbers.

    Attributes
    ----------
    naive, absorbed
        Panels of the outputs, with the middle columns left out.
    names
        Headers of the panels.
    sign
        The equals sign between them.
    total
        The largest difference.
    notes
        Small lines that explain it.
    """

    def __init__(self, view: LatentView, frame: Frame) -> None:
        super().__init__()
        theme, forms = current_theme(), view.forms
        self.layout = layout = OutputComparisonLayout.of(frame, count=view.layer.count)
        self.naive = output_panel(
            view,
            forms.naive.out,
            layout.naive,
            name=_("keys and values formed"),
        )
        self.absorbed = output_panel(
            view,
            forms.absorbed.out,
            layout.absorbed,
            name=_("only the latent read"),
        )
        panels = (self.naive, self.absorbed)
        for panel, room in zip(panels, layout.name_rooms, strict=True):
            panel.header.fit(room)
        self.names = Group(
            *(part for panel in panels for part in (panel.header, panel.dots) if part is not None)
        )
        self.sign = Symbol("=", size=theme.name_size * 1.6).move_to([*layout.sign, 0])
        size = theme.name_size
        words = Label(_("largest difference"), size=size, weight="semibold")
        rounding = fact("rounding", forms.largest_difference, format_power_of_ten)
        number = Symbol(rounding, size=size)
        width = words.width + 0.2 + number.width
        x, y = layout.total
        words.on_line(x - width / 2 + words.width / 2, y)
        number.on_line(x + width / 2 - number.width / 2, y)
        self.total = VGroup(words, number)
        largest = fact("largest output", forms.largest_output, format_number)
        lines = (
            _("between numbers of up to {number}", number=largest),
            _("all heads, all columns: nothing but rounding"),
        )
        self.notes = VGroup(
            *(
                Label(line, size=theme.note_size, colour=theme.muted).move_to([*point, 0])
                for line, point in zip(lines, layout.notes, strict=True)
            )
        )
        self.add(self.naive, self.absorbed, self.sign, self.total, self.notes)
