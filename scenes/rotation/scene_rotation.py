"""Rotation and the latent: what stands between the two matrices, and the way round it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from manim import AnimationGroup, Mobject, VGroup, linear

from extract.errors import TraceError
from extract.trace import Trace
from extract.trace.contents.conversion_report import conversion_report
from extract.trace.proof.merged import MergedMatrix
from filmkit.core.animations import AnimateWith, Appear
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import format_number, format_percent, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import StageError, beat
from filmkit.core.text import Label, Symbol, break_lines
from filmkit.core.view import best_match
from filmkit.mobjects.chart import grow_bar
from filmkit.pictures.become import Become
from filmkit.pictures.parts import TEXT
from filmkit.pictures.stage import Stage
from filmkit.pictures.strips import GAP, NUMBER, WORDS
from filmkit.pictures.texts import SentencePart, below_each_other, own_colour, quiet
from filmkit.world.headline import Headline
from scenes.rotation.parts import (
    Bars,
    ClocksPart,
    Price,
    changed_at,
    factors,
    first_sentence,
    kept_of,
    latent_of,
    lines_of,
    merged_once,
    sum_of_parts,
)

FARTHEST = 10  # distance up to which two words move apart
FAR = (1, 2, 5)  # distances at which the merged matrix is looked at
CLOCKS = 8  # how many clocks are drawn: those that turn fastest
BESIDE = 2.0  # width of words at the clocks, at least, in scene units
SIGN = 0.04  # size of signs between matrices
READ = 3.0  # seconds in which words appear, and bars grow
SENTENCE, PRICE = 0.2, 0.46  # heights of the sentence and of the bars, as shares of the stage

CLOCKWORK = """
    name name  name   name name
    .    .     first  .    .
    W_Q  times clocks by   W_Kt
    .    .     apart  .    .
"""
TALL_CLOCKWORK = """
    name   name
    W_Q    W_Q
    times  first
    clocks clocks
    by     apart
    W_Kt   W_Kt
"""
MERGED = """
    merging merging merging  merging
    once    changed1 changed2 changed5
    always  at1      at2      at5
"""
TALL_MERGED = """
    merging  merging
    once     changed1
    always   at1
    changed2 changed5
    at2      at5
"""
KEPT = """
    total     | total
    latent    | rope
    of_latent | of_rope
"""


def is_converted(trace: Trace) -> bool:
    """Return whether the trace has a conversion of a model that rotates whole keys."""
    return trace.rotates and trace.meta.conversion is not None and trace.meta.attention != "mla"


def counted_minutes(number: float) -> str:
    """Return a number of minutes: "3 minutes"."""
    return ngettext("{number} minute", "{number} minutes", round(number))


def counted_places(distance: int) -> str:
    """Return how far apart two words are: "5 places apart"."""
    number = fact("apart", distance, distance=distance)
    return ngettext("{number} place apart", "{number} places apart", distance, number=number)


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
        self.pair, self.kept = best_match(self.head), kept_of(self.layer)
        steps = self.trace.rotation(self.layer.layer).steps
        queries, keys = factors(self.head)
        turned = _(
            "<query>queries</query> and <key>keys</key> turn like clock hands, by their place in "
            "the text"
        )
        self._say("name", _("rotary positions (RoPE)"), turned)
        self.part("C", latent_of(self.layer))
        self.part("W_Q", queries)
        self.part("W_Kt", keys)
        drawn, far = steps[:CLOCKS], FAR[-1]
        columns = -(-len(drawn) // 2)
        self.part("clocks", ClocksPart(drawn, far, columns=columns, cells=120 // columns))
        first, clocks = (fact("clocks", len(part), drawn=part is drawn) for part in (drawn, steps))
        width = max(BESIDE, 0.3 * self.frame.stage.width)
        for name, text in (
            ("first", _("the fastest {first} of {clocks} clocks", first=first, clocks=clocks)),
            ("apart", _("two words, {apart}", apart=counted_places(far))),
        ):
            self.part(name, quiet(*break_lines(text, width, size=TEXT)))
        for name in ("times", "by"):
            self.part(name, partial(Symbol, "times", size=SIGN))
        for name, part in self.kept.items():
            self.part(name, part)
        widths = [part.values.shape[1] for part in self.kept.values()]
        total = _("{number} numbers", number=fact("kept numbers", sum(widths), part="both"))
        self._say("total", total, _("kept of each token, for all heads"))
        self.part("of_latent", partial(self._width, "latent", _("latent: never turned")))
        self.part("of_rope", partial(self._width, "rope", _("one key: turned")))
        query, key = (printable(self.layer.words[place]) for place in self.pair)
        score = _("score of <query>{query}</query> for <key>{key}</key>", query=query, key=key)
        words = self._say("added", _("Two parts, added"), score)
        down = self.frame.upright
        self.part(
            "sum", lambda: sum_of_parts(self.head, self.pair, words().below(head=GAP), down=down)
        )
        self.facts |= told(rope=widths[1])
        if is_converted(self.trace):
            self._compare_distances(score)
            self._report()

    def _say(self, name: str, figure: str, line: str) -> Callable[[], Headline]:
        """Make the words of a picture a part, and return what makes them."""
        words = partial(Headline, figure, line, self.frame)
        self.part(name, words)
        return words

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

    def _compare_distances(self, score: str) -> None:
        """Make the parts that show how merged matrix and score depend on the distance."""
        head, first = self.head, self.layer.first
        query, key = (first + place for place in self.pair)
        merged = MergedMatrix(self.trace, self.layer.layer, head.head)
        changes, apart = merged.changes(range(FAR[-1] + 1)), query - key
        line = _("<ink>white: what changes</ink> in the merged matrix")
        self._say("merging", _("No single matrix serves all distances"), line)
        self.part("once", merged_once(head))
        width = 0.95 * self.frame.stage.width / (2 if self.frame.upright else 4)
        self.part("always", lines_of(_("merged once"), _("without rotation"), width))
        for distance in FAR:
            self.part(f"changed{distance}", changed_at(head, distance, FAR[-1]))
            write = partial(format_percent, digits=0)
            share = fact("change", changes[distance], write, distance=distance)
            lines = lines_of(_("{share} changed", share=share), counted_places(distance), width)
            self.part(f"at{distance}", lines)
        far = max(apart, min(FARTHEST, len(self.trace.meta.tokens) - 1))
        products = merged.scores(query, key, far + 1) / self.trace.meta.score_scale
        words = self._say("slid", _("The score depends on the distance"), score)
        self.part("bars", lambda: Bars(products, apart, words().below(head=GAP)))
        self.facts |= told(
            one=(changes[1], spoken_share),
            five=(changes[FAR[-1]], spoken_share),
            true=apart,
            product=(float(head.dot_products[self.pair]), format_number),
        )

    def _report(self) -> None:
        """Make the parts that show what the conversion measured."""
        report, stage = self.report, self.frame.stage
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
        words = *self.layer.words, first_sentence((report.healed or report.stored).continuation)
        colours = *[self.theme.ink] * self.layer.count, own_colour(report.next_word)
        self.part("said", SentencePart(words, stage.width, SENTENCE * stage.height, colours))
        part = fact("kept numbers", kept, part="both")
        whole = fact("kept numbers", report.cached, way="model")
        line = _("said with {part} of {whole} numbers kept of each token", part=part, whole=whole)
        self.part("half", self._broken(line, self.theme.muted))
        line = _("how much more unsure it is of each next word (perplexity)")
        self.part("about", self._broken(line, self.theme.ink))
        done = _("after {minutes} of training", minutes=self.facts["minutes"])
        names = [_("converted"), done][: len(worse)]
        box = Box(0, 0, stage.width, PRICE * stage.height)
        self.part("price", lambda: Price(worse, names, box))

    def _broken(self, line: str, colour: str) -> Callable[[], Mobject]:
        """Return what makes a line of text, on several lines if the stage is too narrow."""
        lines = break_lines(line, self.frame.stage.width, size=WORDS)
        return lambda: below_each_other(*(Label(t, size=WORDS, colour=colour) for t in lines))

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

    def _width(self, name: str, what: str) -> Mobject:
        """Return how many numbers of something are kept for each token."""
        part = self.kept[name]
        count = fact("kept numbers", part.values.shape[1], part=name)
        number = Label(count, size=NUMBER, colour=part.colour, weight="semibold")
        return below_each_other(number, Label(what, size=WORDS))

    # Why rotated weights cannot be merged

    @beat
    def rotation_in_between(self) -> None:
        """But there is a [catch]: RoPE [turns] queries and keys by position, like clock hands,
        right between the two matrices."""
        self.show("C")
        self.wait_for("catch")
        show = partial(self.show, CLOCKWORK, tall=TALL_CLOCKWORK)
        show(later="clocks first apart times by")
        self.wait_for("turns")
        clocks = self.parts["clocks"].whole[0]
        clocks.turn_to(0, 0)
        self.play(*(Appear(self.parts[name].whole) for name in ("clocks", "first", "times", "by")))
        turning = AnimateWith(clocks, lambda alpha: clocks.turn_to(FAR[-1] * alpha, 0))
        self.play(turning, run_time=4.0)
        self.play(Appear(self.parts["apart"].whole))

    @beat(when=is_converted)
    def it_depends_on_the_distance(self) -> None:
        """[One] place apart, the merged matrix changes by {one}, [five] apart by {five}: no single
        matrix serves all distances."""
        changed = " ".join(f"changed{distance} at{distance}" for distance in FAR)
        self.show(MERGED, tall=TALL_MERGED, later=changed)
        for distance in FAR:
            if mark := {1: "One", 5: "five"}.get(distance):
                self.wait_for(mark)
            cells = self.parts[f"changed{distance}"].cells
            moving = Become(cells, self.parts["once"].cells.copy())
            self.play(moving, run_time=self.theme.tempo.large)
            self.play(Appear(self.parts[f"at{distance}"].whole))

    @beat(when=is_converted)
    def the_score_slides(self) -> None:
        """Move two words apart, and their score slides, too. In the sentence they are {true}
        apart: {product}."""
        self.show("slid\nbars")
        bars = self.parts["bars"].whole[0]
        last, true = len(bars.bars) - 1, bars.distance
        way = [*range(true, last + 1), *range(last - 1, true - 1, -1)]

        def step(alpha: float) -> None:
            bars.light(way[min(int(alpha * len(way)), len(way) - 1)])

        self.play(AnimateWith(bars, step, rate_func=linear), run_time=5.0)

    # The way out

    @beat(
        converted="DeepSeek's way out: one [rotated] key for all heads carries position, beside a "
        "latent that is not rotated.",
        own="The way out: one [rotated] key of {rope} numbers for all heads carries position, "
        "beside a latent that is not rotated.",
    )
    def a_few_numbers(self) -> None:
        self.show(KEPT, reveal="latent", later="rope of_rope total")
        self.wait_for("rotated")
        self.show(KEPT, reveal="rope", later="total")
        self.show(KEPT)

    @beat
    def two_parts(self) -> None:
        """A score is then [two] parts, added: one from the latent, one from the [rotated] key."""
        self.show("added\nsum", later="sum")
        parts = self.parts["sum"].whole[0]
        latent, rotated, both = parts.rows
        self.play(Appear(parts.words))
        self.wait_for("two")
        self.play(Appear(latent), run_time=READ)
        self.wait_for("rotated")
        self.play(Appear(rotated))
        self.play(Appear(both), run_time=READ / 2)

    @beat(
        when=is_converted,
        kept="With {share} its cache, the converted model still [says] {next}. Its [perplexity], "
        "how unsure it is of each next word, is [{worse}] higher.",
        lost="With {share} its cache, this is what the converted model [says]. Its [perplexity], "
        "how unsure it is of each next word, is [{worse}] higher.",
        kept_healed="With {share} its cache, the converted model still [says] {next}. Its "
        "[perplexity], how unsure it is of each next word, is [{worse}] higher; after {minutes} of "
        "[training], {mended}.",
        lost_healed="With {share} its cache, this is what the converted model [says]. Its "
        "[perplexity], how unsure it is of each next word, is [{worse}] higher; after {minutes} of "
        "[training], {mended}.",
    )
    def what_it_says(self) -> None:
        self.show("said\nhalf\nabout\nprice", later="said half about price")
        *prompt, said = self.parts["said"].pieces["row words"]
        self.play(AnimationGroup(*map(Appear, prompt), lag_ratio=0.5), run_time=READ)
        self.wait_for("says")
        self.play(Appear(said), Appear(self.parts["half"].whole))
        self.wait_for("perplexity")
        self.play(Appear(self.parts["about"].whole))
        first, *trained = self.parts["price"].whole[0].rows
        self._grow(first, "worse")
        if trained:
            self.wait_for("training")
            self._grow(*trained)

    def _grow(self, row: VGroup, mark: str = "") -> None:
        """Let a bar of the price grow under its name; its share comes at a mark."""
        name, bar, share = row
        self.play(Appear(name), grow_bar(bar), run_time=READ)
        if mark:
            self.wait_for(mark)
        self.play(Appear(share))
