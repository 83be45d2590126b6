"""Four posters and a thumbnail: the same heads, with the keys and values of each scheme."""

from __future__ import annotations

from typing import ClassVar

from manim import VGroup

from extract.recompute.sharing import groups_for
from filmkit.core.animations import at_once
from filmkit.core.camera import pin_to_frame
from filmkit.core.card import FILM_TITLE
from filmkit.core.facts import claim, fact
from filmkit.core.language import N_, _
from filmkit.core.light import glow
from filmkit.core.numbers import counted_heads, counted_sets
from filmkit.core.stage import beat
from filmkit.core.text import NO_BREAK_SPACE, Label
from filmkit.pictures.latent_view import LatentView
from filmkit.pictures.stage import Stage
from filmkit.world.world import World

__all__ = [
    "GroupedQueryPoster",
    "LatentPoster",
    "MultiHeadPoster",
    "MultiQueryPoster",
    "Poster",
    "Thumbnail",
]

THUMBNAIL, DROP = 0.17, 0.4  # text size of the thumbnail, and how far below the top it stands


class Poster(Stage):
    """All heads of a layer in the room under one attention scheme, and what the scheme keeps.

    Attributes
    ----------
    name, idea
        The title, and the line below it, with the numbers of sets and heads in braces.
    """

    tensors = ("q", "k", "v", "pattern", "z")

    name: ClassVar[str]
    idea: ClassVar[str]

    @property
    def sets(self) -> int:
        """Number of sets of keys and values."""
        raise NotImplementedError

    def prepare(self) -> None:
        self.world = World(self.layer, self.frame)

    @beat
    def poster(self) -> None:
        """The poster."""
        self.camera.shot = self.world.shot("arc")
        self.share()
        self.add(self.world, self.words())
        self.hold()

    def share(self) -> None:
        """Let keys and values stand where the scheme has them."""
        self.world.share_at_once(self.sets)

    def words(self) -> VGroup:
        """Return the title, and the line below it."""
        meta = self.trace.meta
        kept = fact("kept numbers", self.sets * (meta.d_qk + meta.d_v), sets=self.sets)
        idea = _(self.idea, sets=counted_sets(self.sets), heads=counted_heads(meta.n_heads))
        line = _("{idea}: {kept} numbers per token", idea=idea, kept=kept)
        return self.headline_of(_(self.name), line)

    def remark(self) -> str:
        """Return what nobody has trained in this picture; "" if all of it is the model's own."""
        return ""

    def provenance_notes(self) -> tuple[str, str]:
        about, hidden = super().provenance_notes()
        return "  ·  ".join(filter(None, (about, self.remark()))), hidden


class MultiHeadPoster(Poster):
    """Poster of multi-head attention."""

    name = N_("Multi-head attention")
    idea = N_("<key>keys</key> and <value>values</value> for every head")

    @property
    def sets(self) -> int:
        return self.trace.meta.n_heads

    def remark(self) -> str:
        repeats = self.trace.meta.n_kv_heads < self.trace.meta.n_heads
        return claim(repeats, _("hypothetical (dim: repeated)"))


class SharedPoster(Poster):
    """Poster with heads that share keys and values."""

    def remark(self) -> str:
        pooled = self.trace.meta.n_kv_heads // self.sets
        if pooled == 1:
            return ""
        return _("means of {count} sets, without training", count=pooled)


class GroupedQueryPoster(SharedPoster):
    """Poster of grouped-query attention."""

    name = N_("Grouped-query attention")
    idea = N_("{sets} of <key>keys</key> and <value>values</value> for {heads}")

    @property
    def sets(self) -> int:
        meta = self.trace.meta
        grouped = 1 < meta.n_kv_heads < meta.n_heads
        return meta.n_kv_heads if grouped else groups_for(meta.n_kv_heads)


class MultiQueryPoster(SharedPoster):
    """Poster of multi-query attention."""

    name = N_("Multi-query attention")
    idea = N_("one set of <key>keys</key> and <value>values</value> for {heads}")

    @property
    def sets(self) -> int:
        return 1


class LatentPoster(Poster):
    """Poster of multi-head latent attention."""

    name = N_("Multi-head latent attention")

    def prepare(self) -> None:
        super().prepare()
        self.view = LatentView.of(self.layer)

    def share(self) -> None:
        world = self.world
        world.remove(*world.pairs, world.lines)
        world.add(world.latent)
        at_once(world.rays(to_cards=True))
        if self.view.mla.origin != "trained":
            for card in world.cards:
                self.view.head(card.head).absorbed["pattern"].fill(card.pattern)

    def words(self) -> VGroup:
        rope = self.view.mla.d_rope
        latent = fact("kept numbers", self.view.mla.rank, part="latent")
        line = claim(
            bool(rope),
            _(
                "one <latent>latent</latent> and a <key>rotated key</key>: {latent} + {rope} "
                "numbers per token",
                latent=latent,
                rope=fact("kept numbers", rope, part="rope"),
            ),
            _("one <latent>latent</latent>: {count} numbers per token", count=latent),
        )
        name = _(self.name)
        # In wide frames it stands on one line, and is smaller if need be: cards are below.
        words = name if self.frame.upright else name.replace(" ", NO_BREAK_SPACE)
        return self.headline_of(words, line)

    def remark(self) -> str:
        fitted = claim(self.view.mla.origin == "fitted", _("the latent is fitted, not trained"))
        return fitted or (self.view.origin_note() if self.view.mla.origin == "converted" else "")


class Thumbnail(LatentPoster):
    """Thumbnail of the film: the latent and its heads, with the film's title."""

    call: ClassVar[str] = FILM_TITLE

    def provenance_notes(self) -> tuple[str, str]:
        return "", ""

    def words(self) -> VGroup:
        free = self.frame.free
        label = glow(Label(_(self.call), size=THUMBNAIL, weight="semibold"))
        label.shrink_to(free.width)
        label.on_line(free.x, free.top - DROP * label.line_height)
        return pin_to_frame(VGroup(label))
