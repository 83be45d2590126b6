"""The question: a sentence is finished, and everything that it takes is remembered."""

from __future__ import annotations

from manim import AnimationGroup, Group, LaggedStart, VGroup, linear, smooth, squish_rate_func

from extract.architectures import GPU_BYTES, architecture
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    Drift,
    Glide,
    Vanish,
)
from filmkit.core.facts import told
from filmkit.core.geometry import WORD_GAP, Box
from filmkit.core.language import N_, _
from filmkit.core.line_breaks import break_units
from filmkit.core.numbers import format_gigabytes, readable_bytes, spoken_bytes
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, beat
from filmkit.core.text import Label, Number, break_lines
from filmkit.mobjects.cached_numbers import CachedPerToken
from filmkit.mobjects.chart import Paragraph
from filmkit.mobjects.marks import TokenLabels, size_beside
from filmkit.mobjects.sentence import BlinkingDrift, Sentence
from scenes.question.layout import DISPLAY, QuestionLayout
from scenes.question.pile import ROOM, Limit, Pile

SHAPE = "DeepSeek-V3/R1"
SENTENCE, QUESTION = 0.08, 0.06  # text sizes, as fractions of the frame's height
ASKED = N_("Can a model remember less and still think as well?")
TITLE = N_("The attention film")
GROWTH = 6.0  # seconds in which the memory fills
NAME_DROP = 0.3  # from a pile to the names of its halves, below the outline around it
NAME_GAP = 0.05  # from that outline to their letters, at least
WORD_SHARE = 0.25  # of the width, for the words beside the slabs
LANDED = squish_rate_func(smooth, 0.7, 1.0)  # when a slab that falls has its word beside it
SETTLED = 0.8  # share of that time in which the view goes back


class Question(Stage):
    """A sentence is finished; its tokens fill a memory; can a model remember less?"""

    title = "Can a model remember less?"

    def prepare(self) -> None:
        meta = self.trace.meta
        tokens = meta.tokens[self.layer.first : self.layer.stop]
        after = meta.tokens[meta.n_prompt : meta.n_prompt + 1]
        # Rows from the middle of a long prompt are followed by more of the prompt.
        self.follows = self.layer.stop == meta.n_prompt and bool(after)
        tokens += after if self.follows else ()
        self.tokens, theme = tokens, self.theme
        self.layout, self.named = self._lay_out()
        colours = [theme.ink] * len(tokens)
        if self.follows:
            colours[-1] = theme.highlight
        self.sentence = Sentence(tokens, self.layout.first, size=SENTENCE, colours=colours)
        self.raised = Sentence(tokens, self.layout.above, size=SENTENCE, colours=colours)
        self.cursor = self.sentence.cursor
        every_head = CachedPerToken(architecture(SHAPE), "mha")
        self.size = every_head.size()
        self.capacity = int(GPU_BYTES // self.size)
        self.numbers_shown = False
        self.facts |= told(
            word=printable(tokens[-1]),
            heads=every_head.arch.n_heads,
            bytes=(self.size, spoken_bytes),
            gigabytes=GPU_BYTES / 1e9,
            capacity=self.capacity,
        )

    def _lay_out(self) -> tuple[QuestionLayout, TokenLabels]:
        """Return the layout, and the word of each slab if there is room for words."""
        tokens, layout = self.tokens, QuestionLayout.of(self.frame, words=0.0)
        size = size_beside(layout.slab(len(tokens)))
        if size < self.theme.min_text_size:
            return layout, TokenLabels((), (), width=0.0)
        widest = max(Label(printable(token), size=size).width for token in tokens)
        width = min(widest, WORD_SHARE * self.frame.stage.width)
        layout = QuestionLayout.of(self.frame, words=width)
        points = [(box.left - WORD_GAP, box.y) for box in layout.slabs(len(tokens))]
        return layout, TokenLabels(tokens, points, width=width, size=size)

    def variant(self, beat: str) -> str:
        if not self.follows:
            return "read"
        return "given" if self.trace.meta.continued else "written"

    def provenance_notes(self) -> tuple[str, str]:
        meta = self.trace.meta
        if self.numbers_shown:
            return _("DeepSeek-R1’s published sizes  ·  not the traced model"), ""
        random = [_("random weights")] if meta.random_weights else []
        return "  ·  ".join([*random, meta.model]), ""

    def drift(self) -> Drift:
        if self.cursor in self.mobjects:
            return BlinkingDrift(self.camera, self.cursor)
        return Drift(self.camera)

    @beat(
        written="Give a language model the start of a sentence. It adds the next word: [{word}].",
        given="A language model reads a sentence, word by word. Then comes the next: [{word}].",
        read="A language model reads a sentence, word by word, and then adds the [next] one.",
    )
    def the_next_word(self) -> None:
        sentence, given = self.sentence, len(self.tokens) - self.follows
        sentence.move_cursor(0)
        self.play(Appear(self.cursor, run_time=0.2))
        self.play(sentence.write(0, given), run_time=max(1.6, min(4.4, 0.48 * given)))
        self.wait_for("next" if self.variant("") == "read" else "word")
        if self.follows:
            self.play(sentence.write(given, given + 1), run_time=0.5)

    @beat
    def every_token_is_kept(self) -> None:
        """For every token, the model's word for a word or a piece of one, it keeps a slab of
        memory."""
        sentence, tempo, layout = self.sentence, self.theme.tempo, self.layout
        self.raised.move_cursor(len(self.tokens))
        self.play(
            Glide(sentence, self.raised),
            Glide(self.cursor, self.raised.cursor),
        )
        self.halves = self._name_halves(layout.slabs(1)[0])
        self.slabs = Group(*(Pile(box, 1, box.height) for box in layout.slabs(len(self.tokens))))
        falling = []
        for row, (slab, word) in enumerate(zip(self.slabs, sentence.words, strict=True)):
            start = slab.copy()
            start.stretch_to_fit_width(max(0.1, word.width)).stretch_to_fit_height(0.08)
            start.move_to([word.get_x(), word.get_bottom()[1], 0.0])
            naming = (
                Appear(name, rate_func=LANDED, run_time=tempo.large)
                for name in self.named[row : row + 1]
            )
            arriving = Arrive(slab, start), Appear(slab, run_time=0.25)
            falling.append(AnimationGroup(*arriving, *naming))
        self.play(LaggedStart(*falling, lag_ratio=0.45), run_time=5.5)
        self.add(self.named)
        self.play(Appear(self.halves))

    def _name_halves(self, foot: Box) -> VGroup:
        """Return what both halves of a slab are, in words below its front."""
        theme, names, drop = self.theme, VGroup(), NAME_DROP
        for text, colour, half in zip(
            (_("keys"), _("values")), (theme.key, theme.value), foot.split_columns(2), strict=True
        ):
            name = Label(text, size=theme.shape_size, colour=colour)
            names.add(name.on_line(half.x, half.bottom))
            drop = max(drop, ROOM + NAME_GAP + name.rise)
        return names.shift([0.0, -drop, 0.0])

    @beat
    def until_it_bursts(self) -> None:
        """If nothing were shared, DeepSeek-R1 would need {bytes} per token. After {capacity}
        tokens, a chip of {gigabytes} [gigabytes] is full."""
        layout, count = self.layout, len(self.tokens)
        unit, full = layout.slab(count), layout.full
        pile = Pile(layout.foot, count, unit)
        foot = Box.of(full.left, full.right, full.bottom, full.bottom)
        limit = Limit(foot, 10 * self.frame.height)
        last = full.height / self.capacity
        self.remove(self.slabs)
        self.add(pile)
        counter = Number(count, digits=0, size=DISPLAY)
        words = self._figures(counter)
        # The sentence, now small, is what the first slabs are.
        said = Group(self.sentence, self.cursor)
        gone = said.copy().scale(0.02).move_to([layout.foot.x, layout.foot.y, 0.0])
        self.numbers_shown = True

        def move(alpha: float) -> None:
            pile.set_size(_between(layout.foot, foot, alpha), count, unit)

        def grow(alpha: float) -> None:
            back = float(smooth(min(1.0, alpha / SETTLED)))
            now_unit = unit ** (1 - back) * last**back
            height = (1 - alpha) * count * unit + alpha * full.height
            # At the end the last slab that fits is in place.
            tokens = self.capacity if alpha >= 1 else height / now_unit
            pile.set_size(foot, tokens, now_unit)
            limit.set_height(foot, min(10 * self.frame.height, self.capacity * now_unit))
            counter.set_value(int(tokens))

        self.play(
            Glide(said, gone),
            Vanish(self.named),
            AnimateWith(pile, move),
            Glide(self.halves, self._name_halves(foot)),
        )
        self.remove(said)
        self.play(Appear(words), Appear(limit))
        moving = Group(pile, limit, counter)
        self.play(AnimateWith(moving, grow, run_time=GROWTH, rate_func=linear))
        held = _("memory of one GPU: {size}", size=format_gigabytes(GPU_BYTES))
        self.limit_label = Label(held, size=self.theme.name_size).on_line(*layout.limit)
        self.play(Appear(self.limit_label))
        self.wait_for("gigabytes")
        broken = limit.burst()
        self.limit_label.set_fill(self.theme.highlight)
        limit.set_stroke(self.theme.highlight)
        self.play(Glide(limit, broken), run_time=0.5)
        self.pile, self.limit, self.figures = pile, limit, words

    def _figures(self, counter: Number) -> Group:
        """Place the counter, and return it with the words around it."""
        layout, theme = self.layout, self.theme
        # The counter keeps its right end: it is placed where its last number is in the middle.
        counter.set_value(self.capacity).on_line(*layout.count)
        counter.set_value(len(self.tokens))
        words = [_("tokens, {size} each", size=readable_bytes(self.size))]
        unit = Paragraph(words, layout.unit, size=theme.name_size, colour=theme.ink, align="center")
        point, width = layout.remark
        remark = _(
            "if each of {heads} heads kept its own keys and values, while R1 itself keeps less; "
            "weights not counted; {gigabytes} GB = {gigabytes} × 10⁹ bytes",
            heads=self.facts["heads"],
            gigabytes=self.facts["gigabytes"],
        )
        lines = Paragraph(
            break_lines(remark, width, size=theme.shape_size),
            point,
            size=theme.shape_size,
            align="center",
        )
        return Group(counter, unit, lines)

    @beat
    def the_question(self) -> None:
        """Can a model remember less and still think as well?"""
        layout, tempo = self.layout, self.theme.tempo
        words = as_tokens(_(ASKED))
        asked = Sentence(words, layout.question, size=QUESTION)
        asked.move_cursor(0)
        cursor, pile = asked.cursor, self.pile
        goal = pile.copy().stretch_to_fit_width(cursor.width)
        goal.stretch_to_fit_height(cursor.height).move_to(cursor)
        self.play(
            Vanish(
                Group(self.limit, self.limit_label, self.figures, self.halves),
            ),
            Glide(pile, goal),
            run_time=tempo.large,
        )
        self.remove(pile)
        self.numbers_shown, self.cursor = False, cursor
        self.add(cursor)
        self.play(asked.write(0, len(words)), run_time=2.4)
        title = Label(_(TITLE), size=self.theme.name_size, colour=self.theme.muted)
        self.play(Appear(title.on_line(*layout.title)))


def as_tokens(text: str) -> list[str]:
    """Return the parts of a text between which a line can be broken, each with the blank before."""
    parts = break_units(text)
    blanks = ["", *(" " * part.endswith(" ") for part in parts)]
    return [blank + part.strip(" ") for blank, part in zip(blanks, parts, strict=False)]


def _between(start: Box, end: Box, alpha: float) -> Box:
    """Return the foot of a pile on its way from one place to another."""
    left, right, y = (
        (1 - alpha) * one + alpha * other
        for one, other in zip(
            (start.left, start.right, start.bottom), (end.left, end.right, end.bottom), strict=True
        )
    )
    return Box.of(left, right, y, y)
