"""Why keys and values are cached, what the cache looks like, and what it costs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from manim import DL, UR, Animation, Group, LaggedStart, Mobject, VGroup

from extract.architectures import H100_SXM, architecture, decoding_work, kv_cache_bytes
from extract.decoding import decode
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    Glide,
    Reveal,
    Settle,
    ShowCells,
    Vanish,
    in_diagonals,
    set_presence,
)
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import _
from filmkit.core.numbers import (
    counted_heads,
    counted_layers,
    format_ratio,
    format_short,
    readable_bytes,
    spoken_bytes,
)
from filmkit.core.printable import printable
from filmkit.core.stage import Stage, StageError, beat
from filmkit.core.text import Label, fit_size
from filmkit.mobjects.chart import Bracket
from filmkit.mobjects.head_tensors import head_cells, head_tensor
from filmkit.mobjects.marks import Highlight, TokenLabels, size_beside
from filmkit.mobjects.panel import Header
from filmkit.mobjects.sentence import Sentence
from scenes.kv_cache.chip import WaitingChip
from scenes.kv_cache.growth import (
    GrowthMarks,
    enter_from,
    growing_product,
    leave_to,
    note_below,
    reveal_last,
    sweep_column,
    word_beside,
)
from scenes.kv_cache.layout import (
    DISPLAY,
    ChipLayout,
    KeptLayout,
    NextWordLayout,
    RaceLayout,
    growth_middle,
    growth_room,
    notes_layout,
    output_room,
    shot_of_front,
    title_point,
)
from scenes.kv_cache.model_cache import ModelCache
from scenes.kv_cache.next_word import NextWords, following_word
from scenes.kv_cache.race import CachedFrame, RunningWords, agreement, race
from scenes.kv_cache.token_cost import TokenCost
from scenes.kv_cache.token_volumes import TokenVolumes

LARGE, LARGE_NAME = architecture("DeepSeek-V3/R1"), "DeepSeek-R1"
CHIP, CHIP_NAME = H100_SXM, "NVIDIA H100"
MAX_STEPS = 6  # largest number of tokens that are decoded one after another
READS = 5  # numbers that are seen on their way from the cache to the chip


class KVCache(Stage):
    """A token joins the prompt, decoding with and without a cache, and the size of the cache."""

    title = "Why keys and values are kept"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z")
    beside = False  # whether a large model stands beside the traced one
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
        self.longer = self.layer.until(meta.n_prompt + 1).head(self.head.head)
        self.scores = growing_product(self.longer, self.frame, "scores", growth_room(self.frame))
        layout = self.scores.layout
        self.words = TokenLabels(
            self.scores.words, layout.row_words, width=layout.word_room, size=layout.letters
        )
        word, rank = following_word(self.trace)
        small, large = TokenCost.of_trace(meta), TokenCost.of_every_head(LARGE)
        chosen = _("is taken") if rank == 0 else _("follows")
        self.ratio = large.bytes / small.with_heads(meta.n_heads).bytes
        self.shipped = kv_cache_bytes(LARGE) / small.bytes
        self.facts |= told(
            word=printable(word),
            chosen=_("is given") if meta.continued else chosen,
            like_them=meta.n_kv_heads,
            kv_heads=(meta.n_kv_heads, counted_heads),
            bytes=(small.bytes, spoken_bytes),
            layers=(meta.n_layers, counted_layers),
            ratio=(self.ratio, format_short),
            shipped=(self.shipped, format_short),
            slots=CHIP.ridge(),
        )

    def variant(self, beat: str) -> str:
        return "one" if self.trace.meta.n_kv_heads == 1 else "several"

    def provenance_notes(self) -> tuple[str, str]:
        about, hidden = super().provenance_notes()
        if self.published:
            about = _(
                "published sizes of {model} and {chip}  ·  not the traced model",
                model=LARGE_NAME,
                chip=CHIP_NAME,
            )
            return about, ""
        if self.beside:
            about = f"{about}  ·  {_('beside it {model}', model=LARGE_NAME)}"
            hidden = self.hidden_note(short=True)
        return about, hidden

    def title_label(self, text: str) -> Label:
        """Build a title that stays at the top left while the camera moves."""
        label = Label(text, size=self.theme.name_size)
        x, y = title_point(self.frame)
        return pin_to_frame(label.on_line(x + label.width / 2, y))

    def figure(self, text: str, note: str) -> VGroup:
        """Build the one large figure of a picture, with a line below it, at the top."""
        stage, theme = self.frame.stage, self.theme
        figure = Label(text, size=DISPLAY).on_line(stage.x, stage.top - 0.35)
        line = fit_size(note, stage.width, size=theme.shape_size, colour=theme.muted)
        both = VGroup(figure, line.on_line(stage.x, stage.top - 0.9))
        # Chinese characters are higher than Latin letters.
        over = float(figure.ink[:, 1].max()) - (stage.top - 0.03)
        return pin_to_frame(both.shift([0, -max(0.0, over), 0]))

    def out(self, x: float, y: float) -> tuple[float, float]:
        """Return the way out of the frame in a direction: -1, 0 or 1 across and up."""
        return x * self.frame.width, y * self.frame.height

    def _words_to(self, places: VGroup, *, all_named: bool) -> list[Animation]:
        """Return animations in which the words go to their rows.

        Where rows are too low only the new one is named; the others go.
        """
        here = set(self.visible_parts())
        moves: list[Animation] = []
        for word, place in zip(self.words, places, strict=True):
            if not all_named and word is not self.words[-1]:
                moves += [Vanish(word)] if word in here else []
            else:
                moves.append(Glide(word, place) if word in here else Appear(word.become(place)))
        return moves

    # One more token

    @beat
    def the_next_word(self) -> None:
        """The model rates every token it knows. “{word}” {chosen}, and joins the sentence."""
        theme, tempo = self.theme, self.theme.tempo
        words = self.words
        self.word_targets = words.copy()
        # Words that are shortened beside their rows are so here.
        tokens = [
            f"{' ' if token.startswith(' ') else ''}{word.text}"
            for token, word in zip(self.scores.words, words, strict=True)
        ]
        sentence = Sentence(tokens, self.frame.stage, size=theme.name_size)
        layout = NextWordLayout.of(
            self.frame,
            lines=len(set(sentence.lines)),
            candidates=self.trace["top_ids"].shape[1],
        )
        down = layout.sentence - self.frame.stage.y
        for word, place, y in zip(words, sentence.words, sentence.lines, strict=True):
            word.scale(sentence.size / self.scores.layout.letters)
            word.on_line(place.get_left()[0] + word.width / 2, y + down)
        self.candidates = candidates = NextWords(self.trace, layout)
        prompt, new = VGroup(*words[:-1]), words[-1].set_fill(theme.highlight)
        self.play(
            LaggedStart(*(Appear(word) for word in prompt), lag_ratio=0.2), run_time=tempo.normal
        )
        self.play(
            Appear(candidates.heading),
            Appear(candidates.words),
            candidates.grow(),
            run_time=tempo.large,
        )
        self.play(Appear(candidates.shares))
        origin = new.copy().scale(candidates.origin.height / new.height)
        origin.move_to(candidates.origin)
        self.play(Arrive(new, origin), run_time=tempo.large)

    @beat
    def one_new_row(self) -> None:
        """One new query, one new key. The scores gain one row."""
        scores, tempo, theme = self.scores, self.theme.tempo, self.theme
        panels = Group(scores.left, scores.top, scores.product)
        columns = scores.column_words
        self.play(
            Vanish(self.candidates),
            *self._words_to(self.word_targets, all_named=scores.layout.names_rows),
            enter_from(panels, self.out(1, 0)),
            *(enter_from(word, self.out(1, 0)) for word in columns[:-1]),
            self.move_camera(Shot((growth_middle(self.frame, scores.layout.bounds), 0.0, 0.0))),
            run_time=tempo.large,
        )
        # From the word leaves a query to the right, and from its copy above a key downwards.
        self.play(*reveal_last(scores.left.blocks), run_time=tempo.normal)
        above = [columns[-1].set_fill(theme.highlight)] if len(columns) else []
        self.play(
            *(Appear(word) for word in above),
            *reveal_last(scores.top.blocks, column=True),
            run_time=tempo.normal,
        )
        row = scores.row_beam(-1)
        column = scores.column_beam(0)
        self.play(Appear(row), Appear(column))
        # The new column is there at once; it is masked.
        cells = scores.product.cells
        when = np.full(cells.shape, np.nan)
        when[-1] = np.arange(cells.shape[1]) / cells.shape[1]
        when[:-1, -1] = when[-1, -1]
        place, name = scores.layout, scores.top.header
        self.marks = GrowthMarks(
            scores,
            notes_layout(
                self.frame,
                place.product,
                place.corner,
                place.pitch,
                Box.between(name.get_corner(DL), name.get_corner(UR)),
            ),
        )
        self.play(
            sweep_column(scores, column, run_time=tempo.large),
            Reveal(cells, when),
        )
        self.play(Vanish(column), Vanish(row), Appear(self.marks.new))

    @beat
    def the_rest_is_known(self) -> None:
        """The new column is all future, so it's masked. Everything in the [white] boxes,
        we already had."""
        marks = self.marks
        masked, known, new = marks.notes
        self.play(self.move_camera(Shot()))
        self.play(Appear(masked), Appear(new))
        self.wait_for("white")
        self.play(Appear(marks.known), Appear(known))

    @beat
    def one_row_of_each(self) -> None:
        """Softmax makes one new row of the pattern. That row mixes the values into one new
        output."""
        scores, tempo = self.scores, self.theme.tempo
        self.output = output = growing_product(
            self.longer, self.frame, "z", output_room(self.frame)
        )
        box = scores.product.box
        pattern = head_tensor(self.longer, "pattern").heatmap(box)
        pattern.set_shown(0)
        header = output.left.header.copy()
        header.shift([box.left - header.get_left()[0], scores.product.header.line - header.line, 0])
        self.add(pattern)
        known = in_diagonals(pattern.shape)
        known[-1] = np.nan
        self.play(
            Vanish(self.marks),
            Reveal(pattern, known),
            Vanish(scores.product.header),
            Appear(header),
            run_time=tempo.normal,
        )
        self.play(*reveal_last([pattern]), run_time=tempo.normal)
        self.remove(scores.product)
        # The queries have been asked: they leave to the left, the keys upwards.
        size = output.layout.letters
        target = self.words.beside(output.layout.row_words, size=size)
        values = Group(output.top, output.product, output.top_words)
        if len(output.top_words):
            output.top_words[-1].set_fill(self.theme.highlight)
        keys = Group(scores.top, *scores.column_words)
        place = output.left.header.copy()
        self.play(
            leave_to(scores.left, self.out(-1, 0)),
            leave_to(keys, self.out(0, 1)),
            Settle(pattern, output.left.box),
            Glide(header, place),
            *self._words_to(target, all_named=output.layout.names_rows),
            enter_from(values, self.out(1, 0)),
            run_time=tempo.large,
        )
        self.remove(pattern, header)
        output.left.cells.set_shown(1)
        self.add(output.left)
        self.play(*reveal_last(output.top.blocks), run_time=tempo.normal)
        beam = Highlight(output.left.cells.row(-1))
        self.play(Appear(beam))
        row = output.layout.row(len(output.words) - 1)
        across = Box.of(output.left.box.left, output.product.box.right, row.bottom, row.top)
        self.play(
            Glide(beam, Highlight(across)),
            *reveal_last(output.product.blocks),
            run_time=tempo.large,
        )
        self.beam = beam

    @beat
    def what_is_kept(self) -> None:
        """Old queries are never asked again. Old keys and values are read for every token,
        [so] they are kept: the cache."""
        output, tempo, theme = self.output, self.theme.tempo, self.theme
        count = self.longer.layer.count
        layout = KeptLayout.of(self.frame, rows=count, word_width=output.layout.word_width)
        q, k, v = (head_cells(self.longer, name, getattr(layout, name)) for name in ("q", "k", "v"))
        headers = VGroup(
            *(
                Header(name, symbol, colour=colour).stand_on(cells.box)
                for cells, name, symbol, colour in (
                    (q, _("queries"), "Q", theme.query),
                    (k, _("keys"), "K", theme.key),
                    (v, _("values"), "V", theme.value),
                )
            )
        )
        values = list(output.top.blocks)
        starts = [0, v.shape[1] - values[-1].shape[1]] if len(values) > 1 else [0]
        settling = [
            Settle(block, v.block((0, count), (start, start + block.shape[1])))
            for block, start in zip(values, starts, strict=True)
        ]
        names = VGroup(output.top.header, *output.top_words)
        if output.top.dots is not None:
            names.add(output.top.dots)
        size = size_beside(q.box.height / count, maximum=output.layout.letters)
        words = self.words.beside(layout.words, size=max(size, theme.min_text_size))
        self.play(Vanish(self.beam), Vanish(names))
        self.play(
            leave_to(Group(output.left, output.product), self.out(0, -1)),
            *settling,
            enter_from(q, self.out(-1, 0)),
            enter_from(k, self.out(0, 1)),
            *self._words_to(words, all_named=size >= theme.min_text_size),
            Appear(headers),
            run_time=tempo.large,
        )
        self.remove(output, *values)
        self.add(v)
        old = np.where(np.arange(count)[:, None] < count - 1, theme.dim, 1.0)
        never, *read = (
            note_below(text, cells.box, theme.ink)
            for text, cells in (
                (_("old rows are never asked again"), q),
                (_("all rows are read again"), k),
                (_("all rows are read again"), v),
            )
        )
        self.play(ShowCells(q, old), Appear(never), run_time=tempo.normal)
        self.play(*self._point_down(k, v), *(Appear(n, run_time=0.6) for n in read))
        self.play(*self._point_down(k, v))
        self.wait_for("so")
        self.cached_frames = VGroup(CachedFrame(k.box, theme.key), CachedFrame(v.box, theme.value))
        k.edged = v.edged = False  # The frames are their edges from here on.
        self.kept = Group(k, v)
        foot = min(float(note.get_bottom()[1]) for note in read) - 0.08
        ends = ((k.box.left, foot), (v.box.right, foot)), (0.0, -1.0)
        if self.frame.upright:
            ends = ((k.box.left - 0.15, v.box.bottom), (k.box.left - 0.15, k.box.top)), (-1.0, 0.0)
        cache = Bracket(*ends[0], _("the cache"), towards=ends[1])
        if self.frame.upright:
            cache.label.rotate(np.pi / 2).next_to(cache.wire, np.array([-1.0, 0, 0]), buff=0.12)
        self.play(Appear(self.cached_frames), Appear(cache), run_time=tempo.normal)

    def _point_down(self, *panels: Heatmap) -> list[AnimateWith]:
        """Return animations in which a frame runs down the rows of panels, and goes."""
        moves = []
        for cells in panels:
            frame = Highlight(cells.row(0), colour=self.theme.ink)
            self.add(frame)
            moves.append(AnimateWith(frame, _along_rows(frame, cells), run_time=2.0, remover=True))
        return moves

    # Token after token

    @beat
    def token_by_token(self) -> None:
        """With a cache, a token adds one row of keys and values. Without it, all rows are
        computed again, to the same numbers."""
        tempo = self.theme.tempo
        meta, old = self.trace.meta, self.layer.count
        decoding = decode(self.trace, self.layer.layer, max_tokens=MAX_STEPS)
        steps = len(decoding.steps)
        view = self.layer.until(meta.n_prompt + steps)
        layout = RaceLayout.of(self.frame)
        self.cached, self.naive = cached, naive = race(
            view.head(self.head.head), old, decoding, layout
        )
        running = RunningWords(view.words, layout.words)
        # The row of the new token disappears, because decoding computes it again.
        known = (np.arange(old + 1) < old)[:, None]
        staying = Group(self.cached_frames, self.kept)
        here = set(self.visible_parts())
        arriving: list[Animation] = []
        for label, word in zip(running.words, self.words[running.first_shown : -1], strict=False):
            if word in here and word.text == label.text:
                arriving.append(Arrive(label, word_beside(label, word)))
                self.remove(word)
            else:
                arriving.append(Appear(label))
        leaving = Group(*(p for p in self.visible_parts() if p not in staying.get_family()))
        self.play(
            Vanish(leaving),
            *(
                Settle(cells, panel.block((0, old + 1), (0, panel.shape[1])))
                for cells, panel in zip(self.kept, cached.panels, strict=True)
            ),
            *(ShowCells(cells, known) for cells in self.kept),
            *(Glide(a, b) for a, b in zip(self.cached_frames, cached.frames, strict=True)),
            *arriving,
            *(Appear(part) for part in running.ellipsis),
            run_time=tempo.large,
        )
        self.remove(self.cached_frames, self.kept)
        self.add(*cached.panels, cached.frames)
        self.play(
            *(Appear(part) for decoder in (cached, naive) for part in decoder.labels),
            *(Appear(cells) for cells in naive.panels),
            Appear(naive.frames),
        )
        self.written = VGroup()
        for step in range(steps):
            self._one_step(step, running)
        width = self.frame.stage.width
        self.play(Appear(agreement(decoding, layout, width)))

    def _one_step(self, step: int, running: RunningWords) -> None:
        """Play one step: the next token appears, and both ways of decoding write its rows."""
        theme, cached, naive = self.theme, self.cached, self.naive
        row = self.layer.count + step
        if step:
            running.word(row - 1).set_fill(theme.ink)
            self.play(Vanish(self.written), run_time=0.2)
        word = running.word(row).set_fill(theme.highlight)
        self.written = VGroup(cached.written(step), naive.written(step))
        self.play(
            Appear(word),
            Appear(self.written, run_time=0.3),
            cached.compute(step),
            naive.compute(step),
            cached.counter.count_up(step),
            naive.counter.count_up(step),
            run_time=1.2 if step else 1.8,
        )

    # The cache as a volume

    @beat(
        one="These are one head's keys and values. Its layer keeps no others.",
        several="These are one head's keys and values. Its layer has {like_them} such heads.",
    )
    def cache_of_a_layer(self) -> None:
        tempo, cached, naive = self.theme.tempo, self.cached, self.naive
        self.cache = cache = ModelCache(cached.view, self.frame)
        one_row, all_rows = self.written
        self.play(Vanish(one_row), run_time=tempo.small / 2)
        other = Group(*naive.panels, naive.frames, all_rows, naive.headers)
        way = self.out(0, -1) if self.frame.upright else self.out(1, 0)
        spared = {*cached.panels, *other.get_family()}
        leaving = Group(*(part for part in self.visible_parts() if part not in spared))
        self.play(
            Vanish(leaving),
            leave_to(other, way),
            Settle(cached.k, cache.layout.k),
            Settle(cached.v, cache.layout.v),
            run_time=tempo.large,
        )
        self.remove(cached.k, cached.v, other)
        arriving = cache.slide_in(run_time=tempo.swing)
        self.add(*cache.heads)
        self.play(self.move_camera(cache.shot_of_heads), *arriving)
        title = self.title_label(_("{heads} with keys and values", heads=self.facts["kv_heads"]))
        names = cache.key_value_labels(cache.heads[0])
        self.labels = VGroup(title, names, cache.head_labels)
        self.play(Appear(self.labels))

    @beat
    def the_whole_cache(self) -> None:
        """Every layer has its own: all of it is the cache. And every new token adds one slice."""
        tempo, cache, whole = self.theme.tempo, self.cache, self.cache.whole
        self.play(Vanish(self.labels), *cache.close_heads(), run_time=tempo.normal)
        self.remove(*cache.heads)
        self.add(whole)
        self.play(
            whole.change_range(units=(0, cache.units)),
            self.move_camera(cache.shot_of_whole),
            run_time=1.2 * tempo.large,
        )
        layers, heads = self.facts["layers"], self.facts["kv_heads"]
        title = self.title_label(_("{layers}, {heads} each", layers=layers, heads=heads))
        words = cache.word_labels(self.cached.view.layer.words)
        self.play(Appear(title), whole.change_range(rows=1), run_time=tempo.normal)
        self.add(words)
        self.play(cache.grow(words, run_time=1.5 * tempo.large))
        self.outline = whole.slice_outline(self.theme.highlight)
        names = VGroup(cache.key_value_labels(whole), cache.layer_labels)
        self.play(Appear(self.outline), Appear(names))
        self.labels = VGroup(title, words, names)

    # What it costs

    @beat
    def bytes_of_a_token(self) -> None:
        """A slice is a key and a value for {kv_heads} in {layers}: {bytes} per token."""
        tempo, cache = self.theme.tempo, self.cache
        cost = TokenCost.of_trace(self.trace.meta)
        self.play(
            Vanish(self.labels),
            self.move_camera(cache.shot_of_cost),
            run_time=tempo.normal,
        )
        self.measures = VGroup(cache.slice_label, *cache.measures(cost))
        for measure in self.measures:
            self.play(Appear(measure))
            self.wait(0.2)
        size = fact("cost", cost.bytes, readable_bytes)
        self.total = self.figure(_("{size} per token", size=size), cost.factors)
        self.play(Appear(self.total))

    @beat
    def a_large_model(self) -> None:
        """Beside it, to scale, one token of DeepSeek-R1: {ratio} times as much, if every head
        kept its own."""
        tempo, cache, stage = self.theme.tempo, self.cache, self.frame.stage
        self.volumes = volumes = TokenVolumes(cache, LARGE, self.frame)
        whole, rows = cache.whole, cache.whole.visible_range.rows
        self.beside = True
        # The rest of the cache rises out of the frame; its newest slice stays, and is folded.
        self.remove(whole)
        leaving = VGroup(self.outline, self.measures, self.total)
        self.add(volumes.slice, whole, leaving)
        away = (0.0, 1.3 * cache.shot_of_cost.height, 0.0)
        self.play(
            Vanish(leaving),
            whole.change_range(shift=away, rows=max(1.0, rows - 1)),
            run_time=1.2,
        )
        self.remove(whole)
        room = Box.of(stage.left + 0.1, stage.right - 0.1, stage.bottom + 0.9, stage.top - 1.6)
        shot = volumes.shot(room)
        self.play(volumes.fold(), self.move_camera(shot), run_time=1.2 * tempo.large)
        self.remove(volumes.slice)
        self.add(volumes.token)
        own = TokenCost.of_trace(self.trace.meta).with_heads(self.trace.meta.n_heads)
        self.names = names = (_("this model"), LARGE_NAME)
        sizes = (
            fact("cost", own.bytes, readable_bytes, beside=names[0], every_head=True),
            fact(
                "cached bytes",
                volumes.large.bytes,
                readable_bytes,
                beside=names[1],
                model=LARGE.name,
                scheme="mha",
            ),
        )
        self.sizes = volumes.labels(shot, names, sizes)
        self.add(volumes.blocks)
        self.kept_heads = volumes.kept(shot)
        self.play(
            Appear(volumes.own),
            Appear(self.kept_heads),
            volumes.rise(run_time=1.2 * tempo.large),
            *(Appear(label) for label in self.sizes),
        )
        self.play(Appear(volumes.roles))
        note = _("this model’s token, to scale, if every head of both kept its own")
        self.total = self.figure(format_ratio(self.ratio), note)
        self.play(Appear(self.total))

    @beat
    def as_shipped(self) -> None:
        """As each model really keeps it, it is {shipped} times as much. This film is about how
        that is done."""
        tempo, volumes = self.theme.tempo, self.volumes
        one, other = self.names
        small = fact("cost", volumes.small.bytes, readable_bytes, beside=one)
        latent = fact(
            "cached bytes",
            kv_cache_bytes(LARGE),
            readable_bytes,
            beside=other,
            model=LARGE.name,
            scheme="mla",
        )
        shipped = (
            _("{size} in {heads}", size=small, heads=self.facts["kv_heads"]),
            _("{size} in one latent", size=latent),
        )
        after = volumes.labels(self.camera.shot, self.names, shipped)
        self.add(volumes.ghost, volumes.blocks, volumes.roles)
        total = self.figure(
            format_ratio(self.shipped), _("this model’s token, as each model keeps it")
        )
        self.unkept = volumes.unkept()
        self.play(
            volumes.deflate(),
            *(Vanish(part) for part in (self.total, volumes.roles, self.kept_heads, *self.sizes)),
            run_time=1.6 * tempo.large,
        )
        self.sizes, self.total = after, total
        arriving = (total, self.unkept, *after)
        self.play(*(Appear(part) for part in arriving))

    @beat
    def memory_is_time(self) -> None:
        """To make one token, the chip reads the whole cache. While one number arrives, it could
        do {slots} multiply-adds, but has only one."""
        tempo, volumes, theme = self.theme.tempo, self.volumes, self.theme
        front = volumes.front
        layout = ChipLayout.of(self.frame, shape=(front.width, front.height))
        work = decoding_work(LARGE, "mha").per_number
        fact("work", work, scheme="mha")
        chip = WaitingChip(
            round(CHIP.ridge()),
            round(work),
            chip=CHIP_NAME,
            cache=_("cache of every head"),
            remark=_("attention only, at 16 bits per number; weights are read too"),
            layout=layout,
            room=self.frame.stage.width,
        )
        small = Group(volumes.token, volumes.own)
        self.play(
            Vanish(VGroup(self.total, self.unkept, *self.sizes)),
            volumes.refill(),
            self.move_camera(shot_of_front(front, layout.cache, self.frame)),
            run_time=1.4 * tempo.large,
        )
        self.remove(small, volumes.ghost)
        self.published = True
        arriving = (chip.slots, chip.wire, chip.names, volumes.roles)
        self.play(*(Appear(part) for part in arriving))
        self.add(chip.number, chip.lit)
        self.play(chip.read(READS, (theme.key, theme.value), run_time=1.0 * READS))
        set_presence(chip.number, 0.0)
        self.play(Appear(chip.figure), Appear(chip.caption), Appear(chip.remark))


def _along_rows(frame: Mobject, cells: Heatmap) -> Callable[[float], None]:
    """Return the step of an animation in which a frame runs down the rows of a heatmap."""

    def step(alpha: float) -> None:
        first, last = cells.row(0), cells.row(-1)
        frame.move_to([first.x, first.y + alpha * (last.y - first.y), 0.0])

    return step
