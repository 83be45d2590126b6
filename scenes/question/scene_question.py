"""The question: a sentence is finished, and everything that it takes is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from manim import (
    Group,
    Mobject,
    VGroup,
    linear,
)

from extract.facts.architectures import kv_cache_bytes
from extract.facts.gpus import GPU_BYTES
from filmkit.core.animations import AnimateWith, Appear, Drift, Glide, Vanish, set_presence
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.card import FILM_TITLE, centred
from filmkit.core.facts import fact, named_facts
from filmkit.core.geometry import Box
from filmkit.core.language import N_, _
from filmkit.core.light import glow
from filmkit.core.numbers import format_rough, spoken_bytes
from filmkit.core.seats import shot_of
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Number
from filmkit.core.token_text import printable
from filmkit.mobjects.sentence import BlinkingDrift, Sentence
from filmkit.pictures.parts import TEXT
from filmkit.pictures.texts import COLOURS, own_colour
from filmkit.world.block import CacheBlock, Pose, Slab
from filmkit.world.box import GlassBox
from filmkit.world.burst import Burst
from filmkit.world.published import LARGE, LARGE_NAME, published_notes
from filmkit.world.standing import words_at
from filmkit.world.words import fall
from scenes.question.parts import Candidates, Row

ASKED = N_("Can a model remember less and still think just as well?")
SENTENCE, QUIET = 0.13, 0.045  # sizes of the sentence: at first, and below the title
TITLE, ASKING, SHINE = 0.16, 0.06, 0.5  # of the title and the question, and the title's light
ROWS = (0.52, 0.16, 0.32)  # of the last picture's height: title, question, sentence
FLYING = 10  # slabs that fly out of the memory
# Moments of their flight in seconds: when it gets slow, in the last picture, and when all is gone.
BURST, SLOW, GONE = 0.45, 0.6, 1.6
NAMED = 0.1, 0.25  # from a corner of the memory to its name, in scene units of the frame
RUN, GROWTH, DARK = 2.2, 4.5, 0.8  # seconds of candidates, of the memory's filling, of nothing
RAISED, UPPER = 0.075, 1.7  # size of the sentence before it falls, and its room, at most
# From how far to the right and above slabs of the sentence are seen, in degrees.
SEEN, UPRIGHT_SEEN = (26.0, 12.0), (50.0, 17.0)
# From their feet to the middle of their words, and room for these; least gap between two words.
UNDER, FOOT, NEAR = 0.3, 0.5, 0.05


class Question(Stage):
    """A sentence is finished; its tokens fill a memory; can a model remember less?"""

    title = "Can a model remember less?"
    tensors = ("k", "v")

    def prepare(self) -> None:
        meta, free = self.trace.meta, self.frame.free
        # Rows from the middle of a long prompt are followed by more of the prompt.
        self.follows = self.layer.stop == meta.n_prompt < len(meta.tokens)
        self.view = self.layer.until(self.layer.stop + self.follows)
        self.tokens = self.view.words
        room = Box(free.x, free.y + 0.1 * free.height, free.width - 1.0, 0.6 * free.height)
        self.sentence = self._sentence(room, SENTENCE)
        self.cursor = self.sentence.cursor.set_fill(self.theme.ink)
        self.candidates = VGroup()
        self.published = False
        size = kv_cache_bytes(LARGE, "mha")
        self.capacity = int(GPU_BYTES // size)
        self.facts |= named_facts(
            word=printable(self.tokens[-1]),
            bytes=(size, spoken_bytes),
            gigabytes=GPU_BYTES / 1e9,
            capacity=self.capacity,
            few=(self.capacity / 10, format_rough),
            about=(self.capacity, format_rough),
            many=(10 * self.capacity, format_rough),
        )

    def _sentence(self, room: Box, size: float) -> Sentence:
        colours = [own_colour(token) for token in self.tokens]
        return Sentence(self.tokens, room, size=size, colours=colours)

    def variant(self, beat: str) -> str:
        if not self.follows:
            return "read"
        return "given" if self.trace.meta.continued else "written"

    def provenance_notes(self) -> tuple[str, str]:
        if self.published:
            return published_notes([LARGE_NAME])
        return super().provenance_notes()

    def drift(self) -> Drift:
        if self.cursor in self.mobjects:
            return BlinkingDrift(self.camera, self.cursor)
        return Drift(self.camera)

    @beat(
        written="Give a language model the start of a sentence. It weighs many words, and adds "
        "one: [{word}].",
        given="A language model reads a sentence, and weighs what could come next. Here it is: "
        "[{word}].",
        read="A language model reads a sentence, word by word, and then adds the [next] one.",
    )
    def the_next_word(self) -> None:
        sentence, given = self.sentence, len(self.tokens) - self.follows
        sentence.move_cursor(0)
        self.play(Appear(self.cursor, run_time=0.2))
        self.play(sentence.write(0, given), run_time=max(1.6, min(3.6, 0.4 * given)))
        if not self.follows:
            self.wait_for("next")
            return
        last, free = sentence.words[-1], self.frame.free
        texts = self.trace.meta.top_tokens[self.trace.meta.n_prompt - 1]
        width = free.right - float(last.get_left()[0])
        self.candidates = Candidates(texts, self.tokens[-1], last, width)
        self.remove(self.cursor)
        self.add(self.candidates)
        self.play(self.candidates.run(run_time=RUN))
        self.wait_for("word")
        self.add(sentence.move_cursor(given + 1).cursor)
        self.play(Appear(glow(last)), self.candidates.end(), run_time=0.4)

    @beat
    def every_token_is_kept(self) -> None:
        """For every token, a word or a piece of one, the model keeps keys and values: one slab of
        each."""
        free, sentence = self.frame.free, self.sentence
        self.block = block = CacheBlock(self.view)
        upper = Box(free.x, free.top - UPPER / 2, free.width, UPPER)
        raised = self._sentence(upper, RAISED)
        words = self.headline_of(
            _("Every token is kept"),
            _("as a slab of <key>keys</key> and a slab of <value>values</value>"),
        )
        self.play(
            Vanish(VGroup(*self.candidates, self.cursor)), Glide(sentence.words, raised.words)
        )
        turn, tilt = UPRIGHT_SEEN if self.frame.upright else SEEN
        corners, room = block.build(apart=1.0).corners, words.below(head=0.3, foot=FOOT)
        self.camera.shot = shot = shot_of(corners, self.frame, into=room, turn=turn, tilt=tilt)
        self.fallen = pin_to_frame(sentence.words)
        self.add(set_presence(block, 0.0), self.fallen)
        landed, rising = VGroup(), []
        for word, slabs in zip(self.fallen, block.tokens, strict=True):
            homes = [slab.pose for slab in slabs]
            foot = (homes[0].corner(0, 0, 0) + homes[1].corner(1, 0, 0)) / 2
            place = shot.project(foot[None], self.frame.height)[0] * [1, 1, 0]
            landed.add(word.copy().scale(TEXT / raised.size).move_to(place - [0, UNDER, 0]))
            rising.append(partial(_raise, slabs, homes))
        stay = not any(map(_meet, landed, landed[1:]))
        self.play(fall(self.fallen, landed, block, rising, stay=stay, run_time=4.5))
        self.play(*self.say(words))

    @beat(
        ask="Suppose a large model, DeepSeek-R1, kept all its keys and values. How many tokens "
        "would fill an empty GPU with {gigabytes} gigabytes: about [{few}], [{about}] or [{many}]?",
        answer="about",
        choice="about {choice} tokens",
    )
    def until_it_bursts(self) -> None:
        """If nothing were shared, DeepSeek-R1 would need {bytes} per token. After {capacity}
        tokens, an empty GPU with {gigabytes} [gigabytes] is full."""
        tempo = self.theme.tempo
        words = self.headline_of(
            _("{capacity} tokens fill an empty GPU", capacity=self.facts["capacity"]),
            _(
                "if {model} keeps all <key>keys</key> and <value>values</value>; "
                "one more bursts it",
                model=LARGE_NAME,
            ),
        )
        row = Row(self.block, self.frame)
        glass = GlassBox(row.pose)
        shot = row.shot_with_room(self.frame, words.below(head=1.0))
        count = len(self.tokens)
        # Its right end stays where that of the last number will be.
        counter = Number(self.capacity, digits=0, size=RAISED).move_to(words.figure)
        pin_to_frame(counter.set_value(count))
        self.add(row)
        self.play(*self.say(), Vanish(Group(self.fallen, self.block)), Appear(row.own))
        self.published = True
        self.play(row.gather(), self.move_camera(shot), Appear(glass), run_time=tempo.large)
        size = _("one GPU: {gigabytes} GB", gigabytes=self.facts["gigabytes"])
        fact("capacity", self.capacity, beside=size)  # what is counted to
        corner = glass.pose.corner(0, 1, 1)
        name = words_at(size, corner, away=NAMED, width=0.4 * self.frame.free.width)

        def grow(alpha: float) -> None:
            row.grow(alpha)
            counter.set_value(int(count * (self.capacity / count) ** alpha))

        self.play(Appear(counter), Appear(name), run_time=tempo.small)
        self.play(AnimateWith(VGroup(counter), grow, rate_func=linear, run_time=GROWTH))
        self.wait_for("gigabytes")
        flying = row.bodies[-FLYING:]
        self.burst = Burst(glass, list(flying), shot)
        row.bodies.remove(*flying)
        self.remove(glass.front, counter)
        self.add(self.burst)
        self.play(*self.say(words), run_time=0.1)
        self.play(self.burst.fly(0.0, BURST, run_time=BURST))
        self.play(self.burst.fly(BURST, SLOW, run_time=2.0))

    @beat
    def the_question(self) -> None:
        """Can a model remember less and still think just as well?"""
        self.play(self.burst.fly(SLOW, GONE), Vanish(Group(*self.mobjects)), run_time=GONE - SLOW)
        self.camera.shot, self.published = Shot(), False
        self.hold(DARK)
        free = self.frame.free
        rows = free.split_rows(ROWS)
        title = centred(_(FILM_TITLE), rows[0], TITLE, weight="semibold")
        asked = centred(_(ASKED), rows[1], ASKING)
        words = self._sentence(rows[2], QUIET).words
        for word, token in zip(words, self.tokens, strict=True):
            if token.strip().lower() not in COLOURS:
                word.set_fill(self.theme.muted)
        self.play(Appear(glow(title, SHINE), run_time=self.theme.tempo.large))
        self.play(Appear(asked))
        self.play(Appear(words))


def _meet(word: Mobject, following: Mobject) -> bool:
    """Return whether two words would be too near to each other."""
    apart = np.abs(word.get_center() - following.get_center())[:2]
    sizes = word.width + following.width, word.height + following.height
    return bool((apart < np.array(sizes) / 2 + NEAR).all())


def _raise(slabs: Sequence[Slab], homes: Sequence[Pose], alpha: float) -> None:
    """Let both slabs of a token rise from the floor to a share of their height."""
    for slab, home in zip(slabs, homes, strict=True):
        slab.stand(replace(home, height=max(1e-3, alpha) * home.height))
        set_presence(slab, min(1.0, 4 * alpha))
