"""The answer: words become one latent, models that have it score well, and a word follows."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt
from manim import (
    Animation,
    Group,
    LaggedStart,
)

from filmkit.core.animations import (
    Appear,
    Drift,
    Presence,
    Reveal,
    Vanish,
    in_rows,
    set_presence,
)
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.card import FILM_TITLE, centred
from filmkit.core.facts import named_facts
from filmkit.core.geometry import Box
from filmkit.core.language import N_, _
from filmkit.core.light import glow
from filmkit.core.stage import Stage, beat
from filmkit.core.text import NO_BREAK_SPACE
from filmkit.core.token_text import printable
from filmkit.mobjects.running_text import RunningText
from filmkit.pictures.latent_view import LatentView
from filmkit.pictures.shared_view import require_shareable
from filmkit.pictures.texts import own_colour
from filmkit.world.words import fall
from filmkit.world.world import World
from scenes.answer.parts import Lamps, credit_lines, won

Array = npt.NDArray[np.float64]

SOURCE = N_("DeepSeek-V2 technical report, table 9, appendix D, pp. 31-32")
LICENCES = {"SmolLM2": "Apache 2.0"}  # of models, by how their names begin
LARGE = 0.1  # size of the title over the credits
ROWS = 0.3, 0.7  # of the credits: title and lines
SENTENCE, FALLING = 0.13, 0.075  # sizes of the sentence: alone, and before it falls; at most
FALL, SHINE, LIGHT = 3.2, 2.0, 3.2  # seconds in which words fall, light makes heads, lamps are lit
STAYS, ROLL, CREDITS = 2.0, 2.5, 3.0  # seconds of the last word, of credits, and after them


class Answer(Stage):
    """One latent makes all heads, a lamp for each published test, the last word, and credits."""

    title = "Less to remember"
    tensors = ("pattern", "k", "v", "kv_latent")

    def prepare(self) -> None:
        meta, free = self.trace.meta, self.frame.free
        require_shareable(self.trace)
        self.view, self.world = LatentView.of(self.layer), World(self.layer, self.frame)
        self.follows = self.layer.stop == meta.n_prompt < len(meta.tokens)
        tokens = self.layer.until(self.layer.stop + self.follows).words
        room = Box(free.x, free.y, free.width - 1.0, 0.7 * free.height)
        colours = [own_colour(token) for token in tokens]
        self.sentence, self.falling = (
            RunningText(tokens, room, size=size, colours=colours) for size in (SENTENCE, FALLING)
        )
        self.published = False
        results = list(won().values())
        self.facts |= named_facts(
            heads=meta.n_heads,
            better=sum(results),
            tests=len(results),
            few=len(results) // 4,
            some=len(results) // 2,
            word=printable(tokens[-1]),
        )

    def variant(self, beat: str) -> str:
        return "written" if self.follows else "read"

    def provenance_notes(self) -> tuple[str, str]:
        if self.published:
            note = _("published scores, not the traced model")
            return f"{note}  ·  {_(SOURCE)}", ""
        about, hidden = super().provenance_notes()
        if self.playing == "into_the_latent":
            about = "  ·  ".join(filter(None, (about, self.view.origin_note())))
        return about, hidden

    @beat
    def into_the_latent(self) -> None:
        """So don't keep every key and value. [Keep] one latent: all of them are made from it."""
        world, words = self.world, self.falling.words[: self.layer.count]
        latent = world.latent
        shot = world.shot("arc")
        self.play(Appear(words))
        pin_to_frame(words)
        self.camera.shot = shot
        set_presence(world, 0.0)
        world.add(latent)
        self.add(world, words)
        rows, columns = latent.cells.shape
        filled = np.zeros((rows, 1))
        latent.cells.set_shown(filled)
        self.play(Presence(latent, 1.0, run_time=self.theme.tempo.small))
        high = np.ptp(shot.project(latent.cells.corners, self.frame.height)[:, 1]) / rows
        landed, filling = [], []
        for row, word in enumerate(words):
            place = shot.project(latent.cells.at(row + 0.5, columns / 2)[None], self.frame.height)
            small = min(1.0, high / word.height)
            landed.append(word.copy().scale(small).move_to(place * [1, 1, 0]))
            filling.append(partial(self._fill, filled, row))
        self.play(fall(words, landed, latent.cells, filling, run_time=FALL))
        self._make_heads()
        self.wait_for("Keep")
        line = ""
        if not self.frame.upright:
            line = _(
                "the <key>keys</key> and <value>values</value> of all {heads} heads are made "
                "from it",
                heads=self.facts["heads"],
            )
        colour = self.theme.role("latent")
        words = self.headline_of(_("Keep one latent"), line, colour=colour)
        self.play(*self.say(words))

    def _fill(self, filled: Array, row: int, alpha: float) -> None:
        filled[row] = alpha
        self.world.latent.cells.set_shown(filled)

    def _make_heads(self) -> None:
        """Let light go from the latent to all heads, and make their keys, values and patterns."""
        world = self.world
        moves: list[Animation] = []
        for card, pair in zip(world.cards, world.pairs, strict=True):
            head = self.view.head(card.head)
            head.absorbed["pattern"].fill(card.pattern)
            made = head.naive
            for plate, name in zip(pair, "kv", strict=True):
                # All are made, whether they are equal or not.
                cells = made[name].fill(plate.cells).set_opacity(1.0).set_shown(0.0)
                set_presence(cells, 1.0)
                moves += [Appear(plate.body), Reveal(cells, in_rows(cells.shape))]
        cards = LaggedStart(*(Appear(card) for card in world.cards), lag_ratio=0.2)
        self.play(world.rays(), run_time=SHINE)
        self.play(*moves, cards, run_time=SHINE)

    @beat(
        ask="DeepSeek trained models with a latent, and others with keys and values for every "
        "head. In {tests} comparisons, how often did the latent do better: [{few}], [{some}] or "
        "[{better}] times?",
        answer="better",
        choice="{choice} of {tests} comparisons",
    )
    def the_answer(self) -> None:
        """And still think just as well? Trained that way, DeepSeek's models did better in {better}
        of {tests} comparisons."""
        figure = _(
            "The latent wins {better} of {tests}",
            better=self.facts["better"],
            tests=self.facts["tests"],
        )
        line = _("against models that keep all <key>keys</key> and <value>values</value>")
        words = self.headline_of(figure, line, colour=self.theme.role("latent"))
        self.lamps = Lamps(words.below(head=0.3), tall=self.frame.tall)
        self.play(Vanish(Group(*self.mobjects)))
        self.published = True
        self.camera.shot = Shot()
        self.play(Appear(self.lamps))
        self.play(self.lamps.light(), run_time=LIGHT)
        self.play(Appear(words))

    @beat(
        written="And our sentence ends: [{word}].",
        read="And our sentence is [read].",
    )
    def the_word(self) -> None:
        sentence, count = self.sentence, self.layer.count
        self.play(Vanish(Group(*self.mobjects)))
        self.camera.shot, self.published = Shot(), False
        self.play(Appear(sentence.words[:count]))
        self.wait_for("word" if self.follows else "read")
        last = glow(sentence.words[-1])
        if self.follows:
            self.play(Appear(last, run_time=0.3))
        self.play(Drift(self.camera, run_time=STAYS))

    @beat
    def credits(self) -> None:
        """Every number in this film was computed by a model, published, or worked out from
        these."""
        meta, free = self.trace.meta, self.frame.free
        model = meta.model.replace(" ", NO_BREAK_SPACE)
        licence = [text for name, text in LICENCES.items() if meta.model.startswith(name)]
        texts = {
            _("inspired by"): "Welch Labs",
            _("model"): "  ·  ".join([model, *licence]),
            _("sizes and scores"): _("DeepSeek’s publications, up to V4-Pro"),
            _("memory and speed"): _("NVIDIA H100, as published"),
            _("other patterns"): _("GPT-2 small, as published"),
            _("code"): _("under the MIT licence"),
            _("typefaces"): _("Source Sans Pro, New Computer Modern"),
        }
        upper, lower = free.split_rows(ROWS)
        title = centred(_(FILM_TITLE), upper, LARGE, weight="semibold")
        lines = credit_lines(texts, lower)
        self.play(Vanish(self.sentence.words))
        self.play(Appear(glow(title, 0.5)))
        self.play(LaggedStart(*map(Appear, lines), lag_ratio=0.2, run_time=ROLL))
        self.play(Drift(self.camera, run_time=CREDITS))
