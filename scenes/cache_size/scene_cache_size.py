"""The size of the cache, from one token to long contexts, and what published figures compare.

The numbers are those of published models, not of the trace.
"""

from __future__ import annotations

from manim import Group, LaggedStart, Succession

from extract.architectures import (
    COMPARED_GROUPS,
    CONTEXT_TOKENS,
    V2_SAVING,
    V2_THROUGHPUT,
    architecture,
    v2_cache_claim,
)
from filmkit.core.animations import Appear, Glide, Vanish
from filmkit.core.numbers import format_number, format_percent
from filmkit.core.stage import Stage, beat
from filmkit.mobjects.cached_numbers import CachedPerToken, trained_ratio
from filmkit.mobjects.context_chart import ContextChart
from filmkit.mobjects.context_chart_layout import ContextLayout
from scenes.cache_size.charts import ClaimBars, ShippedPlot, TokenBars
from scenes.cache_size.layout import ClaimLayout, ShippedLayout, TokenBarsLayout

SHAPE = "DeepSeek-V3/R1"
SHIPPED = (
    "DeepSeek-V3/R1",
    "DeepSeek-V2",
    "Falcon 7B",
    "DeepSeek 67B",
    "Llama-3 70B",
    "Mistral 7B",
    "SmolLM2-135M",
    "GPT-2 small",
)


class CacheSize(Stage):
    """The cache of one token under four schemes, of many tokens, of real models, and one claim."""

    title = "What the cache weighs"

    def provenance_notes(self) -> tuple[str, str]:
        return "published sizes of DeepSeek-R1 and other models  ·  not the traced model", ""

    def prepare(self) -> None:
        arch = architecture(SHAPE)
        self.caches = (
            CachedPerToken(arch, "mha"),
            CachedPerToken(arch, "gqa", COMPARED_GROUPS),
            CachedPerToken(arch, "mqa"),
            CachedPerToken(arch, "mla"),
        )
        self.token = TokenBars(self.caches, TokenBarsLayout.of(self.frame))
        self.context = ContextChart(self.caches, ContextLayout.of(self.frame))
        self.shipped = ShippedPlot(SHIPPED, ShippedLayout.of(self.frame))
        self.claim = ClaimBars(ClaimLayout.of(self.frame))
        every_head, latent, claim = self.caches[0], self.caches[-1], v2_cache_claim()
        self.facts |= {
            "heads": str(arch.n_heads),
            "megabytes": format_number(every_head.size() / 1e6, 2),
            "times": format_number(every_head.size() / latent.size(), 2),
            "trained": format_number(trained_ratio()[2]),
            "context": f"{CONTEXT_TOKENS // 1024}K",
            "all_gb": format_number(every_head.size(CONTEXT_TOKENS) / 1e9),
            "latent_gb": format_number(latent.size(CONTEXT_TOKENS) / 1e9, 2),
            "saving": format_percent(V2_SAVING),
            "groups": str(self.claim.reference.n_kv_heads),
            "before_bits": str(claim.reference_bits),
            "bits": str(claim.bits),
            "architecture": format_number(claim.times_fewer_elements, 2),
            "precision": format_number(claim.times_fewer_bits, 2),
            "throughput": format_number(V2_THROUGHPUT),
        }

    @beat
    def one_token(self) -> None:
        """At DeepSeek-R1's size, keys and values for all {heads} heads take {megabytes} megabytes
        a token. Sharing them takes far less, and so does a latent."""
        token, tempo = self.token, self.theme.tempo
        self.play(Appear(token.title), Appear(token.source), run_time=tempo.small)
        for index in range(len(self.caches)):
            self.play(Appear(token.bar_labels(index), run_time=tempo.small), token.arrive(index))
            labels = token.bars.sizes[index], token.compositions[index]
            self.play(*(Appear(part) for part in labels), run_time=tempo.small)

    @beat
    def how_much_smaller(self) -> None:
        """Against all {heads} heads, the latent is {times} times smaller. Against the large
        full-attention model that DeepSeek did train, {trained} times."""
        token, tempo = self.token, self.theme.tempo
        between = Group(*(token.full_row(index) for index in (1, 2)))
        leaving = Group(token.title, token.source, token.compositions[-1])
        self.play(
            Vanish(leaving, run_time=tempo.small),
            *self.dim(between, run_time=tempo.small),
            token.lay_tiles(),
        )
        self.play(Appear(token.ratio), Appear(token.remarks[0]), run_time=tempo.small)
        self.hold()
        labels = token.trained, token.remarks[1], token.trained_source
        self.play(*(Appear(part) for part in labels), run_time=tempo.small)

    @beat
    def longer_contexts(self) -> None:
        """Every token adds its share. At {context} tokens, one conversation with all heads
        cached fills {all_gb} gigabytes."""
        chart, tempo = self.context, self.theme.tempo
        bars = self.token.bars.bars
        point = bars.copy().scale(0.01).move_to([*chart.axes.at(0, 0), 0.0])
        self.remove(bars)
        ground = Appear(Group(chart.grid, chart.remark), run_time=tempo.small)
        self.play(
            Succession(Vanish(Group(*self.visible_parts()), run_time=tempo.small), ground),
            Glide(bars, point, run_time=2 * tempo.small),
        )
        self.remove(bars)
        self.play(chart.draw(), run_time=1.5 * tempo.large)
        self.play(Appear(chart.ends), run_time=tempo.small)
        limits = Group(chart.gpu_line, chart.node_line, chart.full_dot, chart.full_note)
        self.play(Appear(limits), run_time=tempo.small)

    @beat
    def one_gpu(self) -> None:
        """The latent keeps it in {latent_gb} gigabytes. Only one shared head is smaller,
        and pays for it in quality."""
        self.play(self.context.zoom(run_time=2 * self.theme.tempo.large))

    @beat
    def real_models(self) -> None:
        """All four have shipped. Each line is what a model saves against keys and values
        for every head."""
        shipped, tempo = self.shipped, self.theme.tempo
        self.play(Vanish(Group(*self.visible_parts())), run_time=tempo.small)
        self.play(
            Appear(shipped.ground),
            Appear(shipped.rings),
            Appear(shipped.headings),
            run_time=tempo.small,
        )
        rows = range(len(SHIPPED))
        self.play(
            LaggedStart(*(shipped.shrink(row) for row in reversed(rows)), lag_ratio=0.25),
            run_time=2 * tempo.large,
        )
        self.play(*(Appear(shipped.labels(row)) for row in rows), run_time=tempo.small)

    @beat
    def the_published_saving(self) -> None:
        """The published {saving} is another comparison: {groups} groups at {before_bits} bits
        against a latent at {bits} bits. {architecture} times is architecture, {precision}
        precision."""
        claim, tempo = self.claim, self.theme.tempo
        names = [self.shipped.plot.names[SHIPPED.index(row.name)] for row in claim.bars.rows[:2]]
        targets = claim.bars.names[:2]
        self.remove(*names)
        self.play(
            Vanish(Group(*self.visible_parts()), run_time=tempo.small),
            *(Glide(name, target) for name, target in zip(names, targets, strict=True)),
        )
        self.remove(*names)
        self.add(*targets)
        self.play(Appear(claim.title), run_time=tempo.small)
        for row in range(len(claim.bars.rows)):
            self.play(Appear(claim.bar_labels(row), run_time=tempo.small), claim.arrive(row))
            labels = [claim.bars.sizes[row], *([claim.steps[row - 1]] if row else [])]
            self.play(*(Appear(part) for part in labels), run_time=tempo.small)
        self.play(Appear(claim.total), Appear(claim.consistent), run_time=tempo.small)

    @beat
    def throughput_too(self) -> None:
        """The {throughput} times throughput was measured with those {bits} bits too."""
        claim, tempo = self.claim, self.theme.tempo
        labels = claim.throughput, claim.measured, claim.pointer
        self.play(*(Appear(part) for part in labels), run_time=tempo.small)
