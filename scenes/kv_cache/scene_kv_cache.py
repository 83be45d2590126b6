"""Why keys and values are cached, what the cache looks like, and what it costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from manim import DOWN, LEFT, Group, VGroup, linear

from extract.architectures import H100_SXM, architecture, decoding_work, kv_cache_bytes
from extract.decoding import decode
from filmkit.core.animations import (
    Appear,
    Glide,
    Reveal,
    Settle,
    Vanish,
    in_diagonals,
    in_rows,
    set_presence,
)
from filmkit.core.camera import pin_to_frame
from filmkit.core.facts import fact, told
from filmkit.core.geometry import Box
from filmkit.core.language import _
from filmkit.core.numbers import (
    counted_heads,
    counted_layers,
    format_ratio,
    format_rough,
    format_short,
    readable_bytes,
    spoken_bytes,
)
from filmkit.core.printable import printable
from filmkit.core.stage import StageError, beat
from filmkit.core.text import Label, break_lines, fit_size
from filmkit.mobjects.marks import Highlight
from filmkit.pictures.parts import TEXT
from filmkit.pictures.picture import Mark
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_matrix
from filmkit.pictures.texts import SentencePart, below_each_other, heading, legend, own_colour
from scenes.kv_cache.chip import WaitingChip
from scenes.kv_cache.layout import (
    DISPLAY,
    ChipLayout,
    shot_of_front,
    title_point,
)
from scenes.kv_cache.model_cache import ModelCache
from scenes.kv_cache.parts import NextWords, WorkBars, agreement, following_word
from scenes.kv_cache.token_cost import TokenCost
from scenes.kv_cache.token_volumes import TokenVolumes

LARGE, LARGE_NAME = architecture("DeepSeek-V3/R1"), "DeepSeek-R1"
CHIP, CHIP_NAME = H100_SXM, "NVIDIA H100"
MAX_STEPS = 6  # largest number of tokens that are decoded one after another
READS = 5  # numbers that are seen on their way from the cache to the chip


PRODUCT = ". Kt\nQ scores"
NOTED = """
    . Kt     .
    Q scores future
    Q scores notes
"""
TALL_NOTED = ". Kt\nQ scores\n. future\n. notes"
KEPT = """
    .     name name
    Q     K    V
    never read read
"""
TALL_KEPT = "Q\nnever\nname\nK\nV\nread"
RACE = """
    .     cached cached . naive   naive
    .     K      V      . again_K again_V
    bars  bars   bars  bars bars  bars
    agree agree  agree agree agree agree
"""
TALL_RACE = """
    .     cached  cached
    .     K       V
    .     naive   naive
    .     again_K again_V
    bars  bars    bars
    agree agree   agree
"""
GREY, GONE = 0.35, 0.12  # opacities of what was computed before, and of what nobody needs again

Order = Callable[[tuple[int, int]], npt.NDArray[np.float64]]
"""Returns when each cell of a shape appears, 0 to 1."""


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
        self._make_parts()
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
            few=(CHIP.ridge() / 10, format_rough),
            about=(CHIP.ridge(), format_rough),
            many=(10 * CHIP.ridge(), format_rough),
        )

    def _make_parts(self) -> None:
        """Make the parts of pictures in which tokens join the prompt."""
        meta, stage = self.trace.meta, self.frame.stage
        self.old, self.steps = self.layer.count, min(MAX_STEPS, len(meta.tokens) - meta.n_prompt)
        self.decoding = decode(self.trace, self.layer.layer, max_tokens=self.steps)
        words = self.layer.until(meta.n_prompt + 1).words
        colours = [*[self.theme.ink] * self.old, own_colour(words[-1])]
        self.part("sentence", SentencePart(words, stage.width, 0.3 * stage.height, colours))
        self.part("next", partial(NextWords, self.trace, stage.width, 0.6 * stage.height))
        future, known, new = (
            legend(_("masked: the future"), self.theme.masked),
            legend(_("already computed"), self.theme.faint),
            legend(_("one new row"), self.theme.highlight),
        )
        self.part("future", future)
        self.part("notes", VGroup(known, new).arrange(DOWN, buff=0.3, aligned_edge=LEFT))
        self.part("name", heading(_("KV cache"), stage.width))
        for name, text in (
            ("never", _("old rows are never asked again")),
            ("read", _("all rows are read again")),
            ("cached", _("with a cache: one new row")),
            ("naive", _("without: every row again")),
            ("agree", agreement(self.decoding)),
        ):
            lines = break_lines(text, stage.width, size=TEXT)
            self.part(name, below_each_other(*(Label(line, size=TEXT) for line in lines)))
        self._extend(self.steps)

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

    # The tokens that join the prompt

    def _extend(self, more: int) -> None:
        """Let the matrices of the head hold the prompt, and more tokens after it."""
        self.count = self.old + more
        view = self.layer.until(self.trace.meta.n_prompt + more).head(self.head.head)
        for name in ("Q", "Kt", "scores", "pattern", "K", "V", "z"):
            self.part(name, head_matrix(view, name))
        for name in ("K", "V"):
            self.part(f"again_{name}", head_matrix(view, name))

    def _rows(self, old: float, new: float = 1.0) -> npt.NDArray[np.float64]:
        """Return opacities of the rows of the prompt, and of the new one."""
        return np.where(np.arange(self.count) < self.old, old, new)[:, None]

    @property
    def _new_marks(self) -> tuple[Mark, ...]:
        """Frames around the new query, the new key, and the new scores."""
        key = Mark("Kt", column=self.old, colour=self.theme.key)
        return Mark("Q", row=self.old), key, Mark("scores", row=self.old)

    def _filling(
        self, *names: str, until: int | None = None, order: Order = in_diagonals
    ) -> list[Reveal]:
        """Return animations in which the hidden cells of parts appear, up to a row."""
        filling = []
        for block in (block for name in names for block in self.parts[name].cells.blocks):
            when = np.where(block.shown > 0, np.nan, order(block.shape))
            if until is not None:
                when[until:] = np.nan
            when -= np.nanmin(when)
            filling.append(Reveal(block, when / max(1e-9, float(np.nanmax(when)))))
        return filling

    def _read(self, *names: str) -> None:
        """Let a frame run down the rows of parts."""
        moves = []
        for name in names:
            cells = self.parts[name].cells
            beam, last = Highlight(cells.row(0), colour=self.theme.ink), Highlight(cells.row(-1))
            moves.append(Glide(beam, last, remover=True))
            self.add(beam)
        self.play(*moves, run_time=self.theme.tempo.large)

    # One more token

    @beat
    def the_next_word(self) -> None:
        """The model rates every token it knows. “{word}” {chosen}, and joins the sentence."""
        mosaic, tempo = "sentence\nnext", self.theme.tempo
        self._extend(1)
        self.show(mosaic, lit={"words": self._rows(1.0, 0.0)[:, 0]}, later="next")
        likely = self.parts["next"].whole[0]
        self.play(Appear(likely.heading), Appear(likely.words), likely.grow(), run_time=tempo.large)
        self.play(Appear(likely.shares))
        word = self.parts["sentence"].pieces["row words"].submobjects[-1]
        place, origin = word.copy(), likely.origin
        set_presence(word, 1.0).scale(origin.height / word.height).move_to(origin)
        self.play(Glide(word, place), run_time=tempo.large)
        self.show(mosaic)

    @beat
    def one_new_row(self) -> None:
        """One new query, one new key. The scores gain one row."""
        self._extend(1)
        known = self._rows(1.0, 0.0)
        lit = {"Q": known, "Kt": known.T, "scores": known * known.T}
        show = partial(self.show, PRODUCT, words="rows")
        marks = self._new_marks
        show(lit=lit)
        for count, mark in enumerate(marks, start=1):
            show(lit=lit, marks=marks[:count], run_time=self.theme.tempo.small)
            self.play(*self._filling(mark.part), run_time=self.theme.tempo.normal)
            del lit[mark.part]
        show(marks=marks)

    @beat
    def the_rest_is_known(self) -> None:
        """The new column is all future, so it's masked. Everything [grey], we already had."""
        self._extend(1)
        grey = self._rows(GREY)
        show = partial(self.show, NOTED, tall=TALL_NOTED, words="rows", marks=self._new_marks)
        show(later="notes")
        self.wait_for("grey")
        show(lit={"words": grey[:, 0], "Q": grey, "Kt": grey.T, "scores": grey})

    @beat
    def one_row_of_each(self) -> None:
        """Softmax makes one new row of the pattern. That row mixes the values into one new
        output."""
        self._extend(1)
        grey, known = self._rows(GREY), self._rows(1.0, 0.0)
        lit = {"words": grey[:, 0], "Q": grey, "Kt": grey.T, "pattern": grey}
        mixed = Mark("pattern", row=self.old)
        kept, made = Mark("V", row=self.old, colour=self.theme.value), Mark("z", row=self.old)
        show = partial(self.show, words="rows")
        show(". Kt\nQ pattern", lit=lit, marks=(mixed,))
        lit = {"pattern": grey, "V": known, "z": grey * known}
        show(". V\npattern z", lit=lit, marks=(mixed, kept))
        self.play(*self._filling("V"))
        del lit["V"]
        show(". V\npattern z", lit=lit, marks=(mixed, kept, made))
        self.play(*self._filling("z"))
        show(". V\npattern z", marks=(mixed, kept, made))

    @beat
    def what_is_kept(self) -> None:
        """Old queries are never asked again. Old keys and values are read for every token,
        [so] they are kept: the cache."""
        self._extend(1)
        show = partial(self.show, KEPT, tall=TALL_KEPT, words="rows")
        show(later="name never read")
        lit = {"Q": self._rows(GONE)}
        show(lit=lit, later="name read")
        self._read("K", "V")
        show(lit=lit, later="name")
        self._read("K", "V")
        self.wait_for("so")
        kept = (Mark("K", colour=self.theme.key), Mark("V", colour=self.theme.value))
        show(lit=lit, marks=kept)

    # Token after token

    @beat
    def token_by_token(self) -> None:
        """With a cache, a token adds one row of keys and values. Without it, all rows are
        computed again, to the same numbers."""
        self._extend(self.steps)
        show = partial(self.show, RACE, tall=TALL_RACE, words="rows", titles="K V")
        rows, again = np.arange(self.count), ("again_K", "again_V")
        for step, row in enumerate(range(self.old, self.count)):
            known = (rows < row)[:, None]
            lit: dict[str, npt.ArrayLike] = {"words": rows <= row, "K": known, "V": known}
            lit |= dict.fromkeys(again, 0.0)
            self._count_work(step)
            marks = Mark("K", row=row), Mark("V", row=row)
            show(lit=lit, marks=marks, later="agree", run_time=0.8 if step else None)
            bars = self.parts["bars"].whole[0]
            self.play(
                *self._filling("K", "V", until=row + 1),
                *self._filling(*again, until=row + 1, order=in_rows),
                bars.next_step(),
                rate_func=linear,
                run_time=1.5,
            )
        self._count_work(self.steps)
        show(marks=(*marks, *map(Mark, again)))

    def _count_work(self, done: int) -> None:
        """Let the bars of the work of decoding be as long as they are after some steps."""
        self.part("bars", partial(WorkBars, self.decoding, self.frame.stage.width, done))

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

    @beat(
        ask="Roughly how many multiply-adds could the chip do while one number of the cache is on "
        "its way? {few}, {about} or {many}?"
    )
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
