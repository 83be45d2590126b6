"""Rotation and the latent: what stands between the two matrices, and the way round it."""

from __future__ import annotations

from functools import partial

from manim import Group, Mobject, linear, there_and_back

from extract.conversion_report import conversion_report
from extract.errors import TraceError
from extract.merged import MergedMatrix
from extract.trace import Trace
from filmkit.core.animations import AnimateWith, Appear, Reveal, in_rows
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import format_number, format_short, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import StageError, beat
from filmkit.core.text import Label, Symbol, break_lines
from filmkit.core.view import best_match
from filmkit.mobjects.sentence import Sentence
from filmkit.pictures.become import Become
from filmkit.pictures.parts import TEXT
from filmkit.pictures.picture import Mark
from filmkit.pictures.stage import Stage
from filmkit.pictures.texts import below_each_other, figure, heading, quiet
from scenes.rotation.parts import (
    SUM,
    WORDS,
    Changes,
    ClocksPart,
    Price,
    Slide,
    added,
    factors,
    first_sentence,
    kept_of,
    latent_of,
    look_at,
    merged_at,
    more_percent,
)

FARTHEST = 10  # distance up to which two words slide
FAR = 5  # distance at which the merged matrix is looked at last
CLOCKS, FAST = 32, 8  # how many clocks are drawn; the ones that turn fastest
SIGN = 0.055  # size of signs between matrices
TURNED = 60  # distance up to which the hands of all clocks turn

MERGED = "unturned turned dial\nunturned turned change"
TALL_MERGED = "unturned change\nturned dial"
SAID = "half\nsaid\nmore\nabout\nprice"
PARTS = """
    unrotated plus rotated equals scores
    sum       sum  sum     to     pattern
"""
TALL_PARTS = """
    unrotated plus   rotated
    .         equals scores
    .         to     pattern
    sum       sum    sum
"""


def is_converted(trace: Trace) -> bool:
    """Return whether the trace has a conversion of a model that rotates whole keys."""
    return trace.rotates and trace.meta.conversion is not None and trace.meta.attention != "mla"


def counted_minutes(number: float) -> str:
    """Return a number of minutes: "3 minutes"."""
    return ngettext("{number} minute", "{number} minutes", round(number))


def share_of(share: float) -> str:
    """Return a share of something, as it is said before the something: "half", "67 percent of"."""
    return _("half") if share == 0.5 else _("{share} of", share=spoken_share(share))


class RotationAndLatent(Stage):
    """Why rotated keys cannot be absorbed, and the few numbers that carry position instead."""

    title = "Position in a few numbers"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "pattern", "W_Q", "W_K")
    live = "rank"

    def prepare(self) -> None:
        self._refuse_what_cannot_be_shown()
        self.pair, self.kept = best_match(self.head), kept_of(self.head)
        query, key = (printable(self.layer.words[place]) for place in self.pair)
        steps = self.trace.rotation(self.layer.layer).steps
        queries, keys = factors(self.head)
        self.part("name", lambda: heading(_("rotary positions (RoPE)"), self.frame.stage.width))
        self.part("C", latent_of(self.layer))
        self.part("W_Q", queries)
        self.part("W_Kt", keys)
        # Of many pairs every second one is drawn, or every third one and so on.
        drawn = steps[:: -(-len(steps) // CLOCKS)]
        self.part("clocks", ClocksPart(drawn, TURNED, columns=8, cells=20, symbol="R_d"))
        each = _("each clock: two channels, turned by the distance of two tokens")
        self.part("each", quiet(*break_lines(each, 0.9 * self.frame.stage.width, size=TEXT)))
        for name, part in self.kept.items():
            self.part(name, part)
        self.part("of_latent", lambda: self._width("latent", _("numbers, unrotated")))
        self.part("of_rope", lambda: self._width("rope", _("rotated")))
        self.part("sum", lambda: added(self.kept, self.pair, f"{query} → {key}"))
        for name, sign in (("plus", "+"), ("equals", "="), ("to", "->")):
            self.part(name, partial(Symbol, sign, size=SIGN))
        self.facts |= told(rope=self.kept["rope"].values.shape[1])
        if is_converted(self.trace):
            self.part("dial", ClocksPart(steps[:FAST], FAR, columns=2, cells=6))
            self._compare_distances((query, key))
            self._report()

    def _refuse_what_cannot_be_shown(self) -> None:
        meta = self.trace.meta
        if not self.trace.rotates:
            raise StageError(
                f"{meta.model} does not rotate queries and keys; "
                "give the trace of a model that does"
            )
        if meta.attention == "mla":
            return
        try:
            self.report = conversion_report(self.trace)
        except TraceError as error:
            raise StageError(str(error)) from error
        if self.layer.layer != meta.featured.layer:
            raise StageError(
                f"the conversion of {meta.model} is stored for layer {meta.featured.layer}; "
                "leave out --layer"
            )

    def _compare_distances(self, words: tuple[str, str]) -> None:
        """Make the parts that show how merged matrix and score depend on the distance."""
        head, first = self.head, self.layer.first
        query, key = (first + place for place in self.pair)
        merged = MergedMatrix(self.trace, self.layer.layer, head.head)
        changes, apart = merged.changes(range(FAR + 1)), query - key
        self.part("change", lambda: Changes(changes))
        self.part("unturned", merged_at(head, 0))
        self.part("turned", merged_at(head, FAR))
        far = max(apart, min(FARTHEST, len(self.trace.meta.tokens) - 1))
        scores = merged.scores(query, key, far + 1)
        self.part("slide", lambda: Slide(scores, apart, words, self.frame))
        self.part("score", self._score)
        self.facts |= told(
            one=(changes[1], spoken_share),
            five=(changes[FAR], spoken_share),
            true=apart,
            score=(float(head.scores[self.pair]), format_number),
            product=(float(head.dot_products[self.pair]), format_number),
            divisor=(1 / self.trace.meta.score_scale, format_short),
        )

    def _report(self) -> None:
        """Make the parts that show what the conversion measured."""
        report, width = self.report, 0.9 * self.frame.stage.width
        model, *converted = (row.result.perplexity for row in report.windows)
        worse = [perplexity / model - 1 for perplexity in converted]
        kept = report.rotated + report.rank
        self.facts |= told(
            share=(kept / report.cached, share_of),
            next=printable(report.next_word),
            worse=(worse[0], spoken_share),
            mended=(worse[-1], spoken_share),
            minutes=(report.heal_minutes, counted_minutes),
        )
        done = _("nothing trained")
        if report.healed is not None:
            done = _("trained {minutes}", minutes=self.facts["minutes"])
        part = fact("kept numbers", kept, part="both")
        whole = fact("kept numbers", report.cached, way="model")
        more = fact("perplexity", worse[-1], more_percent, healed=len(worse) > 1)
        self.part("said", self._said)
        self.part("half", quiet(_("{part} of {whole} numbers kept", part=part, whole=whole)))
        about = break_lines(_("perplexity: how unsure it is of each next word"), width, size=WORDS)
        self.part("more", lambda: figure(more))
        self.part("about", lambda: below_each_other(*(Label(line, size=WORDS) for line in about)))
        self.part("price", lambda: Price(worse, done, width))

    def variant(self, beat: str) -> str:
        if beat == "a_few_numbers":
            return "own" if self.trace.meta.attention == "mla" else "converted"
        says = self.report.stored.continuation.startswith(self.report.next_word)
        return ("kept" if says else "lost") + ("" if self.report.healed is None else "_healed")

    def provenance_notes(self) -> tuple[str, str]:
        source, hidden = super().provenance_notes()
        if not is_converted(self.trace) or self.playing not in ("a_few_numbers", "two_parts"):
            return source, hidden
        minutes, made = self.report.heal_minutes, _("nothing trained")
        if minutes:
            made = _("converted, trained {minutes}", minutes=counted_minutes(minutes))
        return f"{source}  ·  {made}", self.hidden_note(short=True)

    # Parts

    def _width(self, name: str, what: str) -> Mobject:
        """Return how many numbers of something are kept for each token."""
        part = self.kept[name]
        count = fact("kept numbers", part.values.shape[1], part=name)
        return below_each_other(figure(count, colour=part.colour), Label(what, size=WORDS))

    def _score(self) -> Mobject:
        """Return the score at the true distance, and the product that it comes from."""
        score = figure(self.facts["score"], colour=self.theme.scores)
        words = _("score: {product} ÷ {divisor}", **self.facts)
        return below_each_other(score, Label(words, size=WORDS))

    def _said(self) -> Mobject:
        """Return the prompt, and how the converted model goes on."""
        report, stage = self.report, self.frame.stage
        words = *self.layer.words, first_sentence((report.healed or report.stored).continuation)
        colours = [*[self.theme.muted] * self.layer.count, self.theme.ink]
        room = Box(0, 0, stage.width, 0.3 * stage.height)
        return Sentence(words, room, size=0.075, colours=colours)

    # Why rotated weights cannot be merged

    @beat
    def rotation_in_between(self) -> None:
        """But there is a [catch]: RoPE [turns] queries and keys by position, like clock hands,
        right between the two matrices."""
        self.show("C")
        self.wait_for("catch")
        self.show("name name\nW_Q W_Kt", tall="name\nW_Q\nW_Kt")
        self.wait_for("turns")
        self.show(
            "name name name\nW_Q clocks W_Kt\neach each each",
            tall="name\nW_Q\nclocks\neach\nW_Kt",
            later="clocks each",
        )
        clocks, symbol = self.parts["clocks"].pieces.values()
        clocks.turn_to(0, 0)
        self.play(Appear(clocks), Appear(symbol), Appear(self.parts["each"].whole))
        turning = AnimateWith(clocks, lambda alpha: clocks.turn_to(TURNED * alpha, 0))
        self.play(turning, run_time=4.0)

    @beat(when=is_converted)
    def it_depends_on_the_distance(self) -> None:
        """[One] step apart, the product changes by {one}, [five] apart by {five}: there is no one
        matrix to keep."""
        self.show(MERGED, tall=TALL_MERGED, later="turned dial change")
        turned = self.parts["turned"]
        dial, change = (self.parts[name].whole[0] for name in ("dial", "change"))
        look_at(turned.cells, merged_at(self.head, 0))
        dial.turn_to(0, 0)
        change.show(0)
        start = self.parts["unturned"].cells.copy()
        self.play(Become(turned.cells, start), run_time=self.theme.tempo.large)
        self.play(*(Appear(piece) for piece in (turned.pieces["title"], dial, change)))
        self.wait_for("One")
        self._step_apart(0, 1)
        self.wait_for("five")
        self._step_apart(1, FAR)

    def _step_apart(self, start: int, stop: int) -> None:
        """Go from a distance to another one, step by step: the matrix is another at each."""
        dial, change = (self.parts[name].whole[0] for name in ("dial", "change"))
        cells = self.parts["turned"].cells

        def step(alpha: float) -> None:
            distance = start + (stop - start) * alpha
            dial.turn_to(distance, 0)
            change.show(round(distance))
            look_at(cells, merged_at(self.head, round(distance)))

        moving = Group(dial, change, cells)
        self.play(AnimateWith(moving, step, rate_func=linear), run_time=0.7 * (stop - start))

    @beat(when=is_converted)
    def the_score_slides(self) -> None:
        """Slide two tokens apart, and their score slides too. They really are {true} apart:
        {score}."""
        self.show("slide score", later="score")
        slide, apart = self.parts["slide"].whole[0], self.pair[0] - self.pair[1]
        last = len(slide.bars) - 1
        way = AnimateWith(slide, lambda alpha: slide.slide_to(apart + (last - apart) * alpha))
        self.play(way, rate_func=there_and_back, run_time=5.0)
        self.show("slide score")

    # The way out

    @beat(
        converted="DeepSeek's way out: one [rotated] key for all heads carries position, beside a "
        "latent that is not rotated.",
        own="The way out: one [rotated] key of {rope} numbers for all heads carries position, "
        "beside a latent that is not rotated.",
    )
    def a_few_numbers(self) -> None:
        mosaic = "latent | rope\nof_latent | of_rope"
        self.show(mosaic, reveal="latent", later="rope of_rope")
        self.wait_for("rotated")
        self.show(mosaic, reveal="rope")

    @beat
    def two_parts(self) -> None:
        """A score is then two parts, added: one from the latent, one from the rotated key."""
        show = partial(self.show, PARTS, tall=TALL_PARTS, words="rows")
        show(later="unrotated plus rotated equals scores to pattern sum")
        parts = [self.parts[name].cells for name in ("unrotated", "rotated")]
        self.add(*parts)
        self.play(*(Reveal(part.whole.set_shown(0), in_rows(part.shape)) for part in parts))
        show(origins={"scores": parts[0].whole}, later="to pattern sum")
        show(later="sum")
        show(marks=tuple(Mark(n, *self.pair) for n in (*SUM, "pattern")))

    @beat(
        when=is_converted,
        kept="With {share} its cache, the converted model still says {next}. Its [perplexity], how "
        "unsure it is of each next word, is [{worse}] higher.",
        lost="With {share} its cache, this is what the converted model says. Its [perplexity], how "
        "unsure it is of each next word, is [{worse}] higher.",
        kept_healed="With {share} its cache, the converted model still says {next}. Its "
        "[perplexity], how unsure it is of each next word, is [{worse}] higher; after {minutes} of "
        "[training], {mended}.",
        lost_healed="With {share} its cache, this is what the converted model says. Its "
        "[perplexity], how unsure it is of each next word, is [{worse}] higher; after {minutes} of "
        "[training], {mended}.",
    )
    def what_it_says(self) -> None:
        self.show(SAID, later="more about price")
        price = self.parts["price"].whole[0]
        price.train(0.0)
        self.wait_for("perplexity")
        self.play(Appear(self.parts["about"].whole))
        self.wait_for("worse")
        self.play(Appear(price.start))
        if self.report.healed is not None:
            self.wait_for("training")
        shrinking = AnimateWith(price, price.train)
        self.play(shrinking, Appear(price.done), run_time=3.0)
        self.show(SAID)
