"""Rotation and the latent: what stands between the two matrices, and the way round it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from manim import AnimationGroup, VGroup, linear

from extract.errors import TraceError
from extract.recompute.merged import MergedMatrix
from extract.trace.contents.conversion_report import conversion_report
from filmkit.core.animations import AnimateWith, Appear
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.geometry import Box
from filmkit.core.headline import Headline
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import (
    counted_minutes,
    format_number,
    spoken_share,
    whole_percent,
)
from filmkit.core.stage import StageError, beat
from filmkit.core.token_text import printable
from filmkit.core.view import best_match
from filmkit.mobjects.chart import grow_bar
from filmkit.pictures.latent_view import LatentView, is_converted
from filmkit.pictures.stage import Stage
from filmkit.pictures.texts import SentencePart, own_colour, text_in
from scenes.rotation.parts import (
    GAP,
    NUMBER,
    WORDS,
    Amounts,
    Bars,
    TurnedWords,
    first_sentence,
    kept_of,
    lines_of,
    merged_at,
    more_percent,
    sum_of_parts,
)

FARTHEST = 10  # distance up to which two words move apart
FAR = (0, 1, 5)  # distances at which the merged matrix is looked at
READ = 3.7  # seconds in which words appear, and bars grow
SENTENCE, PRICE = 0.12, 0.42  # heights of the sentence and the bars, as shares of the free height

MERGED = """
    block0 ≠ block1 ≠2 block5
    said0  . said1  .  said5
"""
TALL_MERGED = """
    block0 said0
    ≠      .
    block1 said1
    ≠2     .
    block5 said5
"""
KEPT = """
    latent    | rope
    of_latent | of_rope
"""


def counted_places(distance: int) -> str:
    """Return how far apart two words are: "5 places apart"."""
    number = fact("apart", distance, distance=distance)
    return ngettext("{number} place apart", "{number} places apart", distance, number=number)


class RotationAndLatent(Stage):
    """Why rotated keys cannot be absorbed, and the few numbers that carry position instead."""

    title = "Position in a few numbers"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "pattern", "W_Q", "W_K")
    live = "rank"

    def prepare(self) -> None:
        self._refuse_what_cannot_be_shown()
        self.view = LatentView.of(self.layer)
        self.pair, self.kept = best_match(self.head), kept_of(self.view)
        steps = self.trace.rotation(self.layer.layer).steps
        turned = _(
            "each word turns its <query>query</query> and <key>key</key> a step further: one of "
            "{clocks} clocks",
            clocks=fact("clocks", len(steps)),
        )
        words = self._say("name", _("Rotary positions (RoPE)"), turned)
        self.part("C", replace(self.view.latent, columns="kept"))
        self.part("clocks", partial(self._turned_words, words, float(steps[0])))
        for name, part in self.kept.items():
            self.part(name, part)
        widths = [part.values.shape[1] for part in self.kept.values()]
        total = _("{number} numbers", number=fact("kept numbers", sum(widths), part="both"))
        self.total = self.headline_of(total, _("kept of each token, for all heads"))
        for name, what in (
            ("latent", _("latent: no position")),
            ("rope", _("key: with position")),
        ):
            part = self.kept[name]
            count = fact("kept numbers", part.values.shape[1], beside=what, part=name)
            third = self.frame.free.width / 3
            lines = lines_of(count, what, third, size=NUMBER, colour=part.colour)
            self.part(f"of_{name}", lines)
        query, key = (printable(self.layer.words[place]) for place in self.pair)
        given = {"query": query, "key": key}
        score = claim(
            self.view.mla.origin == "converted",
            _("score of “{query}” with “{key}” in the converted model", **given),
            _("score of “{query}” with “{key}” in this model", **given),
        )
        words = self._say("added", _("Two parts, added"), score)
        self.part("sum", lambda: sum_of_parts(self.head, self.pair, words().below(head=GAP)))
        self.facts |= named_facts(rope=widths[1])
        if is_converted(self.trace):
            self._compare_distances()
            self._report()

    def _turned_words(self, said: Callable[[], Headline], step: float) -> TurnedWords:
        """Return the words of the prompt, each with its clock, for the room below the headline."""
        apart, room = counted_places(abs(self.pair[0] - self.pair[1])), said().below(head=GAP)
        return TurnedWords(self.layer.words, step, self.pair, self.layer.first, apart, room)

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

    def _compare_distances(self) -> None:
        """Make the parts that show how merged matrix and score depend on the distance."""
        head, first = self.head, self.layer.first
        query, key = (first + place for place in self.pair)
        merged = MergedMatrix(self.trace, self.layer.layer, head.head)
        changes, apart = merged.changes(range(FAR[-1] + 1)), query - key
        width = 0.95 * self.frame.free.width / (2 if self.frame.upright else len(FAR))
        line = _("query and key matrix in one: its first numbers, at three distances")
        self.merging = self.headline_of(_("Every distance, another matrix"), line)
        for distance in FAR:
            change = fact("change", changes[distance], whole_percent, distance=distance)
            said = claim(
                distance == 0,
                _("not turned"),
                _("{share} changed", share=change),
                distance=distance,
            )
            self.part(f"block{distance}", merged_at(head, distance))
            self.part(f"said{distance}", lines_of(counted_places(distance), said, width))
        far = max(apart, min(FARTHEST, len(self.trace.meta.tokens) - 1))
        scores = merged.scores(query, key, far + 1)
        printed = (printable(self.layer.words[place]) for place in self.pair)
        line = _(
            "score of “{query}” with “{key}” in the model itself, this many places apart",
            **dict(zip(("query", "key"), printed, strict=True)),
        )
        words = self._say("slid", _("The score depends on the distance"), line)
        self.part("bars", lambda: Bars(scores, apart, words().below(head=GAP)))
        self.facts |= named_facts(
            one=(changes[1], spoken_share),
            five=(changes[FAR[-1]], spoken_share),
            true=apart,
            score=(float(scores[apart]), format_number),
        )

    def _report(self) -> None:
        """Make the parts that show what the conversion measured."""
        report, free = self.report, self.frame.free
        rows = [row for row in report.windows if row.way in ("model", "mla")]
        model, *converted = (row.result.perplexity for row in rows)
        worse = [perplexity / model - 1 for perplexity in converted]
        kept = report.rotated + report.rank
        self.facts |= named_facts(
            share=(kept / report.cached, spoken_share),
            next=printable(report.next_word),
            worse=(worse[0], spoken_share),
            mended=(worse[-1], spoken_share),
            minutes=(report.heal_minutes, counted_minutes),
        )
        words = *self.layer.words, first_sentence(report.final.continuation)
        colours = *[self.theme.ink] * self.layer.count, own_colour(report.next_word)
        self.part("said", SentencePart(words, free.width, SENTENCE * free.height, colours))
        part = fact("kept numbers", kept, part="both")
        whole = fact("kept numbers", report.cached, way="model")
        figure = _("{part} of {whole} numbers", part=part, whole=whole)
        self._say("half", figure, _("kept of each token, and what the model then says"))
        line = _("how much more unsure than the original model: shorter is better")
        self.part("about", text_in(line, free.width, size=WORDS))
        done = _("after {minutes} of training", minutes=self.facts["minutes"])
        count = len(worse)
        names = [_("converted to latents, untrained"), done][:count]
        texts = [
            fact("perplexity", share, more_percent, beside=name, healed=number > 0)
            for number, (share, name) in enumerate(zip(worse, names, strict=True))
        ]
        colours = (self.theme.muted, self.theme.latent)[-count:]
        box = Box(0, 0, free.width, PRICE * free.height)
        self.part("price", lambda: Amounts(worse, texts, names, colours, box))

    def variant(self, beat: str) -> str:
        if beat == "a_few_numbers":
            return "own" if self.trace.meta.attention == "mla" else "converted"
        says = self.report.final.continuation.startswith(self.report.next_word)
        return ("kept" if says else "lost") + ("" if self.report.healed is None else "_healed")

    def provenance_notes(self) -> tuple[str, str]:
        source, hidden = super().provenance_notes()
        if not is_converted(self.trace) or self.playing not in ("a_few_numbers", "two_parts"):
            return source, hidden
        return f"{source}  ·  {self.view.origin_note()}", hidden and self.hidden_note(short=True)

    # Why rotated weights cannot be merged

    @beat
    def rotation_in_between(self) -> None:
        """Why does [place] need numbers of its own? RoPE [turns] queries and keys like clock hands,
        a step further with each word."""
        self.show("C")
        self.wait_for("place")
        self.show("name\nclocks", later="clocks")
        clocks = self.parts["clocks"].whole[0]
        clocks.turn(0.0)
        self.play(Appear(clocks))
        self.wait_for("turns")
        self.play(AnimateWith(clocks, clocks.turn), run_time=4.0)

    @beat(when=is_converted)
    def it_depends_on_the_distance(self) -> None:
        """And that turn stands [between] the two matrices. [One] place apart, the merged matrix
        [changes] by {one}, [five] apart by {five}: [no] single matrix serves all distances."""
        show = partial(self.show, MERGED, tall=TALL_MERGED, headline=self.merging)
        names = [f"{what}{distance}" for distance in FAR for what in ("block", "said")]
        names += ["≠", "≠2"]
        show(reveal="block0", later=" ".join(names[1:]))
        before = 1
        for mark, shown in {"between": 2, "One": 3, "changes": 4, "five": 6, "no": 8}.items():
            self.wait_for(mark)
            start = self.parts["block0"].cells.whole
            new = {name: start for name in names[before:shown] if name.startswith("block")}
            show(later=" ".join(names[shown:]), origins=new)
            before = shown

    @beat(when=is_converted)
    def the_score_slides(self) -> None:
        """Move two words apart, and their score slides, too. In the sentence they are {true}
        apart: {score}."""
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
        self.steps(KEPT, rotated="rope of_rope", reveal="latent rope")
        self.show(KEPT, headline=self.total)

    @beat
    def two_parts(self) -> None:
        """A score is then [two] parts, added: one from the latent, one from the [rotated] key."""
        self.show("added\nsum", later="sum")
        latent, rotated, both = self.parts["sum"].whole[0].rows
        self.wait_for("two")
        self._grow(latent, READ)
        self.wait_for("rotated")
        self._grow(rotated, READ / 2)
        self._grow(both, READ / 2)

    @beat(
        when=is_converted,
        kept="With {share} of its cache, the converted model still [says] {next}. Its "
        "[perplexity], how unsure it is of each next word, is [{worse}] higher.",
        lost="With {share} of its cache, this is what the converted model [says]. Its "
        "[perplexity], how unsure it is of each next word, is [{worse}] higher.",
        kept_healed="With {share} of its cache, the converted and trained model still [says] "
        "{next}. Its [perplexity], how unsure it is of each next word, was [{worse}] higher; after "
        "{minutes} of [training], {mended}.",
        lost_healed="With {share} of its cache, this is what the converted and trained model "
        "[says]. Its [perplexity], how unsure it is of each next word, was [{worse}] higher; after "
        "{minutes} of [training], {mended}.",
    )
    def what_it_says(self) -> None:
        self.show("half\nsaid\nabout\nprice", later="said about price")
        *prompt, said = self.parts["said"].pieces["row words"]
        self.play(AnimationGroup(*map(Appear, prompt), lag_ratio=0.5), run_time=READ)
        self.wait_for("says")
        self.play(Appear(said))
        self.wait_for("perplexity")
        self.play(Appear(self.parts["about"].whole))
        first, *trained = self.parts["price"].whole[0].rows
        self._grow(first, READ, "worse")
        for row in trained:
            self.wait_for("training")
            self._grow(row, READ)

    def _grow(self, row: VGroup, run_time: float, mark: str = "") -> None:
        """Let a bar grow under its name; its number comes at a mark, or as soon as it has grown."""
        name, bar, number = row
        self.play(Appear(name), grow_bar(bar), run_time=run_time)
        if mark:
            self.wait_for(mark)
        self.play(Appear(number))
