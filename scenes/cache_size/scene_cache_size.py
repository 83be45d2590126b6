"""The size of the cache: one token, one GPU, the work with a number, and what was published.

The numbers are those of published models, not of the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from manim import UP, Animation, Mobject, VGroup

from extract.facts.architectures import architecture, latent_size
from extract.facts.gpus import GPU_BYTES, decoding_work
from extract.facts.v2_report import V2_SAVING
from filmkit.core.animations import Appear, Glide, Vanish, second_half
from filmkit.core.camera import Shot, keep_upright, pin_to_frame
from filmkit.core.facts import fact, named_facts
from filmkit.core.headline import Headline
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import (
    counted_heads,
    counted_sets,
    format_gigabytes,
    format_number,
    format_percent,
    format_rough,
    spoken_bytes,
)
from filmkit.core.seats import shot_of
from filmkit.core.stage import Stage, beat
from filmkit.core.text import NO_BREAK_SPACE, Label
from filmkit.mobjects.cached_numbers import CachedPerToken
from filmkit.mobjects.running_text import RunningText
from filmkit.pictures.parts import TEXT
from filmkit.world.block import Pose
from filmkit.world.box import SketchBody
from filmkit.world.published import CHIP, CHIP_NAME, LARGE, LARGE_NAME, published_notes
from filmkit.world.standing import stand, stand_at_once, words_at
from scenes.cache_size.parts import CARD, Gpu, Readers, Row, Shrinking, Token, opening

OLD, NEW = architecture("DeepSeek 67B"), architecture("DeepSeek-V2")
EVERY_HEAD, LATENT = CachedPerToken(LARGE, "mha"), CachedPerToken(LARGE, "mla")
BIG, MEDIUM, ARROW = 1.8 * TEXT, 1.4 * TEXT, 0.07  # sizes of words beside bodies, and of arrows
TOP, ABOVE = (0.5, 1, 1), (0.0, 0.4)  # corner of a body above which words are, and how far
APART, UPRIGHT_APART = 2.4, 1.85  # from the middle to each of two GPUs
VIEW, UPRIGHT_VIEW = (22.0, 13.0), (42.0, 16.0)  # from how far to the right and above, in degrees
PITCH, UPRIGHT_PITCH = 1.1 * CARD[0], 2.5 * CARD[1]  # from one card of lamps to the next
CHANGED, UPRIGHT_CHANGED = 1.9, 2.0  # widths of words at bodies, at most
WORDS_OVER = 0.75  # width of words over a body, as a share of its own
OVER, GPU_OVER = (0.0, 0.65), (0.0, 0.75)  # from the top of bodies to words over them
SIZE = 2.0  # seconds in which a size appears
SLOWLY = 3.0  # seconds in which words appear while much is said
# Seconds in which a body is cut into latents, and in which latents begin to glow.
CUT, LIGHT = 3.0, 2.4
WORD_SIZE, SMALLER = 0.075, 0.1  # of a sentence; and by how much the word shrinks that is meant
NAME, NUMBER = (0.0, 0.28), 0.1  # from a card of lamps to its words, and from them to its number
BELOW, FOOT = 0.35, 0.3  # free below a headline and at the foot, in scene units


def counted_uses(number: int) -> str:
    """Return how often a number is used: "once", "2 times"."""
    return ngettext("once", "{number} times", number)


def parts_of_latent() -> str:
    """Return what the large model keeps of a token in a layer, and how many numbers that is."""
    latent = latent_size(LARGE)
    kept = {"latent": latent.kv_rank, "rope": latent.rope_dim, "both": sum(latent[:2])}
    return _(
        "a latent and a rotated key, {latent} + {rope} = {both} numbers",
        **{part: fact("kept by the large model", n, part=part) for part, n in kept.items()},
    )


class CacheSize(Stage):
    """How much smaller latents are than keys and values: of a token, on a GPU, as published.

    One factor is left out on purpose: that of DeepSeek-V2's throughput; see
    :func:`extract.facts.v2_report.v2_cache_claim`.
    """

    title = "What the cache weighs"
    published: tuple[str, ...] = (LARGE_NAME,)  # models and chips whose figures are shown

    def provenance_notes(self) -> tuple[str, str]:
        return published_notes(self.published)

    def prepare(self) -> None:
        capacity, times = GPU_BYTES // LATENT.size(), EVERY_HEAD.size() / LATENT.size()
        upright = self.frame.upright
        apart = UPRIGHT_APART if upright else APART
        self.view = UPRIGHT_VIEW if upright else VIEW
        self.token = Token(LARGE)
        self.saved = Shrinking(OLD, NEW, turn=None if upright else self.view[0])
        self.gpus = Gpu(-apart, self.view[0], times), Gpu(apart, self.view[0], times)
        uses, work = (decoding_work(LARGE, scheme).per_number for scheme in ("mha", "mla"))
        ridge = CHIP.ridge()
        places = [
            (0.0, -UPRIGHT_PITCH * n) if self.frame.tall else (PITCH * n, 0.0) for n in (0, 1)
        ]
        reads = zip(places, (uses, work), ("key", "latent"), strict=True)
        self.cards = [Readers(at, round(ridge), round(done), role) for at, done, role in reads]
        self.facts |= named_facts(
            heads=(LARGE.n_heads, counted_heads),
            megabytes=(EVERY_HEAD.size(), spoken_bytes),
            kilobytes=(LATENT.size(), spoken_bytes),
            times=(times, format_number),
            about=(times, partial(format_number, digits=2)),
            full=GPU_BYTES // EVERY_HEAD.size(),
            latent_full=capacity,
            few=(capacity / 20, format_rough),
            some=(capacity / 4, format_rough),
            many=(capacity, format_rough),
            uses=(round(uses), counted_uses),
            work=(work, format_number),
            ridge=(ridge, format_number),
            saving=(V2_SAVING, format_percent),
            by_latent=(self.saved.factors[0], format_number),
            smaller=(float(np.prod(self.saved.factors)), partial(format_number, digits=2)),
        )

    def come_from(self, start: Pose, body: SketchBody) -> Animation:
        """Return the animation in which a body comes to its place from where another one is.

        It is added to the scene there.
        """
        end = body.pose
        self.add(body.stand(start))
        return body.move(end)

    def seen(self, corners: npt.ArrayLike, below: Headline, names: Sequence[Mobject] = ()) -> Shot:
        """Return the shot from the right and above in which points (n, 3) and names fill a room.

        It is the one that a headline leaves.
        """
        turn, tilt = self.view
        into = below.below(head=BELOW, foot=FOOT)
        return shot_of(corners, self.frame, into=into, turn=turn, tilt=tilt, words=names)

    # One token

    @beat
    def one_token(self) -> None:
        """With keys and values for every head, [one] token of DeepSeek-R1 takes {megabytes}. Its
        [latents], one in each layer, with the part for position, take {kilobytes}."""
        token = self.token
        sentence = RunningText(self.layer.words, self.frame.free, size=WORD_SIZE).words
        word = max(sentence, key=lambda label: label.width)
        others = VGroup(*(label for label in sentence if label is not word))
        self.play(Appear(sentence))
        line = _(
            "one token of {model}: <key>keys</key> and <value>values</value> of every head, "
            "or <latent>{parts}</latent> in each layer",
            model=LARGE_NAME,
            parts=parts_of_latent(),
        )
        words = self.headline_of(_("A latent is far smaller"), line)
        whole, latent = (
            words_at(cache.size_fact(role), body.pose.corner(*TOP), away=ABOVE, size=BIG)
            for cache, role, body in ((EVERY_HEAD, "key", token), (LATENT, "latent", token.one))
        )
        pin_to_frame(sentence)
        self.camera.shot = shot = self.seen(token.corners, words, (whole, latent))
        # The word that is meant goes to where its keys and values are.
        middle = shot.project(token.pose.corners, self.frame.height).mean(axis=0) * [1, 1, 0]
        self.play(
            Vanish(others),
            Glide(word, word.copy().scale(SMALLER).move_to(middle), remover=True),
            Appear(token.halves, rate_func=second_half),
            run_time=self.theme.tempo.large,
        )
        self.wait_for("one")
        self.play(Appear(whole), run_time=SIZE)
        self.wait_for("latents")
        self.play(*map(Appear, (token.one, latent, words)), run_time=SIZE)

    @beat
    def how_often_it_fits(self) -> None:
        """Where its keys and values were, the latents of {times} tokens fit."""
        token = self.token
        line = _("in the room of one token’s <key>keys</key> and <value>values</value>")
        words = self.headline_of(
            _("Latents of {times} tokens fit", times=self.facts["about"]), line
        )
        shot = self.seen(token.corners, words)
        stand(self, shot, token.halves, token.one, moves=[opening(token.halves)])
        stand_at_once(self, token.latents, token.halves, token.one)
        self.play(token.lay(), run_time=3.5)
        self.play(Appear(words))

    # One GPU

    @beat(
        ask="Keys and values of {full} tokens of DeepSeek-R1 fill an empty GPU. How many tokens "
        "fit there as latents: about [{few}], [{some}] or [{many}]?",
        answer="many",
        choice="about {choice} tokens",
    )
    def one_gpu(self) -> None:
        """Where the [keys] and values of {full} tokens are, the [latents] of {latent_full} fit."""
        line = _(
            "in an empty GPU: as <latent>latents</latent>, not as <key>keys</key> and "
            "<value>values</value> of every head"
        )
        words = self.headline_of(_("{times} times as many tokens", times=self.facts["about"]), line)
        corners = np.concatenate([gpu.glass.pose.corners for gpu in self.gpus])
        memory = fact("memory", GPU_BYTES, format_gigabytes)
        labels = [
            words_at(
                _("{count} in {memory}", count=self.facts[count], memory=memory),
                gpu.glass.pose.corner(0.5, 1, 0.5),
                away=GPU_OVER,
                width=0.45 * self.frame.free.width,
                size=MEDIUM,
            )
            for count, gpu in zip(("full", "latent_full"), self.gpus, strict=True)
        ]
        shot = self.seen(corners, words, labels)
        first, second = self.gpus
        backs, fronts = ([gpu.glass[side] for gpu in self.gpus] for side in (0, 1))
        things = *backs, first.slabs, second.latents, *fronts
        moves = [self.come_from(self.token.pose, second.latents)]
        stand(self, shot, *things, moves=moves)
        self.wait_for("keys")
        self.play(Appear(labels[0]))
        self.wait_for("latents")
        self.add(second.cuts)
        self.play(second.cut(), run_time=CUT)
        self.play(Appear(labels[1]))
        self.play(Appear(words))

    # Why it is faster, and what was published

    @beat
    def one_number_for_all_heads(self) -> None:
        """It's faster, too: while a chip reads one number, it could make {ridge} multiply-adds. A
        number of a key is used {uses}; one of a [latent] serves all {heads}, and most numbers
        [twice]: on average {work} times."""
        self.published = (LARGE_NAME, CHIP_NAME)
        line = _(
            "while one number is fetched, the chip could do {ridge} calculations",
            ridge=self.facts["ridge"],
        )
        words = self.headline_of(_("Read once, use often"), line)
        key, latent = _("a key that one head reads"), _("a latent that all heads share")
        once, often = (decoding_work(LARGE, scheme).per_number for scheme in ("mha", "mla"))
        work = fact("work", often, format_number, beside=latent)
        uses = (
            (fact("uses", once, counted_uses, beside=key), key),
            (_("{count} times", count=work), latent),
        )
        labels = [self.used(*pair, card) for pair, card in zip(uses, self.cards, strict=True)]
        numbers = [card.number for card in self.cards]
        corners = np.concatenate([card.corners for card in self.cards])
        into = words.below(head=BELOW, foot=FOOT)
        shot = shot_of(corners, self.frame, into=into, turn=0, tilt=9, words=labels)
        starts = self.gpus[0].slabs[-2].pose, self.gpus[1].latent
        moves = [self.come_from(*pair) for pair in zip(starts, numbers, strict=True)]
        stand(self, shot, *self.cards, *numbers, moves=moves)
        for card, label in zip(self.cards, labels, strict=True):
            if card is self.cards[-1]:
                self.wait_for("latent")
            self.play(card.read(), Appear(label), run_time=6.6)
        self.wait_for("twice")
        self.play(Appear(words))

    def used(self, count: str, name: str, card: Readers) -> VGroup:
        """Return the words over a card of lamps: how often its number is used, and what it is."""
        at, width = card.pose.corner(1, 1, 0.5), 0.48 * self.frame.free.width
        label = words_at(name, at, away=NAME, width=2 * width if self.frame.tall else width)
        number = Label(count, size=BIG).next_to(label, UP, buff=NUMBER)
        return keep_upright(VGroup(number, label), at)

    @beat
    def the_published_saving(self) -> None:
        """DeepSeek-V2's cache, DeepSeek says, is {saving} smaller than that of DeepSeek 67B.
        Published sizes give just that: a [latent], here only {by_latent} times smaller, as those
        heads share already, fewer [layers], and fewer [bits]."""
        self.published = (OLD.name, NEW.name)
        body, upright = self.saved, self.frame.upright
        line = _(
            "DeepSeek’s figure for {new} against {old}; the steps, {product} times in all, are "
            "worked out from published sizes",
            new=NEW.name,
            old=OLD.name.replace(" ", NO_BREAK_SPACE),
            product=self.facts["smaller"],
        )
        words = self.headline_of(_("{saving} less cache", saving=self.facts["saving"]), line)

        def beside(name: str, pose: Pose) -> VGroup:
            if upright:
                corner, away, width = pose.corner(1, 0.5, 1), (0.25, 0.0), UPRIGHT_CHANGED
            else:
                corner, away = pose.corner(0.5, 1, 0.5), OVER
                width = max(CHANGED, WORDS_OVER * pose.thick)
            return words_at(name, corner, away=away, width=width, size=1.2 * TEXT)

        factors = [fact("factor", f, format_number, place=n) for n, f in enumerate(body.factors)]
        shared = _(
            "{sets} for {heads}",
            sets=fact("old sets", OLD.n_kv_heads, counted_sets),
            heads=fact("old heads", OLD.n_heads, counted_heads),
        )
        texts = [
            _("keys and values: {shared}", shared=shared),
            _("a latent: ÷ {factor}", factor=factors[0]),
            _("fewer layers: ÷ {factor}", factor=factors[1]),
            _("fewer bits: ÷ {factor}", factor=factors[2]),
        ]
        if upright:
            texts[0] = shared  # there is room for few words
        poses = [body.sizes[0], *(step.pose for step in body.steps)]
        labels = [beside(text, pose) for text, pose in zip(texts, poses, strict=True)]
        shot = self.seen(body.corners, words, labels)
        moves = [self.come_from(self.cards[0].number.pose, body.halves[0])]
        stand(self, shot, *body.halves, moves=moves)
        self.play(Appear(labels[0]), run_time=SLOWLY)
        self.play(Appear(words), run_time=SLOWLY)
        marks = "latent", "layers", "bits"
        for mark, step, label, pair in zip(
            marks, body.steps, labels[1:], pairwise(poses), strict=True
        ):
            self.wait_for(mark)
            coming, arrow = self.come_from(pair[0], step), self.arrow(*pair)
            self.play(coming, *map(Appear, (label, arrow)), run_time=self.theme.tempo.large)

    def arrow(self, before: Pose, after: Pose) -> VGroup:
        """Return an arrow from one body to the next, which is at its right or below it."""
        down = self.frame.upright
        out, into = ((0.5, 0, 0.5), (0.5, 1, 0.5)) if down else ((1, 0.5, 0.5), (0, 0.5, 0.5))
        middle = (before.corner(*out) + after.corner(*into)) / 2
        return words_at("↓" if down else "→", middle, away=(0.0, 0.0), size=ARROW)

    @beat
    def a_latent_for_each_token(self) -> None:
        """That's all that is left to keep of a token: in every layer, a latent for all heads, with
        its part for position."""
        self.published = (LARGE_NAME,)
        line = _(
            "all that is kept: <latent>{parts}</latent> in each layer", parts=parts_of_latent()
        )
        words = self.headline_of(_("Latents of one token: {size}", size=LATENT.size_fact()), line)
        row = Row(self.layer.words, words.below(head=0.3, foot=0.4), self.frame)
        moves = [self.come_from(self.saved.steps[-1].pose, row.latents[-1])]
        stand(self, row.shot, *row.latents, row.words, moves=moves)
        self.play(row.light(), run_time=LIGHT)
        self.play(Appear(words))
