"""The question: a sentence is finished, and everything that it takes is remembered."""

from __future__ import annotations

from typing import Any

import numpy as np
from manim import (
    DOWN,
    DR,
    IN,
    LEFT,
    OUT,
    RIGHT,
    UL,
    UP,
    Group,
    LaggedStart,
    VGroup,
    linear,
    rush_from,
    rush_into,
)

from extract.facts.architectures import kv_cache_bytes
from extract.facts.gpus import GPU_BYTES
from filmkit.core.animations import AnimateWith, Appear, Arrive, second_half
from filmkit.core.camera import pin_to_frame
from filmkit.core.card import FILM_TITLE, centred
from filmkit.core.facts import fact, named_facts
from filmkit.core.geometry import Box
from filmkit.core.language import N_, _
from filmkit.core.light import glow, mirrored
from filmkit.core.numbers import spoken_bytes
from filmkit.core.seats import shot_of
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label, LabelGroup, Number
from filmkit.core.token_text import printable
from filmkit.mobjects.cached_numbers import CachedPerToken
from filmkit.mobjects.running_text import RunningText
from filmkit.pictures.bodies import number_at
from filmkit.pictures.texts import own_colour
from filmkit.world.burst import Glass
from filmkit.world.published import LARGE, LARGE_NAME
from scenes.question.parts import (
    HIGH,
    LARGER,
    WIDE,
    Candidates,
    Row,
    kept_of,
    landing,
    on_floor,
)

ASKED = N_("Can a model remember less and still think just as well?")
LETTERS, HANGS, LOWER = 0.13, 3.2, 3.2  # size of the sentence, how high it hangs; room below it
FLAT = 1e-3  # share of its height from which a slab grows
NAME, COUNT = 0.5, 0.17  # sizes of names and of the counter
COUNTING, WIDEST = (0.22, 0.78), 6.8  # rows of the counter and the burst; width for a large one
FEW = 16  # words up to which slabs have names
AIR, FRONT = 0.12, 2.4 * OUT  # between slabs and glass; from there to the name of the memory
NAMED, SMALL = (0.3, 0.7), (0.6, 0.42)  # where that is, as a share of its length; and its size
FROM, TURN = (12.0, 36.0), 26.0  # from how far to the right it is seen; upright; and its turn
QUICK = 0.78  # share of the time after which the last two slabs come, one by one
FLYING = 1.35, 0.9, 1.0  # how far slabs fly, in sizes of the glass
STRAIN, THROWN = 0.3, 9  # how far the glass bends, and how many slabs burst out
SLOW, GONE = 0.62, 1.6  # moments of the burst, in seconds: in its slowest picture, and over
ROWS = (0.31, 0.18, 0.51)  # of the last picture: title, question, what is left


def slowing(alpha: float) -> float:
    """Return the share of a way that goes on ever slower, to a tenth of its speed."""
    return 0.6 * (1 - (1 - alpha) ** 6) + 0.4 * alpha


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
        room = Box(0.0, 0.0, free.width - 1.0, 0.6 * free.height)
        colours = [own_colour(token) for token in self.tokens]
        self.words = RunningText(self.tokens, room, size=LETTERS, colours=colours).words
        self.words.shift((HANGS - self.words.get_bottom()[1]) * UP)
        self.published = False
        size = kv_cache_bytes(LARGE, "mha")
        self.capacity = int(GPU_BYTES // size)
        self.facts |= named_facts(
            word=printable(self.tokens[-1]),
            bytes=(size, spoken_bytes),
            gigabytes=GPU_BYTES / 1e9,
            capacity=self.capacity,
        )

    def variant(self, beat: str) -> str:
        if not self.follows:
            return "read"
        return "given" if self.trace.meta.continued else "written"

    def provenance_notes(self) -> tuple[str, str]:
        about, hidden = super().provenance_notes()
        sizes = _("sizes: published for {model}", model=LARGE_NAME)
        return (f"{about}  ·  {sizes}" if self.published else about), hidden

    @beat(
        title="The next word",
        written="Give a language model the start of a sentence. It weighs many words, and adds "
        "one: [{word}].",
        given="A language model reads a sentence, and weighs what could come next. Here it is: "
        "[{word}].",
        read="A language model reads a sentence, word by word, and then adds the [next] one.",
    )
    def the_next_word(self) -> None:
        words, given = mirrored(self.words), len(self.tokens) - self.follows
        seen = words.get_corner(UL), words.get_corner(DR) + LOWER * DOWN
        room = self.below_title.inset(0.2)
        self.camera.shot = shot = shot_of(seen, self.frame, into=room, turn=0, tilt=5)
        self.play(LaggedStart(*map(Appear, words[:given]), lag_ratio=0.5, run_time=3.0))
        if not self.follows:
            self.wait_for("next")
            return
        likely, last = self.trace.meta.top_tokens[self.trace.meta.n_prompt - 1], words[-1]
        others = [text for text in likely if text.strip() != self.tokens[-1].strip()]
        right = shot.center[0] + shot.height * self.frame.free.right / self.frame.height
        drum = mirrored(Candidates(others, last, right - float(last.get_left()[0])))
        self.add(drum)
        self.play(AnimateWith(drum, drum.turn, rate_func=rush_from, run_time=3.6))
        self.wait_for("word")
        sinking = AnimateWith(drum, lambda alpha: drum.turn(1 + alpha / 11))
        self.play(Appear(glow(last)), sinking, run_time=0.4)

    @beat(title="Keys and values")
    def every_token_is_kept(self) -> None:
        """For every token, a word or a piece of one, the model keeps [keys] and values: a slab
        of each."""
        upright = self.frame.upright
        self.slabs = slabs = on_floor(self.tokens, self.words, upright=upright)
        self.kept = kept = kept_of(self.view)
        for number, slab in enumerate(kept):
            side = WIDE * (number % 2 - 0.5) * RIGHT
            slab.stand(slabs[number // 2].points[0] + side - 0.3 * OUT)
        first, *_others, last = sorted(kept, key=lambda slab: slab.points[0, 0])
        named = ((_("keys"), first, LEFT), (_("values"), last, RIGHT))[: 2 * (len(slabs) <= FEW)]
        names = [
            number_at(text, slab.top + NAME * (UP + way), "air", size=NAME, colour=slab.hue)
            for text, slab, way in named
        ]
        seen = np.concatenate([slab.corners for slab in (*slabs, *kept)])
        where = {"turn": -14, "tilt": 34 + 12 * upright, "lens": 1.3 + upright}
        room = self.below_title.inset(0.3)
        shot = shot_of(seen, self.frame, into=room, words=names, place=(0.0, -1.0), **where)
        falling = (landing(*each) for each in zip(self.words, slabs, strict=True))
        self.play(
            *self.leave(*self.words),
            self.move_camera(shot, run_time=2.6),
            LaggedStart(*falling, lag_ratio=0.3, run_time=4.8),
        )
        self.remove(self.words)
        self.wait_for("keys")
        flat = (slab.copy().stretch(FLAT, 1, about_point=slab.points[0]) for slab in kept)
        growing = LaggedStart(*map(Arrive, kept, flat), lag_ratio=0.1, run_time=1.8)
        self.play(growing, *map(Appear, names), self.light_up(slabs[-1]))

    @beat(title="")
    def until_it_bursts(self) -> None:
        """In DeepSeek-R1, with nothing shared, each token takes [{bytes}]. An empty GPU with
        {gigabytes} gigabytes is full after [{capacity}] tokens."""
        upright, first, full = self.frame.upright, len(self.tokens), self.capacity
        self.row = row = Row(self.kept, upright=upright)
        end = (row.half + AIR) * RIGHT + (LARGER * WIDE / 2 + AIR) * OUT
        self.glass = glass = Glass(-end, end + (LARGER * HIGH + 3 * AIR) * UP)
        above, below = self.below_title.split_rows(COUNTING)
        size = COUNT * min(1.0, above.width / WIDEST)
        each = _("× {bytes}", bytes=CachedPerToken(LARGE, "mha").size_fact())
        sign = LabelGroup(*(Label(text, size=size / 2.5) for text in (_("tokens"), each)))
        sign.arrange(DOWN, buff=0.0, aligned_edge=LEFT)
        counter = Number(full, digits=0, size=size)
        counter.move_to(above.center).align_to(above.left * RIGHT, LEFT)
        pin_to_frame(VGroup(counter, sign.next_to(counter, RIGHT, buff=AIR))).set_z_index(2)
        memory = number_at(
            _("one GPU: {gigabytes} GB", gigabytes=self.facts["gigabytes"]),
            glass.at((NAMED[upright], 0, 1)) + FRONT,
            size=SMALL[upright],
        ).set_z_index(2)
        seen = glass.at([*np.ndindex(2, 2, 2)])
        where: dict[str, Any] = {
            "tilt": 10,
            "lens": 1.4,
            "words": [memory],
            "into": below.inset(0.2),
        }
        whole = shot_of(seen, self.frame, turn=FROM[upright], **where)
        seen = np.append(seen, [glass.at(FLYING)], axis=0)
        burst = shot_of(seen, self.frame, turn=FROM[upright] + TURN, **where)
        fact("capacity", full, beside=_("tokens"))
        self.published = True
        self.play(
            *self.leave(*self.kept, run_time=0.6),
            AnimateWith(Group(*self.kept), row.gather),
            self.move_camera(whole),
            self.light_up(end),
            Appear(glass, rate_func=second_half),
            run_time=3.0,
        )
        self.play(Appear(memory))
        self.wait_for("bytes")
        counter.set_value(first)
        self.play(Appear(counter), Appear(sign))

        def fill(alpha: float) -> None:
            quick, slow = min(1.0, alpha / QUICK), max(0.0, (alpha - QUICK) / (1 - QUICK))
            row.fill(quick**1.5, slow)
            counter.set_value(int(first * ((full - 2) / first) ** quick) + int(2 * slow))

        self.add(*row.others)
        filling = AnimateWith(Group(*row.others, counter), fill, rate_func=linear)
        self.play(filling, run_time=4.2)
        self.add(row.last)
        bending = glass.bend(STRAIN, rate_func=rush_into)
        jamming, nearer = AnimateWith(row.last, row.jam), self.move_camera(whole.mix(burst, 0.4))
        self.play(jamming, nearer, bending, run_time=1.4)
        # One beat of silence, in which it holds.
        self.play(glass.bend(1.3 * STRAIN), run_time=0.7)
        self.play(glass.crack(run_time=0.4))
        glass.throw([*row.others[-THROWN:], row.last], burst.eye())
        away = self.move_camera(burst, rate_func=slowing)
        self.play(glass.fly(0, SLOW, rate_func=slowing), away, run_time=2.6)

    @beat
    def the_question(self) -> None:
        """Can a model remember less and still think just as well?"""
        falling = self.glass.fly(SLOW, GONE)
        self.play(falling, *self.leave(), self.light_up(None), run_time=GONE - SLOW)
        self.published = False
        self.hold(0.6)
        rows = self.frame.free.split_rows(ROWS)
        title = pin_to_frame(centred(_(FILM_TITLE), rows[0], 0.17, weight="semibold"))
        asked = pin_to_frame(centred(_(ASKED), rows[1], 0.062))
        ruin = self.row.lie()
        corners = np.concatenate([[4 * IN + 4 * RIGHT], *(slab.corners for slab in self.slabs)])
        self.camera.shot = shot_of(corners, self.frame, into=rows[2], turn=-14, tilt=20, lens=1.3)
        there = Group(*self.slabs, *ruin)
        self.play(Appear(there), self.light_up(4 * LEFT - 3 * OUT), Appear(glow(title, 0.4)))
        self.play(Appear(asked))
