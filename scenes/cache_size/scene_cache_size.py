"""The size of the cache: one token, one GPU, the work with a number, and what was published.

The numbers are those of published models, not of the trace.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from manim import Animation

from extract.architectures import (
    COMPARED_GROUPS,
    GPU_BYTES,
    H100_SXM,
    V2_SAVING,
    architecture,
    decoding_work,
    latent_size,
)
from filmkit.core.animations import Appear, Vanish
from filmkit.core.camera import pin_to_frame
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
from filmkit.mobjects.sentence import Sentence
from filmkit.world.block import Pose, shot_of
from filmkit.world.box import SketchBody
from filmkit.world.headline import Headline
from filmkit.world.standing import TEXT, stand, stand_at_once, words_at
from scenes.cache_size.parts import CARD, Gpu, Readers, Row, Shrinking, Token, opening

LARGE, LARGE_NAME = architecture("DeepSeek-V3/R1"), "DeepSeek-R1"
OLD, NEW = architecture("DeepSeek 67B"), architecture("DeepSeek-V2")
CHIP, CHIP_NAME = H100_SXM, "NVIDIA H100"
EVERY_HEAD, LATENT = CachedPerToken(LARGE, "mha"), CachedPerToken(LARGE, "mla")
GROUP = LARGE.n_heads // COMPARED_GROUPS  # heads that would share a set
BIG, MEDIUM = 1.8 * TEXT, 1.4 * TEXT  # sizes of words beside bodies
TOP, ABOVE = (0.5, 1, 1), (0.0, 0.4)  # corner of a body above which words are, and how far
APART, UPRIGHT_APART = 2.4, 1.6  # from the middle to each of two GPUs
PITCH, UPRIGHT_PITCH = 1.15 * CARD[0], 1.5 * CARD[1]  # from one card of heads to the next
BESIDE, UPRIGHT_BESIDE = 3.0, 2.2  # room for words at the left of a body
NAMED = (1, 1, 0.5), (0.0, 0.9, 0.36), (0.0, 0.3), 3.4
UPRIGHT_NAMED = (1, 0.5, 1), (0.3, 0.4, 0.0), (0.3, -0.2), 2.3
"""Corner of a card of heads where its number stands; how far that is away, and how much farther for
each other line of its words; how far these are; and which part of the stage they have."""

READERS = (GROUP, 1, "key"), (LARGE.n_heads, 2, "latent"), (LARGE.n_heads, 1, "key")
"""Heads that read a number, how often each of them uses it, and whose number it is."""

SENTENCE = 1.1  # height of the words of the prompt


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
        places = [(0.0, -UPRIGHT_PITCH * n) if upright else (PITCH * n, 0.0) for n in (-1, 0, 1)]
        cards = zip(places, READERS, strict=True)
        self.cards = [Readers(at, LARGE.n_heads, *read) for at, read in cards]
        self.facts |= told(
            heads=(LARGE.n_heads, counted_heads),
            megabytes=(EVERY_HEAD.size(), spoken_bytes),
            kilobytes=(LATENT.size(), spoken_bytes),
            times=(times, format_number),
            full=GPU_BYTES // EVERY_HEAD.size(),
            latent_full=capacity,
            few=(capacity / 20, format_rough),
            some=(capacity / 5, format_rough),
            many=(capacity, format_rough),
            work=(decoding_work(LARGE).per_number, format_number),
            ridge=(CHIP.ridge(), format_number),
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
        shot = token.shot(self.frame, into=words.below(head=1.0, foot=0.3).inset(0.4, 0.0))
        self.camera.shot = shot
        self.play(Appear(token.halves), Appear(words), run_time=self.theme.tempo.large)
        for cache, body in ((EVERY_HEAD, token), (LATENT, token.one)):
            size = words_at(cache.told(), body.pose.corner(*TOP), away=ABOVE, width=6.0, size=BIG)
            self.play(*([Appear(body)] if body is token.one else []), Appear(size))

    @beat
    def how_often_it_fits(self) -> None:
        """Where its keys and values were, {times} latents fit."""
        token = self.token
        line = _("in the room of one token’s <key>keys</key> and <value>values</value>")
        words = self.words(_("{times} latents", times=self.facts["times"]), line)
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
        words = self.words(_("{count} tokens", count=self.facts["latent_full"]), line)
        corners = np.concatenate([gpu.glass.pose.corners for gpu in self.gpus])
        room = words.below(head=1.3, foot=0.3)
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
        self.play(Appear(words))

    # Why it is faster, and what was published

    @beat
    def one_number_for_all_heads(self) -> None:
        """It's faster, too. Each number that is read now serves all {heads}, and most numbers
        twice: on average {work} multiply-adds, of {ridge} that the chip could do."""
        self.published = (LARGE_NAME, CHIP_NAME)
        line = _("for each number of a <latent>latent</latent> that is read, on average")
        words = self.words(_("{work} multiply-adds", work=self.facts["work"]), line)
        size, every = latent_size(LARGE), self.facts["heads"]
        groups = fact("compared groups", COMPARED_GROUPS)
        some = fact("readers", GROUP, counted_heads, sets=COMPARED_GROUPS)
        twice, once = fact("used twice", size.kv_rank), fact("used once", size.rope_dim)
        names = (
            _("{groups} groups: {heads}, once", groups=groups, heads=some),
            _("{count} numbers: {heads}, twice", count=twice, heads=every),
            _("{count} rotated: {heads}, once", count=once, heads=every),
        )
        room = words.below(head=0.4 if self.frame.upright else 1.8, foot=0.4)
        if self.frame.upright:
            room = Box.of(room.left, room.x + 0.2, room.bottom, room.top)
        corners = np.concatenate([card.corners for card in self.cards])
        shot = shot_of(corners, self.frame, into=room, turn=0, tilt=9)
        numbers = [card.number for card in self.cards]
        slab, near = self.gpus[0].slabs[0].pose, self.gpus[1].near
        moves = [self.come_from(slab, numbers[0]), self.come_from(near, numbers[1])]
        stand(self, shot, *self.cards, *numbers, moves=moves)
        corner, (x, y, more), below, part = UPRIGHT_NAMED if self.frame.upright else NAMED
        width = self.frame.stage.width / part
        for place, (card, name) in enumerate(zip(self.cards, names, strict=True)):
            done, at = fact("served", len(card.used), place=place), card.pose.corner(*corner)
            label = words_at(name, at, away=below, width=width)
            above = (x, y + more * (len(label) - 1))
            number = words_at(done, at, away=above, width=width, size=BIG)
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
            "{new} instead of {old}: {factors} ≈ {product} times smaller",
            new=NEW.name,
            old=OLD.name,
            factors=" × ".join(factors),
            product=self.facts["smaller"],
        )
        words = self.words(_("{saving} less cache", saving=self.facts["saving"]), line)
        beside, width, size = (UPRIGHT_BESIDE, 1.6, TEXT) if upright else (BESIDE, 6.0, MEDIUM)
        shot = body.shot(self.frame, into=words.below(head=1.2, foot=0.3, left=beside))
        moves = [self.come_from(self.cards[0].number.pose, body.halves[0])]
        stand(self, shot, *body.halves, moves=moves)
        stand_at_once(self, body.latent, body.halves)
        self.play(opening(body.halves), Appear(body.latent))
        edges = (
            (_("a latent: ÷ {factor}", factor=factors[0]), TOP, (0.1, 0.4)),
            (_("fewer layers: ÷ {factor}", factor=factors[1]), (0, 1, 0.5), (-0.2, 0.3)),
            (_("fewer bits: ÷ {factor}", factor=factors[2]), (0, 0.5, 0), (-0.2, 0.0)),
        )
        for pose, (name, corner, away) in zip(body.poses[1:], edges, strict=True):
            label = words_at(name, body.pose.corner(*corner), away=away, width=width, size=size)
            self.play(body.latent.move(pose), Appear(label), run_time=self.theme.tempo.large)
        self.play(Appear(words))

    @beat
    def a_latent_for_each_token(self) -> None:
        """That's all that is left to keep: of each token a latent, in every layer."""
        self.published = (LARGE_NAME,)
        line = _("a <latent>latent</latent> of each token in every layer, for all heads")
        words, row = self.words(_("all that is kept"), line), Row(self.layer.count)
        room = words.below(head=0.3)
        text, body = room.split_rows((SENTENCE, room.height - SENTENCE), 0.3)
        sentence = pin_to_frame(Sentence(self.layer.words, text, size=MEDIUM).words)
        moves = [self.come_from(self.saved.latent.pose, row.latents[-1])]
        shot = row.shot(self.frame, into=body.inset(0.3))
        stand(self, shot, row.glass.back, *row.latents, row.glass.front, sentence, moves=moves)
        self.play(row.light(), run_time=2.4)
        self.play(Appear(words))
