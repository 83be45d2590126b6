"""Rotation and the latent: what stands between the two matrices, and the way round it."""

from __future__ import annotations

from manim import Group, LaggedStart, linear

from extract.conversion_report import ConversionReport, conversion_report
from extract.errors import TraceError
from extract.merged import MergedMatrix
from extract.trace import Trace
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    MoveFromCopy,
    Reveal,
    RollUp,
    Settle,
    Vanish,
    in_rows,
    second_half,
)
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.language import _, ngettext
from filmkit.core.numbers import format_percent, spoken_share
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, StageError, beat
from filmkit.core.theme import current_theme
from filmkit.core.view import best_match
from filmkit.mobjects.flow import Draw
from filmkit.mobjects.sayings import Saying, Sayings, set_colours
from scenes.rotation.layout import MatricesLayout
from scenes.rotation.pictures import (
    Matrices,
    Parts,
    RotationFormula,
    Slide,
    cached_of,
    two_digits,
)


def rotates_whole_keys(trace: Trace) -> bool:
    """Return whether the model rotates whole queries and keys, so that merging them fails."""
    return trace.rotates and trace.meta.attention != "mla"


def is_converted(trace: Trace) -> bool:
    """Return whether the trace has a conversion of the whole model."""
    return trace.meta.conversion is not None and trace.meta.attention != "mla"


def counted_minutes(number: float) -> str:
    """Return a number of minutes: "3 minutes"."""
    return ngettext("{number} minute", "{number} minutes", round(number))


def share_of(share: float) -> str:
    """Return a share of something, as it is said before the something: "half", "67 percent of"."""
    return _("half") if share == 0.5 else _("{share} of", share=spoken_share(share))


def whole_percent(share: float) -> str:
    """Return a share in whole per cent."""
    return format_percent(share, 0)


class RotationAndLatent(Stage):
    """Why rotated keys cannot be absorbed, and the few numbers that carry position instead."""

    title = "Position in a few numbers"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "pattern", "W_Q", "W_K")
    live = "rank"

    def prepare(self) -> None:
        self._refuse_what_cannot_be_shown()
        self.matrices_layout = MatricesLayout.of(self.frame, count=3)
        pair = best_match(self.head)
        words = self.layer.words[pair[0]], self.layer.words[pair[1]]
        self.formula = RotationFormula(self.frame, self.matrices_layout, words)
        cached = cached_of(self.head)
        self.parts = Parts(self.layer, cached, self.head, self.frame)
        rope = cached.rope[0].shape[1]
        self.facts |= told(rope=rope)
        if rotates_whole_keys(self.trace):
            self._compare_distances()
        if is_converted(self.trace):
            self._report()

    def _refuse_what_cannot_be_shown(self) -> None:
        meta = self.trace.meta
        if not self.trace.rotates:
            raise StageError(
                f"{meta.model} does not rotate queries and keys; "
                "give the trace of a model that does"
            )
        if meta.attention != "mla":
            try:
                conversion_report(self.trace)
            except TraceError as error:
                raise StageError(str(error)) from error
        if meta.attention != "mla" and self.layer.layer != meta.featured.layer:
            raise StageError(
                f"the conversion of {meta.model} is stored for layer {meta.featured.layer}; "
                "leave out --layer"
            )

    def _compare_distances(self) -> None:
        """Make what shows that the merged matrix depends on the distance."""
        merged = MergedMatrix(self.trace, self.layer.layer, self.head.head)
        self.matrices = Matrices(merged, self.matrices_layout, self.frame)
        self.slide = Slide(merged, self.head, best_match(self.head), self.frame)
        one, five = self.matrices.changes[1:]
        self.facts |= told(
            one=(one, spoken_share),
            five=(five, spoken_share),
            true=self.slide.true,
            score=(self.slide.scores[self.slide.true], two_digits),
        )
        self.facts |= {"product": self.slide.product, "divisor": self.slide.divisor}

    def _report(self) -> None:
        """Read what the conversion measured."""
        self.report: ConversionReport = conversion_report(self.trace)
        model, *converted = (row.result.perplexity for row in self.report.windows)
        share = (self.report.rotated + self.report.rank) / self.report.cached
        self.facts |= told(
            share=(share, share_of),
            next=printable(self.report.next_word),
            worse=(converted[0] / model - 1, spoken_share),
            mended=(converted[-1] / model - 1, spoken_share),
            minutes=(self.report.heal_minutes, counted_minutes),
        )

    def variant(self, beat: str) -> str:
        if beat == "a_few_numbers":
            return "own" if self.trace.meta.attention == "mla" else "converted"
        says = self.report.stored.continuation.startswith(self.report.next_word)
        return ("kept" if says else "lost") + ("" if self.report.healed is None else "_healed")

    def provenance_notes(self) -> tuple[str, str]:
        source, hidden = super().provenance_notes()
        if self.playing == "what_it_says":
            return source, hidden
        if self.trace.meta.attention == "mla":
            notes = _("the model’s own latent"), self.hidden_note(short=True)
            return source, "  ·  ".join(filter(None, notes))
        if self.playing in ("a_few_numbers", "two_parts"):
            healed = self.report.heal_minutes
            made = _("nothing trained")
            if healed:
                made = _("converted, trained {minutes}", minutes=counted_minutes(healed))
            return f"{source}  ·  {made}", self.hidden_note(short=True)
        return source, hidden

    @beat
    def rotation_in_between(self) -> None:
        """But there is a catch: position. The [rotation] stands right between the two matrices."""
        tempo, formula = self.theme.tempo, self.formula
        self.play(
            LaggedStart(*(Appear(piece) for piece in formula.pieces), lag_ratio=0.2),
            Appear(formula.words, rate_func=second_half),
        )
        self.wait_for("rotation")
        self.play(formula.push_apart())
        formula.place_turn()
        self.play(Appear(Group(formula.turn, formula.turn_words)))
        self.play(formula.spin(), run_time=2 * tempo.normal)

    @beat(when=rotates_whole_keys)
    def it_depends_on_the_distance(self) -> None:
        """[One] step apart, the product changes by {one}, [five] apart by {five}: there is no one
        matrix to keep."""
        tempo, m = self.theme.tempo, self.matrices
        first = m.panels[0]
        self.play(self.formula.rise(), Vanish(Group(self.formula.words, self.formula.turn_words)))
        self.add(first.set_shown(0))
        self.play(Reveal(first, in_rows(first.shape)), Appear(Group(m.names[0], m.numbers[0])))
        for number, mark in ((1, "One"), (2, "five")):
            self.wait_for(mark)
            self.play(
                MoveFromCopy(first, m.panels[number]),
                self.formula.spin(0.3 * number),
                run_time=tempo.large,
            )
            self.play(m.difference(number), Appear(m.names[number]), Appear(m.numbers[number]))

    @beat(when=rotates_whole_keys)
    def the_score_slides(self) -> None:
        """Slide two tokens apart, and their score slides too. They really are {true} apart:
        {score}, which is {product} divided by {divisor}."""
        tempo, m, slide = self.theme.tempo, self.matrices, self.slide
        self.play(
            Vanish(self.formula.pieces),
            Vanish(self.formula.turn),
            *(Vanish(part) for part in (*m.names, *m.numbers)),
            *(
                Settle(panel, Box(dot.get_x(), dot.get_y(), 0.06, 0.06), remover=True)
                for panel, dot in zip(m.panels, slide.landing, strict=False)
            ),
            Appear(slide.axes, rate_func=second_half),
            run_time=tempo.large,
        )
        self.remove(*m.panels)
        self.play(
            Appear(slide.dots), Appear(slide.key), Appear(slide.query),
            Appear(Group(slide.lead, slide.dot)),
        )  # fmt: skip
        last = len(slide.scores) - 1
        self.play(
            Draw(slide.curve, rate_func=linear),
            AnimateWith(
                Group(slide.query, slide.lead, slide.dot),
                lambda alpha: slide.slide_to(last * alpha),
                rate_func=linear,
            ),
            run_time=3 * tempo.normal,
        )
        self.play(
            AnimateWith(
                Group(slide.query, slide.lead, slide.dot),
                lambda alpha: slide.slide_to(last + (slide.true - last) * alpha),
            )
        )
        self.play(Appear(slide.mark))

    @beat(
        converted="DeepSeek's way out: one [rotated] key for all heads carries position, beside a "
        "latent that is not rotated.",
        own="The way out: one [rotated] key of {rope} numbers for all heads carries position, "
        "beside a latent that is not rotated.",
    )
    def a_few_numbers(self) -> None:
        parts = self.parts
        self.play(*(Vanish(part) for part in self.mobjects))
        cells = parts.latent.cells.set_shown(0)
        self.add(cells)
        self.play(
            Reveal(cells, in_rows(cells.shape)),
            Appear(parts.latent.header),
            Appear(parts.words),
            Appear(parts.notes[0]),
        )
        self.wait_for("rotated")
        rope = parts.rope.cells.set_shown(0)
        self.add(rope)
        self.play(
            Reveal(rope, in_rows(rope.shape)),
            Appear(parts.rope.header),
            Appear(parts.frame_of_rope),
            Appear(parts.notes[1]),
        )
        self.play(Appear(parts.total))

    @beat
    def two_parts(self) -> None:
        """A score is then two parts, added: one from the latent, one from the rotated key."""
        tempo, parts = self.theme.tempo, self.parts
        leaving = Group(parts.words, parts.notes, parts.total)
        self.play(Vanish(leaving), *parts.above())
        content, position, scores, pattern = parts.panels
        self.add(content.cells.set_shown(0), position.cells.set_shown(0))
        self.play(
            *(Draw(arrow) for arrow in parts.arrows),
            Appear(parts.panel_words),
            *(Appear(panel.header) for panel in (content, position)),
            *(Reveal(p.cells, in_rows(p.cells.shape)) for p in (content, position)),
        )
        self.play(
            Appear(parts.signs[0]),
            MoveFromCopy(content.cells, scores.cells),
            Appear(scores.header),
            Appear(parts.signs[1]),
            run_time=tempo.large,
        )
        start = pattern.cells.copy().place(scores.cells.box)
        self.play(Arrive(pattern.cells, start), Appear(pattern.header), Appear(parts.signs[2]))

    @beat(
        when=is_converted,
        kept="Converted like this, with {share} its cache and nothing trained, this model still "
        "says {next} first.",
        lost="Converted like this, with {share} its cache and nothing trained, this is what the "
        "model says.",
        kept_healed="Converted like this, with {share} its cache and nothing trained, the model "
        "still says {next}. Its perplexity is {worse} higher; after {minutes} of training, "
        "{mended}.",
        lost_healed="Converted like this, with {share} its cache, the model's perplexity is "
        "{worse} higher; after {minutes} of training, layer by layer, {mended}.",
    )
    def what_it_says(self) -> None:
        tempo = self.theme.tempo
        self.sayings = sayings = Sayings(self.trace.meta.prompt, self._rows(), self.frame)
        cached = (self.parts.latent.cells, self.parts.rope.cells)
        self.play(
            Vanish(Group(*(part for part in self.visible_parts() if part not in cached))),
        )
        self.play(
            *(RollUp(cells, bar) for cells, bar in zip(cached, sayings.bars[1], strict=True)),
            Appear(sayings.prompt, rate_func=second_half),
        )
        for index, bar in enumerate(sayings.bars):
            # What is cached has become the bar of the second row.
            coming = {0: [Appear(bar)], 1: []}.get(
                index, [MoveFromCopy(sayings.bars[index - 1], bar)]
            )
            self.play(Appear(sayings.row(index)), *coming, run_time=tempo.small)
            self.play(Appear(sayings.sayings[index]))

    def _rows(self) -> list[Saying]:
        """Return what the model itself and its conversions say."""
        theme, report, meta = current_theme(), self.report, self.trace.meta
        model, *others = (row.result.perplexity for row in report.windows)
        rows = [
            Saying(
                _("the model itself"),
                _("{number} numbers", number=fact("kept numbers", report.cached, way="model")),
                set_colours(meta, meta.n_kv_heads),
                report.ladder[0].continuation,
                theme.accent,
            )
        ]
        minutes = counted_minutes(report.heal_minutes)
        names = (_("converted only"), _("trained {minutes}", minutes=minutes))
        size = fact("kept numbers", report.rank + report.rotated, part="both")
        converted = [report.stored] + ([report.healed] if report.healed is not None else [])
        for name, row, perplexity in zip(names, converted, others, strict=False):
            worse = fact(
                "perplexity",
                perplexity / model - 1,
                whole_percent,
                beside=name,
                healed=row is report.healed,
            )
            rows.append(
                Saying(
                    name,
                    _("perplexity + {share}, {number} numbers", share=worse, number=size),
                    ((theme.latent, report.rank), (theme.key, report.rotated)),
                    row.continuation,
                    theme.latent,
                    short_note=_("perplexity + {share}", share=worse),
                )
            )
        return rows
