"""The size of the cache: one token, one GPU, the work with a number, and what was published.

The numbers are those of published models, not of the trace.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from manim import Animation

from extract.facts.architectures import COMPARED_GROUPS, architecture
from extract.facts.gpus import GPU_BYTES, H100_SXM, decoding_work
from extract.facts.v2_report import V2_SAVING
from filmkit.core.animations import Appear, Vanish
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.language import _
from filmkit.core.numbers import (
    counted_heads,
    format_gigabytes,
    format_number,
    format_percent,
    format_rough,
    listed,
    spoken_bytes,
)
from filmkit.core.stage import Stage, beat
from filmkit.mobjects.cached_numbers import CachedPerToken
from filmkit.pictures.parts import TEXT
from filmkit.world.block import Pose, shot_of
from filmkit.world.box import SketchBody
from filmkit.world.headline import Headline
from filmkit.world.standing import stand, stand_at_once, words_at
from scenes.cache_size.parts import CARD, Gpu, Readers, Row, Shrinking, Token, opening

LARGE, LARGE_NAME = architecture("DeepSeek-V3/R1"), "DeepSeek-R1"
OLD, NEW = architecture("DeepSeek 67B"), architecture("DeepSeek-V2")
CHIP, CHIP_NAME = H100_SXM, "NVIDIA H100"
EVERY_HEAD, LATENT = CachedPerToken(LARGE, "mha"), CachedPerToken(LARGE, "mla")
GROUP = LARGE.n_heads // COMPARED_GROUPS  # heads that would share a set
BIG, MEDIUM = 1.8 * TEXT, 1.4 * TEXT  # sizes of words beside bodies
BY_ROD, BY_MARKS = (0.5, 0.4), (0.5, -0.05)  # from latents to words beside them
LEFT, MARKED = 0.4, 2.3  # room for words beside GPUs
TOP, ABOVE = (0.5, 1, 1), (0.0, 0.4)  # corner of a body above which words are, and how far
APART, UPRIGHT_APART = 2.4, 1.6  # from the middle to each of two GPUs
PITCH, UPRIGHT_PITCH = 1.1 * CARD[0], 2.1 * CARD[1]  # from one card of lamps to the next
BESIDE, UPRIGHT_BESIDE = 3.1, 2.2  # room for words at the left of a body
NAME, NUMBER = (0.0, 0.28), (0.0, 0.74)  # how far over a card of lamps its words and its number are


class CacheSize(Stage):
    """Latents in the room of keys and values, in a token and on a GPU, and what they are worth."""

    title = "What the cache weighs"
    published: tuple[str, ...] = (LARGE_NAME,)  # models and chips whose figures are shown

    def provenance_notes(self) -> tuple[str, str]:
        models = listed(self.published)
        return _("published sizes of {models}  ·  not the traced model", models=models), ""

    def prepare(self) -> None:
        capacity, times = GPU_BYTES // LATENT.size(), EVERY_HEAD.size() / LATENT.size()
        upright = self.frame.upright
        apart = UPRIGHT_APART if upright else APART
        self.token, self.saved = Token(LARGE), Shrinking(OLD, NEW)
        self.gpus = Gpu(-apart), Gpu(apart, times)
        work, ridge = decoding_work(LARGE).per_number, CHIP.ridge()
        places = [(0.0, -UPRIGHT_PITCH * n) if upright else (PITCH * n, 0.0) for n in (0, 1)]
        reads = zip(places, (GROUP, round(work)), ("key", "latent"), strict=True)
        self.cards = [Readers(at, round(ridge), done, role) for at, done, role in reads]
        self.facts |= told(
            heads=(LARGE.n_heads, counted_heads),
            megabytes=(EVERY_HEAD.size(), spoken_bytes),
            kilobytes=(LATENT.size(), spoken_bytes),
            times=(times, format_number),
            about=(times, partial(format_number, digits=2)),
            full=GPU_BYTES // EVERY_HEAD.size(),
            latent_full=capacity,
            few=(capacity / 20, format_rough),
            some=(capacity / 5, format_rough),
            many=(capacity, format_rough),
            work=(work, format_number),
            ridge=(ridge, format_number),
            saving=(V2_SAVING, format_percent),
            smaller=(float(np.prod(self.saved.factors)), partial(format_number, digits=2)),
        )

    def come_from(self, start: Pose, body: SketchBody) -> Animation:
        """Add a body where another one stands, and return the animation in which it leaves."""
        end = body.pose
        self.add(body.stand(start))
        return body.move(end)

    def words(self, figure: str, line: str) -> Headline:
        """Return the words of a picture."""
        return Headline(figure, line, self.frame)

    # One token

    @beat
    def one_token(self) -> None:
        """With keys and values for every head, one token of DeepSeek-R1 takes {megabytes}. Its
        latent takes {kilobytes}."""
        token = self.token
        line = _(
            "<key>keys</key> and <value>values</value> of every head, or a <latent>latent</latent>"
        )
        words = self.words(_("one token of {model}", model=LARGE_NAME), line)
        shot = token.shot(self.frame, into=words.below(head=1.0, foot=0.3).inset(0.55, 0.0))
        self.camera.shot = shot
        self.play(Appear(token.halves), Appear(words), run_time=self.theme.tempo.large)
        for cache, body in ((EVERY_HEAD, token), (LATENT, token.one)):
            size = words_at(cache.told(), body.pose.corner(*TOP), away=ABOVE, width=6.0, size=BIG)
            self.play(*([Appear(body)] if body is token.one else []), Appear(size))

    @beat
    def how_often_it_fits(self) -> None:
        """Where its keys and values were, {times} latents fit."""
        token = self.token
        line = _(
            "a <latent>latent</latent> of a token, instead of its <key>keys</key> and "
            "<value>values</value>"
        )
        words = self.words(_("{times} times smaller", times=self.facts["about"]), line)
        shot = token.shot(self.frame, into=words.below(head=0.6, foot=0.3))
        stand(self, shot, token.halves, token.one, moves=[opening(token.halves)])
        stand_at_once(self, token.latents, token.halves, token.one)
        self.play(token.lay(), run_time=3.5)
        self.play(Appear(words))

    # One GPU

    @beat(
        ask="One GPU was full after {full} tokens. How many fit as latents: about {few}, {some} or "
        "{many}?"
    )
    def one_gpu(self) -> None:
        """This is the same memory, drawn out. From mark to mark are {full} tokens, so
        {latent_full} fit."""
        first, second = self.gpus
        line = _(
            "as <latent>latents</latent>, not as <key>keys</key> and <value>values</value>, in the "
            "{memory} of one GPU",
            memory=fact("memory", GPU_BYTES, format_gigabytes),
        )
        words = self.words(_("{times} times as many tokens", times=self.facts["about"]), line)
        corners = np.concatenate([gpu.glass.pose.corners for gpu in self.gpus])
        room = words.below(head=1.3, foot=0.3)
        room = Box.of(room.left + LEFT, room.right - MARKED, room.bottom, room.top)
        shot = shot_of(corners, self.frame, into=room, turn=0, tilt=5)
        backs, fronts = ([gpu.glass[side] for gpu in self.gpus] for side in (0, 1))
        thick, height, depth = self.token.pose.size
        start = Pose(self.token.pose.at, second.latents.pose.turn, depth, height, thick)
        things = *backs, first.slabs, second.latents, *fronts
        stand(self, shot, *things, moves=[self.come_from(start, second.latents)])
        count, top = _("{count} tokens", count=self.facts["full"]), first.glass.pose.corner(*TOP)
        self.play(Appear(words_at(count, top, away=ABOVE, width=6.0, size=MEDIUM)))
        self.play(Vanish(second.glass.back), Vanish(second.glass.front))
        self.add(second.ticks)
        self.play(second.draw_out(), run_time=4.0)
        count = _("{count} tokens", count=self.facts["latent_full"])
        every, near = _("a mark every {count}", count=self.facts["full"]), second.near.corner
        width = max(MARKED, self.frame.stage.width / 4.5)
        labels = (
            words_at(count, near(*TOP), away=BY_ROD, width=width, size=MEDIUM),
            words_at(every, near(*TOP), away=BY_MARKS, width=width),
        )
        self.play(*map(Appear, (words, *labels)))

    # Why it is faster, and what was published

    @beat
    def one_number_for_all_heads(self) -> None:
        """It's faster, too: while a chip reads one number, it could make {ridge} multiply-adds.
        A number of a latent serves all {heads}, and most numbers twice: on average {work}."""
        self.published = (LARGE_NAME, CHIP_NAME)
        line = _(
            "lamps: {ridge} multiply-adds a chip could make while it reads one number",
            ridge=self.facts["ridge"],
        )
        words = self.words(_("A busy chip, not a waiting one"), line)
        groups = fact("compared groups", COMPARED_GROUPS)
        names = (
            (
                fact("readers", GROUP, sets=COMPARED_GROUPS),
                _("{count} sets of keys", count=groups),
            ),
            (self.facts["work"], _("one latent for all heads")),
        )
        corners = np.concatenate([card.corners for card in self.cards])
        room = words.below(head=1.4, foot=1.25)
        shot = shot_of(corners, self.frame, into=room, turn=0, tilt=9)
        numbers = [card.number for card in self.cards]
        slab, near = self.gpus[0].slabs[0].pose, self.gpus[1].near
        moves = [self.come_from(slab, numbers[0]), self.come_from(near, numbers[1])]
        stand(self, shot, *self.cards, *numbers, moves=moves)
        width = self.frame.stage.width / (1 if self.frame.upright else 2.5)
        for card, (done, name) in zip(self.cards, names, strict=True):
            at = card.pose.corner(1, 1, 0.5)
            label = words_at(name, at, away=NAME, width=width)
            number = words_at(done, at, away=NUMBER, width=width, size=BIG)
            self.play(card.read(), Appear(number), Appear(label), run_time=1.6)
        self.play(Appear(words))

    @beat
    def the_published_saving(self) -> None:
        """DeepSeek published a cache {saving} smaller. That's three changes, multiplied: a latent,
        fewer layers, and fewer bits."""
        self.published = (OLD.name, NEW.name)
        body, upright = self.saved, self.frame.upright
        factors = [fact("factor", f, format_number, place=n) for n, f in enumerate(body.factors)]
        line = _(
            "{factors} ≈ {product} times smaller",
            factors=" × ".join(factors),
            product=self.facts["smaller"],
        )
        words = self.words(_("{saving} less cache", saving=self.facts["saving"]), line)
        beside, width, size = (
            (UPRIGHT_BESIDE, 1.6, TEXT)
            if upright
            else (BESIDE, self.frame.stage.width / 3.9, MEDIUM)
        )
        shot = body.shot(self.frame, into=words.below(head=1.2, foot=0.3, left=beside))
        moves = [self.come_from(self.cards[0].number.pose, body.halves[0])]
        stand(self, shot, *body.halves, moves=moves)
        stand_at_once(self, body.latent, body.halves)
        self.play(opening(body.halves), Appear(body.latent))
        edges = (
            (_("a latent: ÷ {factor}", factor=factors[0]), (0.1, 0.42)),
            (_("fewer layers: ÷ {factor}", factor=factors[1]), (-0.4, 0.4)),
            (_("fewer bits: ÷ {factor}", factor=factors[2]), (-0.25, 0.0)),
        )
        changes = zip(body.poses[1:], body.lengths, edges, strict=True)
        for pose, length, (name, away) in changes:
            label = words_at(name, length.get_center(), away=away, width=width, size=size)
            changed = body.latent.move(pose), Appear(length), Appear(label)
            self.play(*changed, run_time=self.theme.tempo.large)
        self.play(Appear(words))

    @beat
    def a_latent_for_each_token(self) -> None:
        """That's all that is left to keep: of each token a latent, in every layer."""
        self.published = (LARGE_NAME,)
        line = _("a <latent>latent</latent> of each token in every layer, for all heads")
        words = self.words(_("all that is kept"), line)
        row = Row(self.layer.words, words.below(head=0.3, foot=0.4), self.frame)
        moves = [self.come_from(self.saved.latent.pose, row.latents[-1])]
        stand(self, row.shot, *row.latents, row.words, moves=moves)
        self.play(row.light(), run_time=2.4)
        self.play(Appear(words))
