"""The question: a sentence is finished, and everything that it takes is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from manim import OUT, Group, LaggedStart, VGroup, linear, rush_into, smooth

from extract.facts.architectures import kv_cache_bytes
from extract.facts.gpus import GPU_BYTES
from filmkit.core.animations import AnimateWith, Appear, Vanish, set_presence
from filmkit.core.body import Body
from filmkit.core.camera import Shot
from filmkit.core.card import FILM_TITLE, centred
from filmkit.core.facts import fact, named_facts
from filmkit.core.geometry import Box
from filmkit.core.language import N_, _
from filmkit.core.light import glow, mirrored
from filmkit.core.numbers import spoken_bytes, readable_bytes
from filmkit.core.seats import shot_of
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label, Number
from filmkit.core.token_text import printable
from filmkit.mobjects.sentence import Sentence
from filmkit.pictures.bodies import Slab, number_at
from filmkit.pictures.texts import own_colour
from filmkit.world.burst import Glass
from filmkit.world.published import LARGE, LARGE_NAME, published_notes
from scenes.question.parts import WIDE, Candidates, Landing, kept_of

ASKED = N_("Can a model remember less and still think just as well?")
LETTERS, HANGS = 0.13, 3.9  # size of the sentence, and how high its middle hangs
HIGH, LEAST, GAP, APART = 0.85, 1.5, 0.35, 3.0  # of words on the floor; between them, and from line to line
MOST, PITCH, LARGER = 54, 0.17, 1.2  # slabs in the memory, at least; their pitch and size there
FALL, COMING = 3.6, 5  # how far they fall, and how many at the same time
ROOM = 0.12  # around them in the memory, in scene units
SIGN, SMALL = 1.3, 0.6  # sizes of what stands on it
BURST, SLOW, GONE = 0.42, 0.62, 1.6  # moments of the burst, in seconds


import os
SEAT=os.environ.get("SEAT","stand")
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
        room = Box(0.0, HANGS, free.width - 1.0, 0.6 * free.height)
        colours = [own_colour(token) for token in self.tokens]
        self.words = Sentence(self.tokens, room, size=LETTERS, colours=colours).words
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
        if self.published:
            return published_notes([LARGE_NAME])
        return super().provenance_notes()

    @beat(
        title="The next word",
        written="Give a language model the start of a sentence. It weighs many words, and adds "
        "one: [{word}].",
        given="A language model reads a sentence, and weighs what could come next. Here it is: "
        "[{word}].",
        read="A language model reads a sentence, word by word, and then adds the [next] one.",
    )
    def the_next_word(self) -> None:
        mirrored(self.words)
        given = len(self.tokens) - self.follows
        self.camera.shot = Shot((0, HANGS - 0.8, 0), self.frame.height, 0, 5)
        self.play(LaggedStart(*map(Appear, self.words[:given]), lag_ratio=0.5, run_time=3.0))
        if not self.follows:
            self.wait_for("next")
            return
        last = self.words[-1]
        texts = self.trace.meta.top_tokens[self.trace.meta.n_prompt - 1]
        width = self.frame.free.right - float(last.get_left()[0])
        self.candidates = candidates = mirrored(Candidates(texts, self.tokens[-1], last, width))
        self.add(candidates)
        self.play(candidates.run(run_time=2.2))
        self.wait_for("word")
        self.play(Appear(glow(last)), candidates.end(), run_time=0.4)

    @beat(title="Keys and values")
    def every_token_is_kept(self) -> None:
        """For every token, a word or a piece of one, it keeps [keys] and values: a slab of
        each."""
        self.slabs = slabs = self._standing()
        self.kept = kept = kept_of(self.view)
        for number, slab in enumerate(kept):
            foot = slabs[number // 2].points[0]
            slab.put(foot + [(number % 2 - 0.5) * 0.82, 0, -0.3])
        there = [*self.leave(*self.words)]
        seen = self.see_from(SEAT, *slabs, *kept, run_time=2.6)
        landing = (Landing(w, s) for w, s in zip(self.words, slabs, strict=True))
        self.play(seen, *there, LaggedStart(*landing, lag_ratio=0.3, run_time=4.0))
        self.remove(self.words)
        self.wait_for("keys")
        self.play(LaggedStart(*map(_grow, kept), lag_ratio=0.1, run_time=2.4))
        pair = kept[2 * slabs.index(max(slabs, key=lambda slab: slab.points[0][2])) :][:2]
        names = [
            number_at(text, slab.top, "stands", size=0.5, colour=self.theme.role(role))
            for text, role, slab in zip((_("keys"), _("values")), ("key", "value"), pair)
        ]
        names[0].shift([WIDE / 2 - 0.1 - names[0].width / 2, 0, 0])
        names[1].shift([names[1].width / 2 - WIDE / 2 + 0.1, 0, 0])
        self.play(*map(Appear, names), self.light_up(slabs[-1]))

    def _standing(self) -> list[Slab]:
        """Return a slab for each word, in the lines of the sentence, which stand on the floor."""
        rows: dict[float, list[Slab]] = {}
        for word, token in zip(self.words, self.tokens, strict=True):
            label = Label(printable(token), size=0.52 / 8, colour=own_colour(token))
            slab = Slab("", width=max(LEAST, label.width + 0.5), height=HIGH).lay(label)
            slab.told, slab.word, slab.is_light = label.text, label, True
            line = round(float(word.points[-1, 1]), 3)
            rows.setdefault(line, []).append(mirrored(slab))
        for number, row in enumerate(rows.values()):
            widths = [float(np.ptp(slab.extent[:, 0])) + GAP for slab in row]
            ends = np.cumsum(widths)
            for slab, end, width in zip(row, ends, widths, strict=True):
                slab.put((end - width / 2 - ends[-1] / 2, 0, APART * number))
        return [slab for row in rows.values() for slab in row]

    @beat(title="")
    def until_it_bursts(self) -> None:
        """In DeepSeek-R1, with nothing shared, each takes [{bytes}]. After {capacity} tokens, an
        empty GPU with {gigabytes} [gigabytes] is full."""
        count = max(MOST, len(self.kept) + 16)
        length = count * PITCH
        homes = np.array([((i + 0.5) * PITCH - length / 2, 0, 0) for i in range(count)])
        others = [self.kept[i % len(self.kept)].copy() for i in range(len(self.kept), count)]
        row = [*self.kept, *others]
        wide, high = 0.8 * LARGER / 2 + ROOM, 2.1 * LARGER + 0.3
        self.glass = glass = Glass((-length / 2 - ROOM, 0, -wide), (length / 2 + ROOM, high, wide))
        corners = glass.at(list(np.ndindex(2, 2, 2)))
        shot = shot_of([*(corners + [0, 0, 0]), *(corners + [0, 1.6, 0])], self.frame, turn=14, tilt=10, lens=1.5)
        far = np.array([[length / 2 + 3.5, y, z] for y in (0, 4) for z in (-1, 1.5)])
        turned = shot_of([*corners, *far], self.frame, turn=36, tilt=10, lens=1.3)
        close = shot_of([*corners[4:], *(corners[4:]-[2.5,0,0]), *(corners[4:] + [0.5, 1, 0])], self.frame, turn=26, tilt=9, lens=1.3)
        left, foot = -length / 2, high + 0.05
        counter = Number(self.capacity, digits=0, size=SIGN / 8)
        counter.shift([left + counter.width / 2, foot + 0.5 * SIGN, wide])
        counter.set_value(len(self.tokens))
        tokens = number_at(_("tokens"), (0, foot, wide), "stands", size=SMALL)
        tokens.shift([left + 4.1 + tokens.width / 2, 0, 0])
        each = number_at(_("{bytes} each", bytes=readable_bytes(kv_cache_bytes(LARGE, "mha"))), (0, foot + 0.6, wide), "stands", size=SMALL)
        each.shift([left + 4.1 + each.width / 2, 0, 0])
        gpu = number_at("one GPU: 80 GB", (left + 2.2, 0, wide + 0.9), "stands", size=SMALL)
        self.published = True
        starts = [(s.points[0].copy(), 0.0) for s in self.kept]

        def gather(alpha):
            for slab, (at, _), home in zip(self.kept, starts, homes):
                way = (1 - alpha) * at + alpha * home + [0, 2.5 * np.sin(np.pi * alpha), 0]
                slab.put(way, turn=90 * alpha, size=1 + (LARGER - 1) * alpha)

        self.play(
            AnimateWith(Group(*self.kept), gather), *self.leave(*self.kept), Appear(glass),
            self.move_camera(shot), run_time=2.6,
        )
        self.play(*map(Appear, (counter, tokens, each, gpu)), self.light_up((length / 2, 0, wide)))
        for slab in others:
            set_presence(slab, 0)
        self.add(*others)

        def fill(alpha):
            come = alpha**1.6 * (len(others) + COMING)
            for number, slab in enumerate(others):
                done = float(np.clip((come - number) / COMING, 0, 1))
                home = homes[len(self.kept) + number]
                slab.put(home + [0, FALL * (1 - done**2), 0], turn=90, size=LARGER)
                set_presence(slab, min(1, 3 * done))
            counter.set_value(int(len(self.tokens) * (self.capacity / len(self.tokens)) ** alpha))

        self.play(AnimateWith(Group(*others, counter), fill, rate_func=linear, run_time=4))
        last = self.kept[1].copy()
        home = np.array([length / 2 - 0.02, 0.5, 0])

        def wedge(alpha):
            last.put(home + [0, FALL * (1 - alpha), 0], turn=90, size=LARGER)
            last.rotate(-0.14 * alpha, OUT, about_point=last.middle)

        self.add(last)
        self.play(AnimateWith(last, wedge), self.move_camera(close), glass.bend(0.3, rate_func=rush_into), run_time=1.2)
        self.hold(0.5)
        self.play(glass.crack(run_time=0.4))
        glass.throw([*row[-9:], last], at=turned.eye())
        self.play(glass.fly(0, BURST), self.move_camera(shot), run_time=BURST)
        self.play(glass.fly(BURST, SLOW), self.move_camera(turned), run_time=2.2)

    @beat
    def the_question(self) -> None:
        """Can a model remember less and still think just as well?"""
        self.play(self.glass.fly(SLOW, GONE), Vanish(Group(*self.mobjects)), run_time=GONE - SLOW)
        self.camera.shot, self.published = Shot(), False
        self.hold(0.8)
        rows = self.frame.free.split_rows((0.52, 0.16, 0.32))
        title = centred(_(FILM_TITLE), rows[0], 0.16, weight="semibold")
        asked = centred(_(ASKED), rows[1], 0.06)
        self.play(Appear(glow(title, 0.5)))
        self.play(Appear(asked))


def _grow(slab: Body, **kwargs: Any):
    from filmkit.core.animations import Arrive
    return Arrive(slab, slab.copy().stretch(1e-3, 1, about_point=slab.points[0]), **kwargs)
