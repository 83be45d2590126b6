"""Four posters and a thumbnail: the same heads, with the keys and values of each scheme."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
from manim import DOWN, LEFT, UP, Group, Mobject, VGroup

from extract.architectures import COMPARED_GROUPS, Scheme, architecture
from extract.sharing import groups_for
from filmkit.core.camera import keep_upright, pin_to_frame, set_depth_plane
from filmkit.core.facts import fact
from filmkit.core.geometry import FRAME_HEIGHT
from filmkit.core.language import N_, _
from filmkit.core.numbers import format_count
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label, fit_size
from filmkit.mobjects.cached_numbers import BITS, CachedPerToken
from filmkit.mobjects.head_stack import HeadStack
from filmkit.mobjects.latent_layout import HeadStackShots, NaiveLayout
from filmkit.mobjects.latent_panel import LatentPanel, NaiveFeed, show_naive_form
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.marks import Outline
from filmkit.mobjects.shared_view import SharedView
from scenes.posters.layout import (
    NOTE_SHARE,
    TEXT,
    TITLE,
    TITLE_GAP,
    PosterLayout,
    ThumbnailLayout,
)
from scenes.posters.shared_head_stack import SharedHeadStack

__all__ = [
    "GroupedQueryPoster",
    "LatentPoster",
    "MultiHeadPoster",
    "MultiQueryPoster",
    "Poster",
    "Thumbnail",
]

SHAPE = "DeepSeek-V3/R1"
TEXT_SIZE = TEXT / FRAME_HEIGHT  # size of text for print
THUMBNAIL = 0.14  # text size of the thumbnail
AWAY = 0.2  # between a panel and its words, and between words in a row, in scene units


class Poster(Stage):
    """All heads of a layer under one attention scheme, and what the scheme caches.

    Every poster shows the same stack of heads in the same order, seen by the same camera.

    Attributes
    ----------
    scheme
        The scheme.
    name, idea
        The title, and the words beside it.
    """

    tensors = ("q", "k", "v", "pattern", "z")

    scheme: ClassVar[Scheme]
    name: ClassVar[str]
    idea: ClassVar[str]

    @property
    def groups(self) -> int:
        """Number of groups of heads: that of the model, if it has groups."""
        meta = self.trace.meta
        grouped = 1 < meta.n_kv_heads < meta.n_heads
        return meta.n_kv_heads if grouped else groups_for(meta.n_kv_heads)

    def prepare(self) -> None:
        self.head_stack = HeadStack(self.layer, self.frame, featured=0)
        # Where a latent stands does not depend on how many numbers it has.
        naive = self.naive_layout((1, 0))
        self.latent_shots = HeadStackShots.beneath(
            self.head_stack.layout, naive.cached, naive.riser
        )
        self.layout = PosterLayout.of(self.frame, self.head_stack.layout, self.latent_shots)

    def naive_layout(self, cached: tuple[int, int]) -> NaiveLayout:
        """Lay out what stands around the front card for a cached latent.

        ``cached`` are the columns of the latent and of the shared rotated key.
        """
        theme = self.theme
        return NaiveLayout.of(
            self.head_stack.picture.layout,
            count=self.layer.count,
            cached=cached,
            sizes=(theme.shape_size, theme.min_text_size),
        )

    @beat
    def poster(self) -> None:
        """The poster."""
        for card in self.head_stack.cards:
            for panel in card.panels:
                panel.set_opacity(1.0)
        self.camera.shot = self.layout.shot
        self.add(*reversed(self.head_stack.cards), *self.stack_labels())
        self.add_keys_and_values()
        self.add(pin_to_frame(Group(self._title(), self._footer())))
        self.hold()

    def stack_labels(self) -> list[Mobject]:
        """Return the names of panels beside the stack."""
        theme, layout = self.theme, self.head_stack.layout
        card, near = layout.card, layout.near
        back = self.head_stack.cards[-1]
        return [
            self.named(back.q.side_center(LEFT), LEFT, (_("queries Q"), theme.query)),
            self.named((card.right, card.top, near), UP + LEFT, (_("pattern A"), theme.pattern)),
            self.named(
                (card.right, card.bottom, near), 1.8 * DOWN + LEFT, (_("output Z"), theme.z)
            ),
            *self.own_names(),
        ]

    def own_names(self) -> list[Mobject]:
        """Return the names of keys and values beside the last card."""
        theme, back = self.theme, self.head_stack.cards[-1]
        return [
            self.named(panel.side_center(LEFT), LEFT, (name, colour))
            for panel, name, colour in (
                (back.k, _("keys K"), theme.key),
                (back.v, _("values V"), theme.value),
            )
        ]

    @staticmethod
    def named(
        point: npt.ArrayLike, side: npt.NDArray[np.float64], *words: tuple[str, str]
    ) -> VGroup:
        """Return upright words beside a point of the scene, in a row, each with its colour."""
        labels = VGroup(*(Label(text, size=TEXT_SIZE, colour=colour) for text, colour in words))
        rise = 1.2 if side[1] > 0 else 1.7
        x, y = 0.0, rise * labels[0].line_height * float(side[1])
        for label in labels:
            label.on_line(x + label.width / 2, y)
            x += label.width + AWAY
        width = x - AWAY
        labels.shift([float(side[0]) * (AWAY + width / 2) - width / 2, 0, 0])
        return keep_upright(labels, np.asarray(point))

    def add_keys_and_values(self) -> None:
        """Add keys and values where the scheme has them."""
        raise NotImplementedError

    @property
    def cached(self) -> tuple[str, int]:
        """Numbers that a layer caches for a token: arithmetic with its result, and the count."""
        raise NotImplementedError

    def notes(self) -> list[str]:
        """Return remarks on what this poster shows."""
        return []

    def _notes(self) -> VGroup:
        # In a print they stand at the foot.
        notes = super()._notes()
        notes.set_y(self.frame.safe.bottom + notes.height / 2)
        return notes

    def _title(self) -> VGroup:
        theme, (x, y) = self.theme, self.layout.title
        name = Label(_(self.name), size=TITLE / FRAME_HEIGHT)
        rows, meta = self.layer.count, self.trace.meta
        shapes = _(
            "in every head: Q and K {rows} × {d_qk}, V and Z {rows} × {d_v}, A {rows} × {rows}",
            rows=rows,
            d_qk=meta.d_qk,
            d_v=meta.d_v,
        )
        beside = [
            Label(_(self.idea), size=TEXT_SIZE, colour=theme.muted),
            Label(shapes, size=theme.note_size, colour=theme.muted),
        ]
        # Long words are made smaller, those of the name as much as is left to do.
        widest, room = max(label.width for label in beside), self.frame.safe.width - TITLE_GAP
        widest *= min(1.0, room / (name.width + widest))
        beside = [
            fit_size(label.text, widest, size=label.size, colour=theme.muted) for label in beside
        ]
        name.shrink_to(room - max(label.width for label in beside))
        left = x + name.width + TITLE_GAP
        title = VGroup(name.on_line(x + name.width / 2, y))
        for label, line in zip(beside, (y + 0.75 * TEXT, y - 0.5 * TEXT), strict=True):
            title.add(label.on_line(left + label.width / 2, line))
        # An accent may be higher than a large letter.
        title.shift(DOWN * max(0.0, float(name.get_top()[1]) - self.frame.safe.top))
        return title

    def _footer(self) -> VGroup:
        theme = self.theme
        arithmetic, count = self.cached
        groups = COMPARED_GROUPS if self.scheme == "gqa" else None
        published = CachedPerToken(architecture(SHAPE), self.scheme, groups)
        size = published.told(format_count)
        main_lines = [
            _(
                "cached per token and layer: {arithmetic} numbers, {size} bytes",
                arithmetic=arithmetic,
                size=fact("kept bytes", count * BITS // 8, scheme=self.scheme),
            ),
            _(
                "DeepSeek-R1’s size with {groups} groups: {size} bytes per token",
                groups=fact("compared groups", groups),
                size=size,
            )
            if groups
            else _("DeepSeek-R1’s size: {size} bytes per token", size=size),
        ]
        lines, room = VGroup(), NOTE_SHARE * self.frame.safe.width
        texts = [*self.notes(), *main_lines]
        for text, (x, y) in zip(texts, self.layout.text(len(texts)), strict=True):
            if text in main_lines:
                label = Label(text, size=TEXT_SIZE)
            else:
                label = fit_size(text, room, size=theme.note_size, colour=theme.muted)
            lines.add(label.on_line(x + label.width / 2, y))
        return lines


def cached_numbers(heads: int, d_qk: int, d_v: int) -> tuple[str, int]:
    """Return how many numbers keys and values of some heads are: in arithmetic, and the count."""
    count = heads * (d_qk + d_v)
    times = f"{heads} × " if heads > 1 else ""
    text = f"2 × {times}{d_qk}" if d_qk == d_v else f"{times}({d_qk} + {d_v})"
    return f"{text} = {fact('kept numbers', count, sets=heads)}", count


class MultiHeadPoster(Poster):
    """Poster of multi-head attention."""

    scheme = "mha"
    name = N_("Multi-head attention")
    idea = N_("every head keeps its own K and V")

    def add_keys_and_values(self) -> None:
        frames = VGroup()
        for card in self.head_stack.cards:
            for panel, colour in ((card.k, self.theme.key), (card.v, self.theme.value)):
                frame = Outline(panel.box.grown(0.03), colour=colour)
                frame.set_stroke(width=self.theme.line)
                frame.shift([0.0, 0.0, self.head_stack.layout.depth_at(card.head)])
                frames.add(set_depth_plane(frame, card.plane))
        self.add(frames)

    @property
    def cached(self) -> tuple[str, int]:
        meta = self.trace.meta
        return cached_numbers(meta.n_heads, meta.d_qk, meta.d_v)

    def notes(self) -> list[str]:
        meta = self.trace.meta
        if meta.n_kv_heads == meta.n_heads:
            return []
        alike = meta.n_heads // meta.n_kv_heads
        return [
            _(
                "hypothetical for this model: {count} heads at a time have equal K and V",
                count=alike,
            )
        ]


class SharedPoster(Poster):
    """Poster with heads that share keys and values."""

    def own_names(self) -> list[Mobject]:
        return []

    @property
    def n_groups(self) -> int:
        """Number of sets of keys and values."""
        raise NotImplementedError

    def prepare(self) -> None:
        super().prepare()
        self.view = SharedView.of(self.layer, self.n_groups)
        self.shared_stack = SharedHeadStack(self.head_stack, self.view)

    def add_keys_and_values(self) -> None:
        shared_stack, head_stack = self.shared_stack, self.head_stack
        self.remove(*(panel for card in head_stack.cards for panel in (card.k, card.v)))
        if self.view.shared.pooled:
            for card in head_stack.cards:
                for name, (values, source) in self.view.head(card.head).items():
                    panel = getattr(card, name)
                    panel.set_values(values)
                    panel.source = source
        parts = (shared_stack.frames, shared_stack.key_fan_outs, shared_stack.value_fan_outs)
        theme = self.theme
        # Below the panels, where no card is.
        foot = shared_stack.values[-1].side_center(DOWN)
        names = self.named(foot, DOWN, (_("keys K"), theme.key), (_("values V"), theme.value))
        self.add(*shared_stack.keys, *shared_stack.values, *parts, names)

    @property
    def cached(self) -> tuple[str, int]:
        meta = self.trace.meta
        return cached_numbers(self.n_groups, meta.d_qk, meta.d_v)

    def notes(self) -> list[str]:
        meta = self.trace.meta
        if self.n_groups == meta.n_kv_heads:
            return []
        pooled = meta.n_kv_heads // self.n_groups
        return [_("K and V are means of {count}, without training", count=pooled)]


class GroupedQueryPoster(SharedPoster):
    """Poster of grouped-query attention."""

    scheme = "gqa"
    name = N_("Grouped-query attention")
    idea = N_("groups of heads share K and V")

    @property
    def n_groups(self) -> int:
        return self.groups


class MultiQueryPoster(SharedPoster):
    """Poster of multi-query attention."""

    scheme = "mqa"
    name = N_("Multi-query attention")
    idea = N_("all heads share one K and one V")

    @property
    def n_groups(self) -> int:
        return 1


class LatentPoster(Poster):
    """Poster of multi-head latent attention."""

    scheme = "mla"
    name = N_("Multi-head latent attention")
    idea = N_("one latent makes every K and V")

    def prepare(self) -> None:
        self.view = LatentView.of(self.layer)
        super().prepare()
        show_naive_form(self.head_stack, self.view)

    def add_keys_and_values(self) -> None:
        head_stack, forms, theme = self.head_stack, self.view.forms, self.theme
        naive = self.naive_layout((forms.rank, forms.d_rope))
        parts = self.layout.latent_parts((forms.rank, forms.d_rope))
        self.latent = LatentPanel(self.view, *parts)
        self.latent.remove(self.latent.header)
        self.latent.add(self.latent.frame)
        self.latent.shift([0.0, 0.0, self.layout.depth])
        set_depth_plane(self.latent, self.latent.cells)
        width = f"{forms.rank} + {forms.d_rope}" if forms.d_rope else f"{forms.rank}"
        shape = f"{self.layer.count} × {width}"
        edge = self.latent.cells.side_center(LEFT)
        words = ((_("latent C"), theme.latent), (shape, theme.muted))
        self.latent_name = self.named(edge, LEFT, *words)
        self.add(self.latent, NaiveFeed(head_stack, naive, self.latent_shots), self.latent_name)

    @property
    def cached(self) -> tuple[str, int]:
        forms = self.view.forms
        count = forms.rank + forms.d_rope
        text = f"{forms.rank} + {forms.d_rope} = " if forms.d_rope else ""
        return f"{text}{fact('kept numbers', count, part='both')}", count

    def notes(self) -> list[str]:
        if self.trace.meta.attention == "mla":
            return []
        if self.trace.rotates:
            return [_("the latent is fitted, not trained; positions are left out")]
        return [_("the latent is fitted, not trained")]


class Thumbnail(LatentPoster):
    """Thumbnail of the film: the latent and its heads, with the film's question in two words."""

    words: ClassVar[str] = N_("Remember\nless?")

    def provenance_notes(self) -> tuple[str, str]:
        return "", ""

    def stack_labels(self) -> list[Mobject]:
        return []

    def add_keys_and_values(self) -> None:
        super().add_keys_and_values()
        self.remove(self.latent_name)

    def _title(self) -> VGroup:
        words, size = _(self.words).split("\n"), THUMBNAIL
        widest = max(Label(text, size=size, weight="semibold").width for text in words)
        size *= min(1.0, self.frame.safe.width / widest)
        layout = ThumbnailLayout.of(self.layout, size=size, lines=len(words))
        self.camera.shot = layout.shot
        lines = VGroup()
        for text, (x, y) in zip(words, layout.words, strict=True):
            colour = self.theme.latent if text == words[-1] else self.theme.ink
            label = Label(text, size=size, colour=colour, weight="semibold")
            lines.add(label.on_line(x + label.width / 2, y))
        return lines

    def _footer(self) -> VGroup:
        return VGroup()
