"""The size of the cache: one token, many tokens, one GPU, and what published figures compare.

The numbers are those of published models, not of the trace.
"""

from __future__ import annotations

from manim import AnimationGroup, Group

from extract.architectures import (
    COMPARED_GROUPS,
    CONTEXT_TOKENS,
    GPU_BYTES,
    H100_SXM,
    V2_SAVING,
    V2_THROUGHPUT,
    architecture,
    decoding_work,
    latent_size,
    v2_cache_claim,
)
from extract.newer_schemes import newer_scheme
from filmkit.core.animations import Appear, Arrive, Glide, Vanish
from filmkit.core.facts import fact, told
from filmkit.core.geometry import NARROW
from filmkit.core.language import N_, _, ngettext
from filmkit.core.numbers import (
    counted_heads,
    format_number,
    format_percent,
    spoken_bytes,
)
from filmkit.core.stage import Stage, beat
from filmkit.mobjects.cached_numbers import CachedPerToken, trained_ratio
from filmkit.mobjects.chart import grow_bar
from filmkit.mobjects.flow import Draw
from scenes.cache_size.charts import (
    MemoryLines,
    NewerLines,
    Readers,
    ReadersOfNumber,
    SavingColumns,
    TokenBars,
    format_context,
    lean_over,
)
from scenes.cache_size.layout import ChartLayout, SavingLayout, TokenLayout, WorkLayout

SHAPE = "DeepSeek-V3/R1"
NEWER = {
    ("DSA", "DeepSeek-V3.2"): N_("reads only a part"),
    ("window + GQA", "gpt-oss-120b"): N_("a window in half its layers"),
    ("Gated DeltaNet + GQA", "Qwen3-Next 80B"): N_("caches in few layers"),
    ("CSA + HCA", "DeepSeek-V4-Pro"): N_("an entry for many tokens"),
    ("KDA + MLA", "Kimi Linear 48B"): N_("caches in few layers"),
}
"""Newer schemes and their models, with what makes them cheaper; translated where it is shown."""


def two_figures(value: float) -> str:
    """Return a number with two digits that count."""
    return format_number(value, 2)


class CacheSize(Stage):
    """The cache of one token in four ways, of many tokens, on one GPU, and what it is worth."""

    title = "What the cache weighs"

    def provenance_notes(self) -> tuple[str, str]:
        note = _("published sizes of DeepSeek-R1 and other models  ·  not the traced model")
        return note, ""

    def prepare(self) -> None:
        arch = architecture(SHAPE)
        groups = ngettext("{number} group", "{number} groups", COMPARED_GROUPS)
        self.caches = (
            CachedPerToken(arch, "mha", label=_("every head its own")),
            CachedPerToken(arch, "gqa", COMPARED_GROUPS, label=groups),
            CachedPerToken(arch, "mqa", label=_("one set for all")),
            CachedPerToken(arch, "mla", label=_("one latent")),
        )
        every_head, grouped, _one_set, latent = self.caches
        size, claim = latent_size(arch), v2_cache_claim()
        works = (
            decoding_work(arch, "mha"),
            decoding_work(arch, "gqa", n_groups=COMPARED_GROUPS),
            decoding_work(arch),
        )
        self.rows = (
            Readers(_("every head its own"), 1, works[0], every_head.colour),
            Readers(
                ngettext(
                    "{number} group of {heads}",
                    "{number} groups of {heads}",
                    COMPARED_GROUPS,
                    heads=fact(
                        "readers",
                        arch.n_heads // COMPARED_GROUPS,
                        counted_heads,
                        sets=COMPARED_GROUPS,
                    ),
                ),
                arch.n_heads // COMPARED_GROUPS,
                works[1],
                grouped.colour,
            ),
            Readers(
                _(
                    "one latent for {heads}",
                    heads=fact("readers", arch.n_heads, counted_heads, sets=1),
                ),
                arch.n_heads,
                works[2],
                latent.colour,
                # In a score and in the mix; what is rotated is in the score only.
                _(
                    "each head uses {twice} of {numbers} numbers twice",
                    twice=fact("used twice", size.kv_rank),
                    numbers=fact("cached numbers", sum(size)),
                ),
            ),
        )
        newer = {newer_scheme(*names): _(idea) for names, idea in NEWER.items()}
        self.token = TokenBars(self.caches, TokenLayout.of(self.frame))
        self.memory = MemoryLines(self.caches, ChartLayout.of(self.frame))
        self.readers = ReadersOfNumber(self.rows, WorkLayout.of(self.frame, len(self.rows)))
        self.saving = SavingColumns(SavingLayout.of(self.frame, 4))
        self.newer = NewerLines(
            latent, newer, ChartLayout.of(self.frame), explained=self.frame.width > NARROW
        )
        self.facts |= told(
            heads=arch.n_heads,
            megabytes=(every_head.size(), spoken_bytes),
            kilobytes=(latent.size(), spoken_bytes),
            times=(every_head.size() / latent.size(), format_number),
            trained=(trained_ratio()[2], format_number),
            context=(CONTEXT_TOKENS, format_context),
            all_gb=(every_head.size(CONTEXT_TOKENS) / 1e9, format_number),
            latent_gb=(latent.size(CONTEXT_TOKENS) / 1e9, two_figures),
            full=GPU_BYTES // every_head.size(),
            latent_full=GPU_BYTES // latent.size(),
            work=(works[2].per_number, format_number),
            ridge=(H100_SXM.ridge(), format_number),
            saving=(V2_SAVING, format_percent),
            before_bits=claim.reference_bits,
            architecture=(claim.times_fewer_elements, two_figures),
            precision=(claim.times_fewer_bits, two_figures),
            throughput=(V2_THROUGHPUT, format_number),
        )

    # One token

    @beat
    def one_token(self) -> None:
        """At DeepSeek-R1's size, one token takes {megabytes} if every head keeps its own. The
        latent takes {kilobytes}."""
        token, tempo = self.token, self.theme.tempo
        self.play(Appear(token.title))
        for index in range(len(self.caches)):
            self.play(Appear(token.names[index]), token.arrive(index))
            named = [token.key] if index == 0 else []
            self.play(Appear(Group(token.sizes[index], *named)), run_time=tempo.small / 2)

    @beat
    def how_often_it_fits(self) -> None:
        """The latent fits in {times} times; into the largest such model that DeepSeek trained,
        {trained} times."""
        token, tempo = self.token, self.theme.tempo
        token.times.set_value(0.0)
        self.play(Appear(token.ratio), run_time=tempo.small / 2)
        self.play(token.lay_tiles(run_time=2 * tempo.large))
        self.play(Appear(token.meaning))

    # Many tokens

    @beat
    def every_token_adds_a_box(self) -> None:
        """Every token adds its box. At {context} tokens that is {all_gb} gigabytes, or {latent_gb}
        with the latent."""
        token, memory, tempo = self.token, self.memory, self.theme.tempo
        latent = token.bars[-1][0]
        others = [part for group in (token.names, token.sizes) for part in group]
        others += [token.title, token.key, token.ratio, token.meaning]
        # The tiles go back to where they came from.
        self.play(
            *(Vanish(part) for part in others),
            *(Glide(tile, latent) for tile in token.tiles),
            run_time=tempo.normal,
        )
        self.remove(token.tiles)
        firsts = [boxes[0] for boxes in memory.boxes]
        self.play(
            *(Glide(bar, first) for bar, first in zip(token.bars, firsts, strict=True)),
            Appear(memory.ground),
            run_time=tempo.normal,
        )
        self.remove(token.bars)
        self.add(*firsts)
        self.play(memory.stack(run_time=1.5 * tempo.large))
        self.play(AnimationGroup(*memory.become_lines()), run_time=tempo.normal)
        self.remove(memory.boxes)
        self.play(Appear(memory.ends), Appear(memory.gpu))

    @beat
    def one_gpu(self) -> None:
        """So one GPU is full after {full} tokens, or, with the latent, after [{latent_full}]."""
        memory, tempo = self.memory, self.theme.tempo
        self.play(memory.fill_gpu(run_time=2 * tempo.large))
        first, last = memory.place_full()
        self.remove(memory.ends)
        self.play(Appear(first), Appear(memory.between))
        self.wait_for("latent_full")
        self.play(Appear(last))

    # Why it is faster, and what was published

    @beat
    def one_number_for_all_heads(self) -> None:
        """It's faster, too. Each number that is read serves all {heads} heads, most of the numbers
        twice: {work} multiply-adds on average, of {ridge} that the chip could do."""
        readers, tempo = self.readers, self.theme.tempo
        # A full GPU is one number after another: the two boxes become one number of each.
        first, last = (mark[0] for mark in self.memory.full)
        self.remove(first, last)
        self.play(
            *(Vanish(part) for part in self.visible_parts()),
            readers.come_from(0, first),
            readers.come_from(-1, last),
            Appear(readers.title),
        )
        for index in range(len(self.rows)):
            if index == 1:
                number = readers.numbers[index]
                self.play(Arrive(number, readers.numbers[0]), run_time=tempo.small)
            self.play(
                *(Appear(part) for part in readers.row(index)),
                grow_bar(readers.bars[index]),
                run_time=tempo.normal,
            )
            self.play(Appear(readers.figures[index]), run_time=tempo.small / 2)
        self.play(Appear(readers.chip))

    @beat
    def the_published_saving(self) -> None:
        """DeepSeek's headline, {saving} less, is against groups at {before_bits} bits. Latent and
        fewer layers divide it by {architecture}, fewer bits by {precision}."""
        saving, tempo = self.saving, self.theme.tempo
        # From one number that groups cache to all that they cache of a token.
        number = self.readers.numbers[1]
        rest = [part for part in self.visible_parts() if part is not number]
        self.play(*(Vanish(part) for part in rest), saving.grow_first(number))
        self.play(
            Vanish(number),
            Appear(saving.words[0]),
            Appear(saving.sizes[0]),
            Appear(saving.columns[0]),
            Appear(saving.keys[0]),
        )
        for index in range(1, 4):
            # It comes out from behind the one before.
            self.add(saving.columns[index])
            self.bring_to_back(saving.columns[index])
            self.play(
                saving.step(index), Appear(saving.words[index]), Draw(saving.slopes[index - 1][0])
            )
            named = [saving.keys[1]] if index == 1 else []
            found = Group(saving.slopes[index - 1][1], saving.sizes[index], *named)
            self.play(Appear(found), run_time=tempo.small / 2)
        self.play(Appear(saving.saving))

    @beat
    def throughput_too(self) -> None:
        """The throughput, {throughput} times, has the same causes, and weights of 8 bits."""
        self.play(Appear(self.saving.throughput))

    @beat
    def what_came_after(self) -> None:
        """Later models read only a part of the latent, or let one entry stand for many tokens."""
        newer = self.newer
        # What one token takes leans over into the line of many tokens, as before.
        column, first = self.saving.columns[-1], newer.curves[0]
        rest = [part for part in self.visible_parts() if part not in set(column)]
        start = first.axes.at(0, 0)
        self.play(
            *(Vanish(part) for part in rest),
            *(lean_over(piece, start, first.end) for piece in column),
            Appear(newer.ground),
            Draw(first),
        )
        self.remove(column)
        self.play(Appear(Group(newer.ends.labels[0], newer.ends.ties[0])))
        for index in range(1, len(newer.curves)):
            ends = [newer.ends.labels[index], newer.ends.ties[index]]
            self.play(Draw(newer.curves[index]), *(Appear(part) for part in ends))
