"""Why keys and values are cached, what the cache looks like, and what it costs."""

from __future__ import annotations

import numpy as np
from manim import Group, LaggedStart, VGroup

from extract.architectures import CONTEXT_TOKENS, GPU_BYTES, architecture
from extract.decoding import decode
from filmkit.core.animations import (
    Appear,
    Arrive,
    Glide,
    Presence,
    Reveal,
    Settle,
    ShowCells,
    Transpose,
    Vanish,
    set_presence,
)
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.geometry import Box
from filmkit.core.numbers import format_counted, spoken_bytes
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, StageError, beat
from filmkit.core.text import Label
from filmkit.mobjects.cached_numbers import CachedPerToken
from filmkit.mobjects.chart import Bracket
from filmkit.mobjects.context_chart import ContextChart
from filmkit.mobjects.marks import Highlight
from scenes.kv_cache.cost_formula import CostFormula, TokenComparison
from scenes.kv_cache.decoding_comparison import CachedFrame, RunningWords, decoding_comparison
from scenes.kv_cache.growth import GrowingHead, GrowthMarks, NoteLines, in_column, in_row
from scenes.kv_cache.layout import (
    CachedHeadLayout,
    DecodingComparisonLayout,
    NextWordLayout,
    ScoreGrowthLayout,
    TokenCostLayout,
    cache_growth_layout,
    formula_point,
    title_point,
)
from scenes.kv_cache.model_cache import SPREAD_LAYERS, ModelCache
from scenes.kv_cache.next_word import NextWords, following_word
from scenes.kv_cache.token_cost import TokenCost

LARGE, LARGE_NAME = architecture("DeepSeek-V3/R1"), "DeepSeek-R1"
MAX_STEPS = 6  # largest number of words that are decoded one after another


class KVCache(Stage):
    """A word joins the prompt, decoding with and without a cache, and the size of the cache."""

    title = "Why keys and values are kept"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z")
    scope = ""  # part of the model that the picture shows, where it is not one head
    published = False  # whether the numbers are published ones and not from the trace

    def prepare(self) -> None:
        meta = self.trace.meta
        if meta.attention == "mla":
            raise StageError(
                f"{meta.model} keeps a latent instead of keys and values; render scene_mla"
            )
        if len(meta.tokens) == meta.n_prompt:
            raise StageError(
                "the trace has no words after the prompt; extract it with --generate or --continue"
            )
        if self.layer.stop != meta.n_prompt:
            raise StageError(
                "the rows end before the prompt does, and words are added here; extract it with "
                "--rows up to its end"
            )
        longer = self.layer.until(meta.n_prompt + 1)
        self.picture = GrowingHead(longer.head(self.head.head), self.frame)
        word, rank = following_word(self.trace)
        self.facts |= {
            "word": printable(word),
            "chosen": "is given" if meta.continued else "is taken" if rank == 0 else "follows",
            "like_them": str(meta.n_kv_heads),
            "kv_heads": format_counted(meta.n_kv_heads, "head"),
            "fanned": str(min(SPREAD_LAYERS, meta.n_layers)),
            "each": TokenCost.of_trace(meta).factors[-1][0],
            "bytes": spoken_bytes(TokenCost.of_trace(meta).bytes),
            "large_bytes": spoken_bytes(TokenCost.of_every_head(LARGE).bytes),
            "full": f"{GPU_BYTES // TokenCost.of_every_head(LARGE).bytes:,}",
            "context": f"{CONTEXT_TOKENS // 1024}K",
            "context_bytes": spoken_bytes(CONTEXT_TOKENS * TokenCost.of_every_head(LARGE).bytes),
            "layers": format_counted(meta.n_layers, "layer"),
        }

    def variant(self, beat: str) -> str:
        return "one" if self.trace.meta.n_kv_heads == 1 else "several"

    def provenance_notes(self) -> tuple[str, str]:
        about, hidden = super().provenance_notes()
        if self.published:
            return f"published sizes of {LARGE_NAME}  ·  not the traced model", ""
        model, _, head = about.rpartition("  ·  ")
        return f"{model}  ·  {self.scope or head}", hidden

    def set_scope(self, scope: str) -> None:
        """Change the part of the model that the provenance names."""
        self.scope = scope

    def title_label(self, text: str) -> Label:
        """Build a title that stays at the top left while the camera moves."""
        label = Label(text, size=self.theme.name_size)
        x, y = title_point(self.frame)
        return pin_to_frame(label.on_line(x + label.width / 2, y))

    def _formula(self, cost: TokenCost) -> CostFormula:
        """Build the formula of a token's cost, which stays at the top while the camera moves."""
        point, width = formula_point(self.frame), self.frame.stage.width
        return pin_to_frame(CostFormula(cost, point, width=width))

    # One more word

    @beat
    def the_next_word(self) -> None:
        """After the prompt, the model rates every word it knows. “{word}” {chosen},
        and joins the prompt."""
        theme, tempo = self.theme, self.theme.tempo
        words = self.picture.x_words
        self.word_targets = words.copy()
        for word in words:
            word.scale(theme.name_size / theme.shape_size)
        widths = tuple(word.width for word in words)
        layout = NextWordLayout.of(widths, self.frame, candidates=self.trace["top_ids"].shape[1])
        for word, (x, y) in zip(words, layout.sentence, strict=True):
            word.on_line(x, y)
        self.candidates = candidates = NextWords(self.trace, layout)
        prompt, new = VGroup(*words[:-1]), words[-1].set_fill(theme.highlight)
        self.play(Appear(prompt), run_time=tempo.small)
        self.play(
            *(Appear(part) for part in (candidates.heading, candidates.words)), run_time=tempo.small
        )
        self.play(candidates.grow(), run_time=tempo.normal)
        self.play(Appear(candidates.shares), run_time=tempo.small)
        self.hold()
        origin = new.copy().scale_to_fit_height(candidates.origin.height)
        origin.move_to(candidates.origin)
        self.play(Arrive(new, origin), run_time=tempo.large)

    @beat
    def one_more_row(self) -> None:
        """It brings one more row to X; and to queries, keys and values, one each."""
        picture, tempo = self.picture, self.theme.tempo
        words = picture.x_words
        set_presence(picture.result_side, 0.0)
        self.play(
            Vanish(self.candidates, run_time=tempo.small),
            LaggedStart(
                *(
                    Glide(word, target)
                    for word, target in zip(words, self.word_targets, strict=True)
                ),
                lag_ratio=0.06,
            ),
            Appear(picture.input_side),
            Appear(picture.qkv_panels),
            *self.dim(picture.result_side),
            run_time=tempo.large,
        )
        self.play(
            picture.reveal_new_row(*picture.x.blocks),
            *picture.update_shapes("x"),
            run_time=tempo.normal,
        )
        qkv = (picture.q, picture.k, picture.v)
        moving_rows = picture.rows_to_weights()
        self.add(*moving_rows)
        self.play(*(Settle(strip, box) for strip, box in moving_rows.items()))
        self.remove(*moving_rows)
        self.play(
            picture.reveal_new_row(*(panel.cells for panel in qkv)),
            *picture.update_shapes("q", "k", "v"),
            run_time=tempo.normal,
        )
        rows = [Box.around(block.row(picture.new_row) for block in picture.x.blocks)]
        rows += [panel.cells.row(picture.new_row) for panel in qkv]
        self.frames = VGroup(*(Highlight(row) for row in rows))
        self.play(Appear(self.frames), run_time=tempo.small)

    @beat
    def scores_grow(self) -> None:
        """The turned keys gain a column, so the scores gain a row, and a column that is masked.
        The rest was known before."""
        picture, tempo = self.picture, self.theme.tempo
        scores, new = picture.scores.cells, picture.new_row
        layout = ScoreGrowthLayout.of(picture.layout, count=new + 1)
        score_parts = picture.score_parts
        staying = {*score_parts.get_family(), *self.frames}
        self.others = Group(*(part for part in self.visible_parts() if part not in staying))
        self.play(
            Vanish(self.frames, run_time=tempo.small),
            self.move_camera(Shot.of_box(layout.camera_box)),
            *self.undim(score_parts),
            *self.dim(self.others, to=0.0),
            run_time=tempo.large,
        )
        strip = picture.k.cells.part((new, new + 1), (0, self.trace.meta.d_qk))
        self.add(strip)
        self.play(Transpose(strip, picture.k_t.cells.column(new)), run_time=tempo.large)
        self.remove(strip)
        picture.k_t.cells.set_shown(1)
        query = Highlight(picture.q.cells.row(new), zoom=layout.zoom)
        key = Highlight(picture.k_t.cells.column(new), zoom=layout.zoom)
        self.play(Appear(query), Appear(key), run_time=tempo.small)
        self.play(
            Reveal(scores, in_row(scores.shape, new)),
            Presence(query, 0.0, run_time=tempo.small),
            run_time=tempo.normal,
        )
        self.play(
            Reveal(scores, in_column(scores.shape, new)),
            Presence(key, 0.0, run_time=tempo.small),
            run_time=tempo.normal,
        )
        self.remarks = marks = GrowthMarks(picture, layout)
        self.remove(query, key)
        self.play(*(Appear(part) for part in marks), run_time=tempo.small)

    @beat
    def one_row_of_each(self) -> None:
        """So a new word needs one new row of scores, of the pattern and of z. Old rows stay."""
        picture, tempo = self.picture, self.theme.tempo
        pattern, new = picture.pattern.cells, picture.new_row
        self.play(
            Vanish(self.remarks, run_time=tempo.small),
            self.move_camera(Shot()),
            *self.undim(self.others, picture.result_side),
            run_time=tempo.large,
        )
        masked = Reveal(pattern, in_column(pattern.shape, new))
        self.play(
            picture.reveal_new_row(pattern),
            masked,
            Appear(picture.new_words),
            *picture.update_shapes("pattern"),
            run_time=tempo.normal,
        )
        self.play(
            picture.reveal_new_row(picture.z.cells),
            *picture.update_shapes("z"),
            run_time=tempo.normal,
        )
        rows = [panel.cells.row(new) for panel in (picture.scores, picture.pattern, picture.z)]
        self.frames = VGroup(*(Highlight(row) for row in rows))
        self.play(Appear(self.frames), run_time=tempo.small)

    @beat
    def what_is_kept(self) -> None:
        """Old queries are never asked again. Old keys and values are read every time, so they
        are kept: the cache."""
        picture, tempo, theme = self.picture, self.theme.tempo, self.theme
        layout, new = CachedHeadLayout.of(picture.layout), picture.new_row
        staying = Group(picture.qkv_panels, *(picture.shapes_after[name] for name in "qkv"))
        leaving = Group(
            *(part for part in self.visible_parts() if part not in staying.get_family())
        )
        self.play(
            Vanish(leaving, run_time=tempo.small),
            self.move_camera(Shot.of_box(layout.camera_box)),
            run_time=tempo.large,
        )
        queries = picture.q.cells
        again = "all rows are read for each new word"
        lines = ("old rows are never used again", again, again)
        points = (layout.q, layout.k, layout.v)
        notes = [
            NoteLines(((line, theme.ink),), (point,), width=layout.width)
            for line, point in zip(lines, points, strict=True)
        ]
        old = np.where(np.arange(new + 1)[:, None] < new, theme.dim, 1.0)
        self.play(ShowCells(queries, old), Appear(notes[0]), run_time=tempo.normal)
        self.hold()
        self.cached_frames = VGroup(
            CachedFrame(picture.k.cells.box, theme.key),
            CachedFrame(picture.v.cells.box, theme.value),
        )
        cache = Bracket(*layout.bracket, "the cache", towards=(1.0, 0.0))
        self.play(*(Appear(note) for note in notes[1:]), run_time=tempo.small)
        self.play(Appear(self.cached_frames), Appear(cache), run_time=tempo.normal)

    # Word after word

    @beat
    def token_by_token(self) -> None:
        """With a cache, each word takes one row of everything. Without it, all rows are computed
        again, and the numbers come out the same."""
        picture, tempo = self.picture, self.theme.tempo
        meta, old = self.trace.meta, self.layer.count
        decoding = decode(self.trace, self.layer.layer, max_tokens=MAX_STEPS)
        steps = len(decoding.steps)
        view = self.layer.until(meta.n_prompt + steps)
        layout = DecodingComparisonLayout.of(self.frame, count=view.count)
        cached, naive, remark = decoding_comparison(
            view.head(self.head.head), old, decoding, layout
        )
        self.cached, self.naive = cached, naive
        words = RunningWords(view.words, layout.words)
        pairs = ((picture.k.cells, cached.k), (picture.v.cells, cached.v))
        moving = [(cells.part((0, old), (0, cells.shape[1])), panel) for cells, panel in pairs]
        # The row of the new word disappears, because decoding computes it again.
        rows = [cells.part((old, old + 1), (0, cells.shape[1])) for cells, _ in pairs]
        self.remove(*(cells for cells, _ in pairs))
        self.add(*rows, *(cells for cells, _ in moving), self.cached_frames)
        staying = Group(self.cached_frames, *(cells for cells, _ in moving))
        leaving = Group(*(p for p in self.visible_parts() if p not in staying.get_family()))
        self.play(
            Vanish(leaving, run_time=tempo.small),
            self.move_camera(Shot()),
            *(Settle(cells, panel.block((0, old), (0, panel.shape[1]))) for cells, panel in moving),
            *(Glide(a, b) for a, b in zip(self.cached_frames, cached.frames, strict=True)),
            run_time=tempo.large,
        )
        self.remove(self.cached_frames, *(cells for cells, _ in moving))
        self.add(cached.k, cached.v, cached.frames)
        self.play(
            Appear(words.until(old)),
            *(Appear(part) for decoder in (cached, naive) for part in decoder.labels),
            *(Appear(cells) for cells in naive.panels),
            Appear(naive.frames),
            run_time=tempo.small,
        )
        self.add(*cached.panels)
        for step in range(steps):
            self._one_step(step, words, last=step + 1 == steps)
        self.play(Appear(remark), run_time=tempo.small)

    def _one_step(self, step: int, words: RunningWords, *, last: bool) -> None:
        """Play one step: the next word appears, and both ways of decoding compute its rows."""
        theme, tempo, cached, naive = self.theme, self.theme.tempo, self.cached, self.naive
        word = words.word(self.layer.count + step).set_fill(theme.highlight)
        marks = [] if step else [Appear(cached.row_marks, run_time=tempo.small)]
        self.play(
            Appear(word, run_time=tempo.small),
            *marks,
            cached.compute(step),
            naive.compute(step),
            cached.counter.count_up(step),
            naive.counter.count_up(step),
            run_time=1.1 if step else 2.4,
        )
        self.wait(0.2)
        if not last:
            word.set_fill(theme.ink)

    # The cache as a volume

    @beat(
        one="These are one head's keys and values. Its layer keeps no others.",
        several="These are one head's keys and values. "
        "Its layer keeps {like_them} heads like them.",
    )
    def cache_of_a_layer(self) -> None:
        tempo, cached = self.theme.tempo, self.cached
        self.cache = cache = ModelCache(cached.view, self.frame)
        leaving = Group(
            *(part for part in self.visible_parts() if part not in (cached.k, cached.v))
        )
        self.play(
            Vanish(leaving, run_time=tempo.small),
            Settle(cached.k, cache.layout.k),
            Settle(cached.v, cache.layout.v),
            run_time=tempo.large,
        )
        self.remove(cached.k, cached.v)
        arriving = cache.slide_in(run_time=tempo.swing)
        self.add(*cache.heads)
        self.set_scope(f"layer {self.layer.layer}, all key/value heads")
        self.play(self.move_camera(cache.shot_of_heads, run_time=tempo.swing), *arriving)
        title = self.title_label(f"layer {self.layer.layer}: {self.facts['kv_heads']}")
        self.labels = VGroup(title, cache.key_value_labels, cache.head_labels)
        self.play(Appear(self.labels), run_time=tempo.small)

    @beat
    def every_layer(self) -> None:
        """And every layer has its own: these are {fanned} of {layers}."""
        tempo, cache = self.theme.tempo, self.cache
        self.play(Vanish(self.labels, run_time=tempo.small), *cache.close_heads())
        self.remove(*cache.heads)
        self.add(*cache.layers)
        self.set_scope("all key/value heads")
        self.play(
            *cache.spread_layers(),
            self.move_camera(cache.shot_of_layers),
            run_time=1.2 * tempo.large,
        )
        title = self.title_label(f"{len(cache.layers)} of {self.facts['layers']}")
        self.labels = VGroup(title, cache.layer_labels)
        self.play(Appear(self.labels), run_time=tempo.small)

    @beat
    def the_whole_cache(self) -> None:
        """All of it is the cache, as tall as there are words. Every new word adds one slice."""
        tempo, cache, whole = self.theme.tempo, self.cache, self.cache.whole
        self.play(
            Vanish(self.labels, run_time=tempo.small), *cache.close_layers(), run_time=tempo.normal
        )
        self.remove(*cache.layers)
        self.add(whole)
        self.set_scope("all layers, all key/value heads")
        self.play(
            whole.change_range(units=(0, cache.units)),
            self.move_camera(cache.shot_of_whole),
            run_time=1.2 * tempo.large,
        )
        title = self.title_label(f"{self.facts['layers']}, {self.facts['kv_heads']} each")
        words = cache.word_labels(self.cached.view.layer.words)
        self.play(Appear(title), whole.change_range(rows=1), run_time=tempo.normal)
        self.add(words)
        self.play(cache.grow(words, run_time=1.8 * tempo.large))
        outline = whole.slice_outline(self.theme.highlight)
        self.play(Appear(outline), run_time=tempo.small)
        self.hold()
        self.labels = VGroup(title, words)

    # What it costs

    @beat
    def bytes_of_a_word(self) -> None:
        """One slice is a key and a value, for every head of every layer, {each} bytes a number:
        {bytes} for each word."""
        tempo, cache = self.theme.tempo, self.cache
        cost = TokenCost.of_trace(self.trace.meta)
        formula = self._formula(cost)
        measures = cache.measures(cost)
        self.play(
            Vanish(self.labels, run_time=tempo.small),
            self.move_camera(cache.shot_of_cost),
            run_time=tempo.normal,
        )
        for index, factor in enumerate(formula.factors):
            shown = [factor, *formula.times[index - 1 : index], *measures[index : index + 1]]
            self.play(*(Appear(part) for part in shown), run_time=tempo.small)
            self.wait(0.3)
        self.play(Appear(formula.result), run_time=tempo.small)
        self.play(Appear(formula.short), run_time=tempo.small)

    @beat
    def a_large_model(self) -> None:
        """DeepSeek-R1 is larger everywhere. With keys and values of every head kept, one word
        would take {large_bytes}."""
        tempo, cache = self.theme.tempo, self.cache
        cost, large = TokenCost.of_trace(self.trace.meta), TokenCost.of_every_head(LARGE)
        layout = TokenCostLayout.of(self.frame, cost, large)
        tile = cache.newest_slice()
        leaving = Group(*(part for part in self.visible_parts()))
        self.set_scope(f"{LARGE_NAME}: published sizes")
        self.add(tile)
        self.play(
            Vanish(leaving, run_time=tempo.small),
            *(Settle(part, box) for part, box in zip(tile, layout.small, strict=True)),
            self.move_camera(Shot()),
            run_time=tempo.large,
        )
        self.comparison = comparison = TokenComparison(cost, large, LARGE_NAME, layout)
        formula = self._formula(large)
        formula.remove(formula.short)
        self.play(Appear(comparison.small), Appear(formula), run_time=tempo.small)
        self.hold()
        self.play(
            LaggedStart(*(Appear(outline) for outline in comparison.tiles), lag_ratio=0.1),
            run_time=tempo.large,
        )
        self.play(Appear(comparison.large), run_time=tempo.small)

    @beat
    def many_words(self) -> None:
        """And it grows with every token: one GPU is full after {full}, and {context} take
        {context_bytes}."""
        tempo = self.theme.tempo
        every_head = CachedPerToken(LARGE, "mha", label=f"all {LARGE.n_heads} heads")
        chart = ContextChart((every_head,), cache_growth_layout(self.frame))
        tiles = self.comparison.tiles
        point = tiles.copy().scale(0.01).move_to([*chart.axes.at(0, 0), 0.0])
        self.remove(tiles)
        self.published = True
        self.set_scope("")
        self.play(
            Vanish(Group(*self.visible_parts()), run_time=tempo.small),
            Glide(tiles, point),
            Appear(chart.grid),
            run_time=tempo.normal,
        )
        self.remove(tiles)
        limits = (chart.gpu_line, chart.node_line, chart.remark)
        self.play(*(Appear(part) for part in limits), run_time=tempo.small)
        self.play(chart.draw(), run_time=1.5 * tempo.large)
        self.play(
            Appear(chart.ends),
            Appear(chart.full_dot),
            Appear(chart.full_note),
            run_time=tempo.small,
        )
