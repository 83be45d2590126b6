"""The size of the cache: one token, one GPU, the work with a number, and what was published.

The numbers are those of published models, not of the trace.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from manim import Group

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
from filmkit.world.block import shot_of
from filmkit.world.headline import Headline
from filmkit.world.standing import TEXT, stand, stand_at_once, words_at
from scenes.cache_size.parts import CARD, Gpu, Readers, Row, Shrinking, Token, opening

LARGE, LARGE_NAME = architecture("DeepSeek-V3/R1"), "DeepSeek-R1"
OLD, NEW = architecture("DeepSeek 67B"), architecture("DeepSeek-V2")
CHIP, CHIP_NAME = H100_SXM, "NVIDIA H100"
EVERY_HEAD, LATENT = CachedPerToken(LARGE, "mha"), CachedPerToken(LARGE, "mla")
BIG, MEDIUM = 1.8 * TEXT, 1.4 * TEXT  # sizes of words beside bodies
ABOVE = (0.0, 0.4)  # from a body to words above it
APART, UPRIGHT_APART = 2.4, 1.6  # from the middle to each of two GPUs
PITCH, UPRIGHT_PITCH = 1.15 * CARD[0], 1.5 * CARD[1]  # from one card of heads to the next
BESIDE, UPRIGHT_BESIDE = 3.0, 2.2  # room for words at the left of a body
NAMED = ((1, 1, 0.5), (0.0, 1.4), (0.0, 0.8), (0.0, 0.3))
UPRIGHT_NAMED = ((1, 0.5, 1), (0.3, 0.9), (0.3, 0.2), (0.3, -0.3))
"""Corner of a card of heads where its words stand, and how far each line is from there."""

SENTENCE = 1.1  # height of the words of the prompt


def two_digits(number: float) -> str:
    """Return a number with two digits that count."""
    return format_number(number, 2)


class CacheSize(Stage):
    """Latents in the room of keys and values, in a token and on a GPU, and what they are worth."""

    title = "What the cache weighs"
    published: tuple[str, ...] = (LARGE_NAME,)  # models and chips whose figures are shown

    def provenance_notes(self) -> tuple[str, str]:
        models = listed(self.published)
        return _("published sizes of {models}  ·  not the traced model", models=models), ""

    def prepare(self) -> None:
        capacity = GPU_BYTES // LATENT.size()
        self.times = EVERY_HEAD.size() / LATENT.size()
        self.facts |= told(
            heads=(LARGE.n_heads, counted_heads),
            megabytes=(EVERY_HEAD.size(), spoken_bytes),
            kilobytes=(LATENT.size(), spoken_bytes),
            times=(self.times, format_number),
            full=GPU_BYTES // EVERY_HEAD.size(),
            latent_full=capacity,
            few=(capacity / 20, format_rough),
            some=(capacity / 5, format_rough),
            many=(capacity, format_rough),
            work=(decoding_work(LARGE).per_number, format_number),
            ridge=(CHIP.ridge(), format_number),
            saving=(V2_SAVING, format_percent),
        )

    def words(self, figure: str, line: str) -> Headline:
        """Return the words of a picture."""
        return Headline(figure, line, self.frame)

    # One token

    @cached_property
    def token(self) -> Token:
        """A token of the large model."""
        return Token(LARGE)

    @beat
    def one_token(self) -> None:
        """One token of DeepSeek-R1. With keys and values for every head, it takes {megabytes}. Its
        latent takes {kilobytes}."""
        token = self.token
        line = _(
            "<key>keys</key> and <value>values</value> of every head, or a <latent>latent</latent>"
        )
        words = self.words(_("one token of {model}", model=LARGE_NAME), line)
        shot = token.shot(self.frame, into=words.below(head=1.0, foot=0.3).inset(0.2, 0.0))
        stand(self, shot, token.halves, words)
        for cache, body in ((EVERY_HEAD, token), (LATENT, token.one)):
            at = body.pose.corner(0.5, 1, 1)
            size = words_at(cache.told(), at, away=ABOVE, width=6.0, size=BIG)
            self.play(*([Appear(body)] if body is token.one else []), Appear(size))

    @beat
    def how_often_it_fits(self) -> None:
        """In the room of these keys and values there is room for {times} latents."""
        token = self.token
        line = _("in the room of one token’s <key>keys</key> and <value>values</value>")
        words = self.words(_("{times} latents", times=self.facts["times"]), line)
        shot = token.shot(self.frame, into=words.below(head=0.6, foot=0.3))
        if token.halves not in self.mobjects:
            stand_at_once(self, token.halves, token.one, shot=shot)
        stand(self, shot, token.halves, token.one, moves=[opening(token.halves)])
        stand_at_once(self, token.latents, token.halves, token.one)
        self.play(token.lay(), run_time=4.0)
        self.play(Appear(words))

    # One GPU

    @beat(
        ask="One GPU is full after {full} tokens, if every head keeps its own. How many fit as "
        "latents? About {few}, {some} or {many}?"
    )
    def one_gpu(self) -> None:
        """The same memory, drawn out until each mark on the floor is as many tokens again:
        {latent_full}."""
        apart = UPRIGHT_APART if self.frame.upright else APART
        first, second = Gpu(-apart), Gpu(apart, self.times)
        line = _(
            "as <latent>latents</latent>, not as <key>keys</key> and <value>values</value>, in the "
            "{memory} of one GPU",
            memory=fact("memory", GPU_BYTES, format_gigabytes),
        )
        words = self.words(_("{count} tokens", count=self.facts["latent_full"]), line)
        glass = Group(first.glass, second.glass)
        corners = np.concatenate([box.pose.corners for box in glass])
        room = words.below(head=1.2, foot=0.3)
        shot = shot_of(corners, self.frame, into=room, turn=0, tilt=6)
        backs, fronts = ([box[side] for box in glass] for side in (0, 1))
        stand(self, shot, *backs, first.slabs, second.latents, *fronts)
        count = _("{count} tokens", count=self.facts["full"])
        top = first.glass.pose.corner(0.5, 1, 1)
        self.play(Appear(words_at(count, top, away=ABOVE, width=6.0, size=MEDIUM)))
        self.play(Vanish(second.glass.back), Vanish(second.glass.front))
        self.add(second.ticks)
        self.play(second.draw_out(), run_time=5.0)
        self.play(Appear(words))

    # Why it is faster, and what was published

    @beat
    def one_number_for_all_heads(self) -> None:
        """And it's faster. Each number that is read serves all {heads}, most of them twice: in the
        score and in the mix. {work} multiply-adds on average, of {ridge} that the chip could do."""
        self.published = (LARGE_NAME, CHIP_NAME)
        line = _("for each number of a <latent>latent</latent> that is read, on average")
        words = self.words(_("{work} multiply-adds", work=self.facts["work"]), line)
        size, groups = latent_size(LARGE), fact("compared groups", COMPARED_GROUPS)
        twice, once = fact("used twice", size.kv_rank), fact("used once", size.rope_dim)
        key, latent, upright = self.theme.key, self.theme.latent, self.frame.upright
        cases = (
            (COMPARED_GROUPS, 1, key, _("{groups} groups of heads", groups=groups)),
            (1, 2, latent, _("{count} of a latent’s numbers", count=twice)),
            (1, 1, key, _("{count} rotated numbers", count=once)),
        )
        cards, labels = [], []
        for number, (sets, lamps, colour, what) in enumerate(cases):
            at = (0.0, (1 - number) * UPRIGHT_PITCH) if upright else ((number - 1) * PITCH, 0.0)
            readers = LARGE.n_heads // sets
            card = Readers(at, LARGE.n_heads, readers, lamps, colour)
            heads = fact("readers", readers, counted_heads, sets=sets)
            how = (
                _("{heads}, once", heads=heads) if lamps == 1 else _("{heads}, twice", heads=heads)
            )
            done = fact("served", readers * lamps, readers=readers, lamps=lamps)
            corner, *away = UPRIGHT_NAMED if upright else NAMED
            lines = zip((done, what, how), away, (BIG, TEXT, TEXT), strict=True)
            cards.append(card)
            labels.append(
                Group(
                    *(
                        words_at(text, card.pose.corner(*corner), away=where, width=4.0, size=high)
                        for text, where, high in lines
                    )
                )
            )
        room = words.below(head=0.4 if upright else 1.9, foot=0.4)
        if upright:
            room = Box.of(room.left, room.x + 0.2, room.bottom, room.top)
        corners = np.concatenate([card.corners for card in cards])
        stand(self, shot_of(corners, self.frame, into=room, turn=0, tilt=9), *cards)
        for card, label in zip(cards, labels, strict=True):
            self.play(card.read(), Appear(label), run_time=2.0)
        self.play(Appear(words))

    @beat
    def the_published_saving(self) -> None:
        """DeepSeek published a saving of {saving}. That is three changes, multiplied: a latent,
        fewer layers, and fewer bits."""
        self.published = (OLD.name, NEW.name)
        body, upright = Shrinking(OLD, NEW), self.frame.upright
        factors = [
            fact("factor", factor, format_number, place=place)
            for place, factor in enumerate(body.factors)
        ]
        line = _(
            "{new} instead of {old}: {factors} ≈ {product} times smaller",
            new=NEW.name,
            old=OLD.name,
            factors=" × ".join(factors),
            product=fact("times smaller", float(np.prod(body.factors)), two_digits),
        )
        words = self.words(_("{saving} less cache", saving=self.facts["saving"]), line)
        beside, width, size = (UPRIGHT_BESIDE, 1.6, TEXT) if upright else (BESIDE, 6.0, MEDIUM)
        shot = body.shot(self.frame, into=words.below(head=1.2, foot=0.3, left=beside))
        stand(self, shot, body.halves)
        stand_at_once(self, body.latent, body.halves)
        self.play(opening(body.halves), Appear(body.latent))
        edges = (
            (_("a latent: ÷ {factor}", factor=factors[0]), (0.5, 1, 1), (0.1, 0.4)),
            (_("fewer layers: ÷ {factor}", factor=factors[1]), (0, 1, 0.5), (-0.2, 0.3)),
            (_("fewer bits: ÷ {factor}", factor=factors[2]), (0, 0.5, 0), (-0.2, 0.0)),
        )
        for pose, (name, corner, away) in zip(body.poses[1:], edges, strict=True):
            label = words_at(name, body.pose.corner(*corner), away=away, width=width, size=size)
            self.play(body.latent.move(pose), Appear(label), run_time=self.theme.tempo.large)
        self.play(Appear(words))

    @beat
    def all_are_read(self) -> None:
        """Still, for every new token, the model reads what it keeps of all tokens before."""
        self.published = (LARGE_NAME,)
        line = _("for every new token, one <latent>latent</latent> of each token before")
        words, row = self.words(_("all of them are read"), line), Row(self.layer.count)
        room = words.below(head=0.3)
        text, body = room.split_rows((SENTENCE, room.height - SENTENCE), 0.3)
        sentence = pin_to_frame(Sentence(self.layer.words, text, size=MEDIUM).words)
        stand(self, row.shot(self.frame, into=body.inset(0.3)), row, sentence)
        self.play(row.read(), run_time=3.0)
        self.play(Appear(words))
