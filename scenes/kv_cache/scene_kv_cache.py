"""Why keys and values are cached, what the cache looks like, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from manim import DL, UR, Animation, Group, LaggedStart, Mobject, VGroup

from extract.architectures import H100_SXM, architecture, decoding_work, kv_cache_bytes
from extract.decoding import decode
from filmkit.core.animations import (
    AnimateWith,
    Appear,
    Arrive,
    Glide,
    Presence,
    Reveal,
    Settle,
    ShowCells,
    Vanish,
    first_half,
    in_diagonals,
    second_half,
)
from filmkit.core.camera import Shot, pin_to_frame
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import N_, _
from filmkit.core.numbers import (
    counted_heads,
    counted_layers,
    format_count,
    format_rough,
    listed,
    readable_bytes,
    spoken_bytes,
)
from filmkit.core.printable import printable
from filmkit.core.stage import StageError, beat
from filmkit.mobjects.chart import Bracket
from filmkit.mobjects.head_tensors import head_cells, head_tensor
from filmkit.mobjects.marks import Highlight, TokenLabels, size_beside
from filmkit.mobjects.panel import Header
from filmkit.mobjects.sentence import Sentence
from filmkit.pictures.become import Become
from filmkit.pictures.stage import Stage
from filmkit.world.block import CacheBlock, shot_of
from filmkit.world.headline import Headline
from scenes.kv_cache.chip import Chip, Memory
from scenes.kv_cache.cost import (
    TEXT,
    LargeToken,
    factors,
    fly,
    plates_of_layer,
    token_bytes,
    words_at,
)
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
    KeptLayout,
    NextWordLayout,
    RaceLayout,
    growth_middle,
    growth_room,
    notes_layout,
    output_room,
)
from scenes.kv_cache.next_word import NextWords, following_word
from scenes.kv_cache.race import CachedFrame, RunningWords, agreement, race

LARGE, LARGE_NAME = architecture("DeepSeek-V3/R1"), "DeepSeek-R1"
CHIP, CHIP_NAME = H100_SXM, "NVIDIA H100"
MAX_STEPS = 6  # largest number of tokens that are decoded one after another


class KVCache(Stage):
    """A token joins the prompt, decoding with and without a cache, and the size of the cache."""

    title = "Why keys and values are kept"
    tensors = ("x", "q", "q_rot", "k", "k_rot", "v", "pattern", "z")
    published: tuple[str, ...] = ()  # models whose published numbers are shown, not the trace's

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
        chosen = _("is taken") if rank == 0 else _("follows")
        self.longest = self.layer.until(min(len(meta.tokens), meta.n_prompt + MAX_STEPS))
        self.large = LargeToken(LARGE)
        self.facts |= told(
            word=printable(word),
            chosen=_("is given") if meta.continued else chosen,
            like_them=meta.n_kv_heads,
            kv_heads=(meta.n_kv_heads, counted_heads),
            bytes=(token_bytes(meta), spoken_bytes),
            layers=(meta.n_layers, counted_layers),
            all_heads=(LARGE.n_heads, counted_heads),
            all_layers=(LARGE.n_layers, counted_layers),
            all_bytes=(kv_cache_bytes(LARGE, "mha"), spoken_bytes),
            slots=CHIP.ridge(),
            few=(CHIP.ridge() / 10, format_rough),
            about=(CHIP.ridge(), format_rough),
            many=(10 * CHIP.ridge(), format_rough),
        )

    def variant(self, beat: str) -> str:
        return "one" if self.trace.meta.n_kv_heads == 1 else "several"

    def provenance_notes(self) -> tuple[str, str]:
        if not self.published:
            return super().provenance_notes()
        names = listed(self.published)
        return _("published sizes of {models}  ·  not the traced model", models=names), ""

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

    # The cache as a block

    def _stand(self, shot: Shot, *things: Mobject, moves: Sequence[Animation] = ()) -> None:
        """Let the camera go to things in the room: what is new appears, everything else leaves.

        All of them are there in the end, in this order.
        """
        members = {member for thing in things for member in thing.get_family()}
        here = set(self.get_mobject_family_members())
        gone = [part for part in self.visible_parts() if part not in members]
        new = [thing for thing in things if not here & set(thing.get_family())]
        self.play(
            self.move_camera(shot),
            *moves,
            *([Vanish(Group(*gone), rate_func=first_half)] if gone else []),
            *(Appear(thing, rate_func=second_half) for thing in new),
            run_time=self.theme.tempo.swing,
        )
        self._only(*things)

    def _only(self, *things: Mobject, shot: Shot | None = None) -> None:
        """Leave nothing but things on the scene, drawn in this order, and take a shot."""
        self.camera.shot = shot or self.camera.shot
        self.remove(*self.mobjects)
        self.add(*things)

    def _below(
        self, words: Mobject, foot: float = 0.0, head: float = 0.2, left: float = 0.0
    ) -> Box:
        """Return the room of the stage below pinned words, without strips for other words."""
        stage = self.frame.stage
        top = float(words.get_bottom()[1]) - head
        return Box.of(stage.left + left, stage.right, stage.bottom + foot, top)

    @cached_property
    def block(self) -> CacheBlock:
        """The cache of all words, with those after the prompt."""
        return CacheBlock(self.longest)

    @cached_property
    def plates(self) -> list[Group]:
        """The keys and values of one layer, a pair for each head that it keeps."""
        return plates_of_layer(self.longest, self.frame)

    @cached_property
    def sentence(self) -> VGroup:
        """All words, at the foot of the stage."""
        stage, size = self.frame.stage, TEXT
        box = Box.of(stage.left, stage.right, stage.bottom, stage.bottom + 0.16 * stage.height)
        words = Sentence(self.longest.words, box, size=size).words
        return pin_to_frame(words.shift([0, stage.bottom - words.get_bottom()[1], 0]))

    @beat(
        one="These are one head's keys and values. Its layer keeps no others.",
        several="These are one head's keys and values. Its layer has {like_them} such heads.",
    )
    def cache_of_a_layer(self) -> None:
        words = Headline(
            counted_heads(self.trace.meta.n_kv_heads),
            _("keep <key>keys</key> and <value>values</value> in this layer"),
            self.frame,
        )
        own, moves = self.plates[self.head.kv_head], []
        on_scene = set(self.get_mobject_family_members())
        for name, plate in zip("KV", own, strict=True):
            for cells in self.parts[name].cells.blocks if name in self.parts else ():
                if cells in on_scene and cells.shape == plate.cells.shape:
                    self.remove(cells)
                    self.add(plate)
                    moves += [Become(plate.cells, cells), Appear(plate.body, rate_func=second_half)]
        self._stand(self._shot_of_plates(words), *self.plates, words, moves=moves)

    def _shot_of_plates(self, words: Mobject) -> Shot:
        corners = [plate.cells.corners for pair in self.plates for plate in pair]
        return shot_of(np.concatenate(corners), self.frame, into=self._below(words), turn=8, tilt=9)

    @beat
    def the_whole_cache(self) -> None:
        """Every layer has its own: all of it is the cache. And every new token adds one slice."""
        meta, block, tempo = self.trace.meta, self.block.build(apart=1.0), self.theme.tempo
        layers, heads = self.facts["layers"], self.facts["kv_heads"]
        words = Headline(
            layers,
            _("of {heads}: <key>keys</key> and <value>values</value> of every token", heads=heads),
            self.frame,
        )
        room = self._below(words, foot=self.sentence.height + 0.2)
        first = self.layer.layer * meta.n_kv_heads
        here = set(self.get_mobject_family_members())
        if not here & set(Group(*self.plates).get_family()):
            self._only(*self.plates, shot=self._shot_of_plates(words))
        # The rows of all plates go to the slabs of their tokens.
        strips, origins, order = [], [], []
        for token, pair in enumerate(block.tokens[:-1]):
            for half, slab in enumerate(pair):
                for head in range(meta.n_kv_heads):
                    row = self.plates[head][half].cells.split_rows()[token]
                    unit = first + head
                    strips.append(slab.face.part((unit, unit + 1), (0, slab.face.shape[1])))
                    origins.append(row.corners)
                    order.append(token / block.count)
        sentence = self.sentence.set_fill(self.theme.muted)
        flight = fly(strips, origins, np.array(order))
        self.add(*strips)
        self._stand(
            block.shot(self.frame, into=room),
            *strips,
            words,
            moves=[flight],
        )
        self._only(block, *strips, words)
        self.play(block.fill(block.count - 1, first), Vanish(Group(*strips)), run_time=tempo.large)
        block.build()
        shot = block.shot(self.frame, into=room)
        block.build(apart=1.0)
        self.play(block.close(), self.move_camera(shot), Appear(sentence), run_time=tempo.large)
        self.play(
            block.grow(1), sentence[-1].animate.set_fill(self.theme.ink), run_time=tempo.large
        )

    # What it costs

    @beat
    def bytes_of_a_token(self) -> None:
        """A slice is a key and a value for {kv_heads} in {layers}: {bytes} per token."""
        meta, block, stage = self.trace.meta, self.block.build(), self.frame.stage
        size = fact("cost", token_bytes(meta), readable_bytes)
        words = Headline(_("{size} per token", size=size), factors(meta), self.frame)
        slabs, tall = block.tokens[-1], self.frame.tall
        poses = block.lifted(block.shot(self.frame), stacked=tall)
        room = self._below(words, foot=0.7, left=0.0 if self.frame.upright else 2.6)
        corners = np.concatenate([pose.corners for pose in poses])
        shot = shot_of(corners, self.frame, into=room, turn=90 - poses[0].turn, tilt=6)
        if block not in self.mobjects:
            self._only(block, shot=block.shot(self.frame))
        moves = [slab.move(pose) for slab, pose in zip(slabs, poses, strict=True)]
        moves += [Presence(slab.lit, self.theme.dim) for slab in block.slabs[:-2]]
        self._stand(shot, block, words, moves=moves)
        labels, width = VGroup(), (0.9 if tall else 0.45) * stage.width
        for pose, count, text in zip(
            poses,
            (meta.d_qk, meta.d_v),
            (N_("{count} numbers per key"), N_("{count} numbers per value")),
            strict=True,
        ):
            told = _(text, count=format_count(count))
            labels.add(words_at(told, pose.corner(1, 0, 0.5), away=(0, -0.4), width=width))
        self.play(Appear(labels))

    @beat
    def a_large_model(self) -> None:
        """DeepSeek-R1 has {all_heads} in {all_layers}. If every head kept its own keys and values,
        a token would take {all_bytes}."""
        self.published = (LARGE_NAME,)
        size = fact(
            "cached bytes",
            kv_cache_bytes(LARGE, "mha"),
            readable_bytes,
            model=LARGE.name,
            scheme="mha",
        )
        words = Headline(
            _("{size} per token", size=size),
            _("{model}, if every head kept its own", model=LARGE_NAME),
            self.frame,
        )
        large = self.large
        room = self._below(words, foot=1.0, left=1.6 * self.frame.upright)
        shot = large.shot(self.frame, into=room)
        self._stand(shot, large, words, moves=[large.rise()])
        corner, stage = large.pose.corner, self.frame.stage
        self.play(
            *(
                Appear(words_at(text, anchor, away=away, width=0.3 * stage.width))
                for text, anchor, away in (
                    (self.facts["all_heads"], corner(0, 0.5, 0), (-0.2, 0.0)),
                    (self.facts["all_layers"], corner(1, 0, 0.5), (0, -0.5)),
                    (_("keys"), large.halves[0].pose.corner(0.5, 0.5, 0), (0, 0)),
                    (_("values"), large.halves[1].pose.corner(0.5, 0.5, 0), (0, 0)),
                )
            )
        )

    @beat
    def as_shipped(self) -> None:
        """DeepSeek-R1 keeps far less: what fits into this box. What is in it? This film is about
        that."""
        self.published = (LARGE_NAME,)
        words = Headline(
            _("What is in the box?"), _("{model} keeps only this", model=LARGE_NAME), self.frame
        )
        large = self.large
        room = self._below(words, foot=1.0, left=1.6 * self.frame.upright)
        shot = large.shot(self.frame, into=room)
        if large not in self.mobjects:
            self._only(large, shot=shot)
        self.play(large.rise(start=1.0, end=0.0), run_time=self.theme.tempo.large)
        self._stand(shot, large.outline, large.unknown, large.mark, words)

    @beat(
        ask="Roughly how many multiply-adds could the chip do while one number of the cache is on "
        "its way? {few}, {about} or {many}?"
    )
    def memory_is_time(self) -> None:
        """To make one token, the chip reads the whole cache. While one number arrives, it could
        do {slots} multiply-adds, but has only one."""
        self.published = (LARGE_NAME, CHIP_NAME)
        work = decoding_work(LARGE, "mha").per_number
        used = fact("work", work, scheme="mha")
        slots = self.facts["slots"]
        words = Headline(
            _("{used} of {slots}", used=used, slots=slots),
            _("multiply-adds, while one number is read"),
            self.frame,
        )
        memory = Memory()
        chip = Chip(round(CHIP.ridge()), memory, self.frame)
        shot = memory.shot(self.frame, chip, into=self._below(words, foot=0.2, head=0.75))
        corner, width = chip.pose.corner, 0.45 * self.frame.stage.width
        lamps = _("{chip}: each lamp is a multiply-add", chip=CHIP_NAME)
        names = VGroup(
            words_at(_("memory"), memory.pose.corner(0.5, 0, 0), away=(0, -0.4), width=width),
            words_at(lamps, corner(1, 1, 0.5), away=(0, 0.35), width=width),
        )
        self._stand(shot, memory, chip, names)
        for colour in (self.theme.key, self.theme.value):
            self.play(chip.read(colour, run_time=4.0))
        self.play(Appear(words))


def _along_rows(frame: Mobject, cells: Heatmap) -> Callable[[float], None]:
    """Return the step of an animation in which a frame runs down the rows of a heatmap."""

    def step(alpha: float) -> None:
        first, last = cells.row(0), cells.row(-1)
        frame.move_to([first.x, first.y + alpha * (last.y - first.y), 0.0])

    return step
