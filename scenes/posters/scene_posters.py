"""Four posters from one camera, alike but for where keys and values live, and a thumbnail."""

from __future__ import annotations

from typing import ClassVar

from manim import LEFT, Group, Mobject, VGroup

from extract.architectures import COMPARED_GROUPS, Scheme, architecture
from extract.sharing import groups_for
from filmkit.core.camera import keep_upright, on_card, pin_to_frame
from filmkit.core.numbers import whole
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label
from filmkit.mobjects.cached_numbers import BITS, CachedPerToken
from filmkit.mobjects.head_stack import HeadStack
from filmkit.mobjects.latent_layout import HeadStackShots, NaiveLayout
from filmkit.mobjects.latent_panel import LatentPanel, NaiveFeed, expand
from filmkit.mobjects.latent_view import LatentView
from filmkit.mobjects.marks import Outline
from filmkit.mobjects.shared_head_stack import SharedHeadStack, in_groups
from filmkit.mobjects.shared_view import SharedView
from scenes.posters.layout import PosterLayout, ThumbnailLayout

__all__ = ["EveryHead", "InGroups", "OneForAll", "OneLatent", "Poster", "Thumbnail"]

SHAPE = "DeepSeek-V3/R1"
TITLE, TEXT = 0.062, 0.03  # sizes of text, for print
THUMBNAIL = 0.15
AWAY = 0.2  # between a shared panel and its words


class Poster(Stage):
    """All heads of a layer under one scheme, with what it caches.

    Every poster has the same rack in the same order, seen by the same camera.
    """

    scheme: ClassVar[Scheme]
    name: ClassVar[tuple[str, ...]]
    idea: ClassVar[tuple[str, ...]]

    @property
    def groups(self) -> int:
        """Into how many groups heads are put: the model's own, if it has any."""
        meta = self.trace.meta
        grouped = 1 < meta.n_kv_heads < meta.n_heads
        return meta.n_kv_heads if grouped else groups_for(meta.n_kv_heads)

    def prepare(self) -> None:
        view = SharedView.of(self.layer, self.groups)
        order = in_groups(view, self.head.head)
        self.head_stack = HeadStack(self.layer, self.frame, order=order)
        # Where a latent stands does not depend on how many numbers it has.
        around = self.around_head((1, 0))
        self.beneath = HeadStackShots.beneath(self.head_stack.layout, around.cached, around.riser)
        self.layout = PosterLayout.of(self.frame, self.head_stack.layout, self.beneath)

    def around_head(self, cached: tuple[int, int]) -> NaiveLayout:
        """What stands around the front card when a latent of some columns is cached."""
        theme = self.theme
        return NaiveLayout.of(
            self.head_stack.picture.layout,
            count=self.layer.count,
            cached=cached,
            sizes=(theme.shape_size, theme.least_size),
        )

    @beat
    def poster(self) -> None:
        """The poster."""
        for card in self.head_stack.cards:
            for panel in card.panels:
                panel.set_opacity(1.0)
        self.camera.shot = self.layout.shot
        self.add(*reversed(self.head_stack.cards), *self.rack_words())
        self.add_keys_and_values()
        self.add(pin_to_frame(Group(self._title(), self._text())))

    def rack_words(self) -> list[Mobject]:
        """Names on the front card."""
        return [self.head_stack.labels.names]

    def add_keys_and_values(self) -> None:
        """Put keys and values where they live."""
        raise NotImplementedError

    @property
    def cached(self) -> tuple[str, int]:
        """What a token takes in the cache of a layer: as arithmetic, and how many numbers."""
        raise NotImplementedError

    def notes(self) -> list[str]:
        """What is to be known about this poster."""
        return []

    def provenance_notes(self) -> tuple[str, str]:
        said, hidden = super().provenance_notes()
        place = f"layer {self.layer.layer}"
        heads = self.trace.meta.n_heads
        said = said.replace(f"{place}, head {self.head.head}", f"{place}, all {heads} heads")
        return said, hidden

    def _provenance(self) -> VGroup:
        # At the foot, as on a print.
        whole_line = super()._provenance()
        whole_line.set_y(self.frame.safe.bottom + whole_line.height / 2)
        return whole_line

    def _title(self) -> VGroup:
        theme, lines = self.theme, VGroup()
        points = self.layout.title(len(self.name), len(self.idea))
        for words, size, colour, places in (
            (self.name, TITLE, theme.ink, points[0]),
            (self.idea, TEXT, theme.muted, points[1]),
        ):
            for text, (x, y) in zip(words, places, strict=True):
                label = Label(text, size=size, colour=colour)
                lines.add(label.on_line(x + label.width / 2, y))
        return lines

    def _text(self) -> VGroup:
        theme, meta = self.theme, self.trace.meta
        rows = self.layer.count
        arithmetic, count = self.cached
        groups = COMPARED_GROUPS if self.scheme == "gqa" else None
        published = CachedPerToken(architecture(SHAPE), self.scheme, groups)
        with_groups = f" with {groups} groups" if groups else ""
        quiet = [
            f"in every head: Q and K {rows} × {meta.d_qk}, V and Z {rows} × {meta.d_v}, "
            f"A {rows} × {rows}",
            *self.notes(),
        ]
        said = [
            f"cached per token and layer: {arithmetic}, {whole(count * BITS // 8)} bytes",
            f"DeepSeek-R1’s size{with_groups}: {whole(published.size())} bytes per token",
        ]
        lines = VGroup()
        texts = [*quiet, *said]
        for text, (x, y) in zip(texts, self.layout.text(len(texts)), strict=True):
            if text in said:
                label = Label(text, size=TEXT)
            else:
                label = Label(text, size=theme.note_size, colour=theme.muted)
            lines.add(label.on_line(x - label.width / 2, y))
        return lines


def product(heads: int, d_qk: int, d_v: int) -> tuple[str, int]:
    """Numbers of keys and values of some heads, as arithmetic and altogether."""
    count = heads * (d_qk + d_v)
    times = f"{heads} × " if heads > 1 else ""
    said = f"2 × {times}{d_qk}" if d_qk == d_v else f"{times}({d_qk} + {d_v})"
    return f"{said} = {whole(count)} numbers", count


class EveryHead(Poster):
    """Multi-head attention."""

    scheme = "mha"
    name = ("Multi-head", "attention")
    idea = ("every head keeps", "its own K and V")

    def add_keys_and_values(self) -> None:
        frames = VGroup()
        for card in self.head_stack.cards:
            for panel, colour in ((card.k, self.theme.key), (card.v, self.theme.value)):
                frame = Outline(panel.box.grown(0.03), colour=colour)
                frame.set_stroke(width=self.theme.line)
                frame.shift([0.0, 0.0, self.head_stack.layout.z(card.place)])
                frames.add(on_card(frame, card.plane))
        self.add(frames)

    @property
    def cached(self) -> tuple[str, int]:
        meta = self.trace.meta
        return product(meta.n_heads, meta.d_qk, meta.d_v)

    def notes(self) -> list[str]:
        meta = self.trace.meta
        if meta.n_kv_heads == meta.n_heads:
            return []
        alike = meta.n_heads // meta.n_kv_heads
        return [f"hypothetical for this model: {alike} heads at a time have equal K and V"]


class Shared(Poster):
    """Heads that share keys and values."""

    @property
    def n_groups(self) -> int:
        """How many sets of keys and values there are."""
        raise NotImplementedError

    def prepare(self) -> None:
        super().prepare()
        self.view = SharedView.of(self.layer, self.n_groups)
        self.sharing = SharedHeadStack(self.head_stack, self.view)

    def add_keys_and_values(self) -> None:
        sharing, head_stack = self.sharing, self.head_stack
        self.remove(*(panel for card in head_stack.cards for panel in (card.k, card.v)))
        if self.view.shared.pooled:
            for head, card in head_stack.heads.items():
                for name, (values, source) in self.view.head(head).items():
                    panel = getattr(card, name)
                    panel.set_values(values)
                    panel.source = source
        for name, panels in (("k", sharing.keys), ("v", sharing.values)):
            header = getattr(head_stack.labels, name)
            header.become(sharing.header_at(name, header))
            on_card(header, panels[0])
        parts = (sharing.frames, sharing.key_fan_outs, sharing.value_fan_outs)
        shapes = VGroup()
        rows, meta = self.layer.count, self.trace.meta
        for panel, width in ((sharing.keys[-1], meta.d_qk), (sharing.values[-1], meta.d_v)):
            label = Label(f"{rows} × {width}", colour=self.theme.muted)
            label.on_line(-AWAY - label.width / 2, 0.0)
            shapes.add(keep_upright(label, panel.corners_towards(LEFT)))
        self.add(*sharing.keys, *sharing.values, *parts, shapes)

    @property
    def cached(self) -> tuple[str, int]:
        meta = self.trace.meta
        return product(self.n_groups, meta.d_qk, meta.d_v)

    def notes(self) -> list[str]:
        meta = self.trace.meta
        if self.n_groups == meta.n_kv_heads:
            return []
        return [f"K and V are means of {meta.n_kv_heads // self.n_groups}, without training"]


class InGroups(Shared):
    """Grouped-query attention."""

    scheme = "gqa"
    name = ("Grouped-query", "attention")
    idea = ("groups of heads", "share K and V")

    @property
    def n_groups(self) -> int:
        return self.groups


class OneForAll(Shared):
    """Multi-query attention."""

    scheme = "mqa"
    name = ("Multi-query", "attention")
    idea = ("all heads share", "one K and one V")

    @property
    def n_groups(self) -> int:
        return 1


class OneLatent(Poster):
    """Multi-head latent attention."""

    scheme = "mla"
    name = ("Multi-head latent", "attention")
    idea = ("one latent makes", "every K and V")

    def prepare(self) -> None:
        self.view = LatentView.of(self.layer)
        super().prepare()
        expand(self.head_stack, self.view)

    def add_keys_and_values(self) -> None:
        head_stack, forms, theme = self.head_stack, self.view.forms, self.theme
        naive = self.around_head((forms.rank, forms.d_rope))
        parts = self.layout.latent_parts((forms.rank, forms.d_rope))
        self.latent = LatentPanel(self.view, *parts)
        self.latent.remove(self.latent.header)
        self.latent.add(self.latent.frame)
        self.latent.shift([0.0, 0.0, self.layout.depth])
        on_card(self.latent, self.latent.cells)
        width = f"{forms.rank} + {forms.d_rope}" if forms.d_rope else f"{forms.rank}"
        lines = [
            Label("latent C", size=TEXT, colour=theme.latent),
            Label(f"{self.layer.count} × {width}", colour=theme.muted),
        ]
        for line, label in enumerate(lines):
            label.on_line(-AWAY - label.width / 2, -1.2 * label.line_height * line)
        edge = self.latent.cells.corners_towards(LEFT)
        self.latent_words = keep_upright(VGroup(*lines), edge)
        self.add(self.latent, NaiveFeed(head_stack, naive, self.beneath), self.latent_words)

    @property
    def cached(self) -> tuple[str, int]:
        forms = self.view.forms
        count = forms.rank + forms.d_rope
        said = f"{forms.rank} + {forms.d_rope} = " if forms.d_rope else ""
        return f"{said}{whole(count)} numbers", count

    def notes(self) -> list[str]:
        if self.trace.meta.attention == "mla":
            return []
        fitted = "the latent is fitted, not trained"
        return [fitted + ("; positions are left out" if self.trace.rotates else "")]


class Thumbnail(OneLatent):
    """The latent and its heads, with very few words."""

    words: ClassVar[tuple[str, ...]] = ("One", "shared", "latent")

    def provenance_notes(self) -> tuple[str, str]:
        return "", ""

    def rack_words(self) -> list[Mobject]:
        return []

    def add_keys_and_values(self) -> None:
        super().add_keys_and_values()
        self.remove(self.latent_words)

    def _title(self) -> VGroup:
        layout = ThumbnailLayout.of(self.layout, size=THUMBNAIL, lines=len(self.words))
        self.camera.shot = layout.shot
        lines = VGroup()
        for text, (x, y) in zip(self.words, layout.words, strict=True):
            colour = self.theme.latent if text == self.words[-1] else self.theme.ink
            label = Label(text, size=THUMBNAIL, colour=colour, weight="semibold")
            lines.add(label.on_line(x + label.width / 2, y))
        return lines

    def _text(self) -> VGroup:
        return VGroup()
