"""Why keys and values are cached, what the cache looks like, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cached_property, partial
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import Group, LaggedStart, Mobject, linear

from extract.facts.gpus import decoding_work
from extract.recompute.decoding import decode
from filmkit.core.animations import (
    Appear,
    Arrive,
    Glide,
    Presence,
    Reveal,
    Vanish,
    at_once,
    in_diagonals,
    in_rows,
    second_half,
    set_presence,
)
from filmkit.core.camera import Shot
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.geometry import Box
from filmkit.core.headline import Headline
from filmkit.core.language import _, ngettext
from filmkit.core.model_places import HEAD, numbered
from filmkit.core.numbers import (
    counted_heads,
    counted_layers,
    counted_sets,
    format_rough,
    readable_bytes,
    spoken_bytes,
)
from filmkit.core.seats import shot_of
from filmkit.core.stage import StageError, beat
from filmkit.core.text import NO_BREAK_SPACE
from filmkit.core.token_text import printable
from filmkit.mobjects.cached_numbers import BITS, CachedPerToken
from filmkit.mobjects.marks import Highlight, bracket
from filmkit.pictures.parts import TEXT
from filmkit.pictures.picture import Mark
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_matrix, head_tensor
from filmkit.pictures.texts import SentencePart, heading, legend, own_colour, text_in
from filmkit.world.block import TILT, CacheBlock, Pose
from filmkit.world.published import CHIP, CHIP_NAME, LARGE, LARGE_NAME, published_notes
from filmkit.world.standing import stand, stand_at_once, words_at
from scenes.kv_cache.cost import (
    Chip,
    LargeToken,
    Memory,
    lighting_up,
    plates_of_layer,
    token_bytes,
)
from scenes.kv_cache.parts import NextWords, WorkBar, disagreement, following_word

EVERY_HEAD = CachedPerToken(LARGE, "mha")  # if every head kept keys and values of its own
BELOW_NAME, UNDER = 0.26, 0.16  # from a name to the ends of its bracket, and height of that
APART = 0.7  # how far the last token stands from the block
EDGE = 0.18  # from an edge of a body to its bracket, in scene units of the room
MOST_NAMED = 4  # sets whose heads are named
SIDEWAYS = 10.0  # from how far to the right slabs that face the viewer are seen, in degrees
EVEN = 20.0  # the same for two boxes that are to look equally large
WIDE = 3.6  # of a line over a pair of plates, at most
BELOW, FOOT = 0.35, 0.2  # free below a headline and at the foot, in scene units
WAYS = "cached", "naive"  # of decoding: with a cache and without one
MAX_STEPS = 6  # largest number of tokens that are decoded one after another


PRODUCT = """
    Q × Kt = {product}
    . . .  . future
"""
TALL_PRODUCT = """
    Q × Kt
    . = {product}
    . . future
"""
MIX = """
    pattern × V = z
    future  . . . .
"""
TALL_MIX = """
    pattern × V
    future  . .
    =       z z
"""
KEPT = """
    .     name name
    Q     K    V
    never read read
"""
TALL_KEPT = "Q\nnever\nname\nK\nV\nread"
RACE = """
    K       V       cached
    again_K again_V naive
    agree   agree   agree
"""
TALL_RACE = """
    K       V
    cached  cached
    again_K again_V
    naive   naive
    agree   agree
"""
KNOWN = 0.8  # opacity of what was computed before
FADED = 0.35  # and of what is never needed again
LEAST = 0.6  # and of a row of values that has no share in the new output

Order = Callable[[tuple[int, int]], npt.NDArray[np.float64]]
"""Returns when each cell of a shape appears, 0 to 1."""


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
        self._make_parts()
        word, rank = following_word(self.trace)
        chosen = claim(meta.continued, _("is given")) or claim(
            rank == 0, _("is chosen"), _("follows")
        )
        self.longest = self.layer.until(min(len(meta.tokens), meta.n_prompt + MAX_STEPS))
        self.large = LargeToken(LARGE)
        self.facts |= named_facts(
            word=printable(word),
            chosen=chosen,
            like_them=meta.n_kv_heads,
            sets=(meta.n_kv_heads, counted_sets),
            heads=(meta.n_heads, counted_heads),
            bytes=(token_bytes(meta), spoken_bytes),
            layers=(meta.n_layers, counted_layers),
            all_heads=(LARGE.n_heads, counted_heads),
            all_layers=(LARGE.n_layers, counted_layers),
            all_bytes=(EVERY_HEAD.size(), spoken_bytes),
            slots=CHIP.ridge(),
            few=(CHIP.ridge() / 5, format_rough),
            about=(CHIP.ridge(), format_rough),
            many=(10 * CHIP.ridge(), format_rough),
        )

    def _make_parts(self) -> None:
        """Make the parts of pictures in which tokens join the prompt."""
        meta, free = self.trace.meta, self.frame.free
        self.old, self.decoded = self.layer.count, min(MAX_STEPS, len(meta.tokens) - meta.n_prompt)
        self.decoding = decode(self.trace, self.layer.layer, max_tokens=self.decoded)
        future = legend(_("masked: the future"), self.theme.masked)
        future[0].set_stroke(self.theme.faint, self.theme.line)
        self.part("future", future)
        self.part("name", heading(_("KV cache"), free.width))
        for name, text in (
            ("never", _("old queries are never needed again")),
            ("read", _("every new token reads all keys and values")),
            ("agree", "" if self.decoding.agrees else disagreement(self.decoding)),
        ):
            # In a narrow column, so that words do not push matrices apart that stand side by side.
            share = 1.0 if name == "agree" or self.frame.tall else 0.4
            self.part(name, text_in(text, share * free.width) if text else None)
        self._extend(self.decoded)

    def variant(self, beat: str) -> str:
        return "one" if self.trace.meta.n_kv_heads == 1 else "several"

    def provenance_notes(self) -> tuple[str, str]:
        if not self.published:
            return super().provenance_notes()
        return published_notes(self.published)

    # The tokens that join the prompt

    def _extend(self, more: int) -> None:
        """Let the matrices of the head hold the prompt, and more tokens after it."""
        self.count = self.old + more
        view = self.layer.until(self.trace.meta.n_prompt + more).head(self.head.head)
        for name in ("Q", "Kt", "scores", "pattern"):
            self.part(name, head_matrix(view, name))
        # Where it stands alone in its row, its words are those of the pattern.
        self.part("z", replace(head_tensor(view, "z"), words=()))
        for name, again in product(("K", "V"), ("", "again_")):
            self.part(again + name, head_matrix(view, name))

    def _rows(self, old: float, new: float = 1.0) -> npt.NDArray[np.float64]:
        """Return opacities of the rows of the prompt, and of the new one."""
        return np.where(np.arange(self.count) < self.old, old, new)[:, None]

    @property
    def _new_marks(self) -> tuple[Mark, ...]:
        """Frames around the new query, the new key, and the new scores."""
        return Mark("Q", row=self.old), Mark("Kt", column=self.old), Mark("scores", row=self.old)

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
        line = _(
            "the model’s likeliest next words; “{word}” {chosen}",
            word=self.facts["word"],
            chosen=self.facts["chosen"],
        )
        words = self.headline_of(_("The next word"), line)
        room, tokens = words.below(), self.layer.until(self.trace.meta.n_prompt + 1).words
        colours = [*[self.theme.ink] * self.old, own_colour(tokens[-1])]
        self.part("sentence", SentencePart(tokens, room.width, 0.3 * room.height, colours))
        self.part("next", partial(NextWords, self.trace, room.width, 0.6 * room.height))
        self._extend(0)
        self.show("pattern", titles=False)
        self._extend(1)
        lit = {"words": self._rows(1.0, 0.0)[:, 0]}
        self.show(mosaic, lit=lit, later="next", headline=words)
        likely = self.parts["next"].whole[0]
        alone = () if likely.origin in likely.words else (likely.origin,)
        self.play(*map(Appear, (likely.words, *alone)), likely.grow(), run_time=tempo.large)
        self.play(Appear(likely.shares))
        word = self.parts["sentence"].pieces["row words"].submobjects[-1]
        place, origin = word.copy(), likely.origin
        set_presence(word, 1.0).scale(origin.height / word.height).move_to(origin)
        self.play(Glide(word, place), run_time=tempo.normal)
        self.show(mosaic, headline=words)

    @beat
    def one_new_row(self) -> None:
        """One new query, one new key: the scores gain one row. Everything [outside] the frames, we
        already had."""
        self._extend(1)
        known, faint = self._rows(1.0, 0.0), self._rows(KNOWN)
        lit = {"Q": known, "Kt": known.T, "scores": known * known.T}
        line = _("one new query, one new key, one new row of scores")
        show = partial(self._show_product, headline=self.headline_of(_("One new row"), line))
        marks = self._new_marks
        show(lit=lit)
        for count, mark in enumerate(marks, start=1):
            show(lit=lit, marks=marks[:count], run_time=self.theme.tempo.small)
            self.play(*self._filling(mark.part), run_time=self.theme.tempo.small)
            del lit[mark.part]
        self.wait_for("outside")
        scores = np.where(np.tri(self.count), faint, 1.0)
        show(marks=marks, lit={"Q": faint, "Kt": faint.T, "scores": scores})

    def _show_product(self, made: str = "scores", **kwargs: Any) -> None:
        """Show queries, keys, and what comes of them."""
        mosaic, tall = (text.format(product=made) for text in (PRODUCT, TALL_PRODUCT))
        self.show(mosaic, tall=tall, words="rows", **kwargs)

    @beat
    def one_row_of_each(self) -> None:
        """Softmax makes one new row of the pattern. That row mixes the values into one new
        output."""
        self._extend(1)
        faint, known = self._rows(KNOWN), self._rows(1.0, 0.0)
        lit = {"Q": faint, "Kt": faint.T, "pattern": faint}
        mixing, made = (Mark(name, row=self.old) for name in ("pattern", "z"))
        head = self.layer.until(self.trace.meta.n_prompt + 1).head(self.head.head)
        shares = head.pattern[-1]
        mixed_in = (LEAST + (1 - LEAST) * shares / shares.max())[:, None]
        line = _("the new row of the pattern mixes all values")
        words = self.headline_of(_("One new output"), line)
        self._show_product("pattern", lit=lit, marks=(mixing,), headline=words)
        show = partial(self.show, MIX, tall=TALL_MIX, words="rows", headline=words)
        lit = {"pattern": faint, "V": known, "z": faint * known}
        show(lit=lit, marks=(mixing,))
        self.play(*self._filling("V"), run_time=self.theme.tempo.small)
        lit["V"] = mixed_in
        show(lit=lit, marks=(mixing, made))
        self.play(*self._filling("z"), run_time=self.theme.tempo.small)
        show(lit={"V": mixed_in}, marks=(mixing, made))

    @beat
    def what_is_kept(self) -> None:
        """Old queries are never needed again. Every new token reads all keys and values, [so] they
        are kept."""
        self._extend(1)
        show = partial(self.show, KEPT, tall=TALL_KEPT, words="rows")
        show(later="name never read")
        lit = {"Q": self._rows(FADED)}
        show(lit=lit, later="name")
        self._read("K", "V")
        self.wait_for("so")
        show(lit=lit)
        keys, values = (self.parts[name].cells.box for name in "KV")
        foot = float(self.parts["name"].whole.get_bottom()[1]) - BELOW_NAME
        left, right = ([x, foot, 0.0] for x in (keys.left, values.right))
        self.play(Appear(bracket(left, right, (0.0, UNDER, 0.0))))

    # Token after token

    @beat
    def token_by_token(self) -> None:
        """With a cache, a token adds one row of keys and values. Without, all rows are computed
        again."""
        line = ngettext(
            "multiply-adds in this layer’s attention for {number} more token",
            "multiply-adds in this layer’s attention for {number} more tokens",
            self.decoded,
            number=fact("decoded", self.decoded),
        )
        words = self.headline_of(_("A cache saves work"), line)
        show = partial(self.show, RACE, tall=TALL_RACE, words=False, titles="K V", headline=words)
        again = ("again_K", "again_V")
        self._count_work(0)
        show(lit=dict.fromkeys(again, 0.0))
        self._extend(self.decoded)
        rows = np.arange(self.count)
        for step, row in enumerate(range(self.old, self.count)):
            known = (rows < row)[:, None]
            lit: dict[str, npt.ArrayLike] = {"K": known, "V": known}
            lit |= dict.fromkeys(again, 0.0)
            self._count_work(step)
            marks = Mark("K", row=row), Mark("V", row=row)
            show(lit=lit, marks=marks, run_time=0.4)
            self.play(
                *self._filling("K", "V", until=row + 1),
                *self._filling(*again, until=row + 1, order=in_rows),
                *(self.parts[name].whole[0].next_step() for name in WAYS),
                rate_func=linear,
                run_time=0.8,
            )
        self._count_work(self.decoded)
        show(marks=(*marks, *map(Mark, again)))

    def _count_work(self, done: int) -> None:
        """Let the bars of the work of decoding be as long as they are after some steps."""
        width = (1.0 if self.frame.tall else 0.45) * self.frame.free.width
        for name in WAYS:
            self.part(name, partial(WorkBar, self.decoding, name == WAYS[0], width, done))

    # The cache as a block

    def _below(self, words: Headline) -> Box:
        return words.below(head=BELOW, foot=FOOT)

    @cached_property
    def block(self) -> CacheBlock:
        """The cache of all words, with those after the prompt."""
        return CacheBlock(self.longest)

    @cached_property
    def plates(self) -> list[Group]:
        """The keys and values of one layer, a pair for each head that it keeps."""
        return plates_of_layer(self.longest, self.frame)

    @beat(
        one="These are one head's keys and values. Its layer keeps no others.",
        several="These are one head's keys and values. Its layer keeps {like_them} such sets.",
    )
    def cache_of_a_layer(self) -> None:
        words = self.headline_of(
            _("{sets} for {heads}", sets=self.facts["sets"], heads=self.facts["heads"]),
            _("the <key>keys</key> and <value>values</value> that this layer keeps"),
        )
        own, moves = self.plates[self.head.kv_head], []
        on_scene = set(self.get_mobject_family_members())
        for name, plate in zip("KV", own, strict=True):
            for cells in self.parts[name].cells.blocks if name in self.parts else ():
                if cells in on_scene and cells.shape == plate.cells.shape:
                    self.remove(cells)
                    self.add(plate)
                    plate.cells.edged = True  # as it was in the mosaic
                    moves += [Arrive(plate.cells, cells), lighting_up(plate.cells)]
                    moves.append(Appear(plate.body, rate_func=second_half))
        names = self._heads_of_plates() if len(self.plates) <= MOST_NAMED else []
        stand(self, self._shot_of_plates(words, names), *self.plates, words, moves=moves)
        for plate in own:
            plate.cells.edged = False
        self._name(names)

    def _heads_of_plates(self) -> list[Mobject]:
        """Return the names of the heads of each pair of plates, over it."""
        size, names = self.trace.meta.n_heads // len(self.plates), []
        for number, (keys, values) in enumerate(self.plates):
            top = (keys.cells.corners[0] + values.cells.corners[1]) / 2
            heads = numbered(HEAD, range(number * size, (number + 1) * size))
            names.append(words_at(heads, top, away=(0.0, 0.35), width=WIDE, size=self._larger))
        return names

    def _shot_of_plates(self, words: Headline, names: Sequence[Mobject] = ()) -> Shot:
        corners = np.concatenate([p.cells.corners for pair in self.plates for p in pair])
        return shot_of(corners, self.frame, into=self._below(words), turn=0, tilt=9, words=names)

    @beat
    def the_whole_cache(self) -> None:
        """Every layer has its own: all of it is the cache. And every new token adds one slice."""
        block, tempo, meta = self.block, self.theme.tempo, self.trace.meta
        words = self.headline_of(
            _("The whole cache"), _("<key>keys</key> and <value>values</value> of every token")
        )
        last, at, end = self._last_apart(), block.pose.corner, 1 - 1 / block.count
        names = [
            words_at(_("one token"), last[1].corner(1, 0.5, 1), away=(0.2, 0.0)),
            words_at(self._rows_of_slabs(), at(0, 0.5, 0), away=(-0.35, 0.0)),
            words_at(_numbers(meta.d_qk), at(0, 1, 0.5), away=(-0.35, 0.2)),
            words_at(_("tokens"), at(end / 2, 0, 0), away=(0.0, -0.55)),
        ]
        at_once(block.build().lift(last))
        closed = block.shot(self.frame, into=self._below(words), words=names)
        apart = block.build(apart=1.0).shot(self.frame, into=self._below(words))
        first = self.layer.layer * meta.n_kv_heads
        if self.plates[0] not in self.mobjects:
            stand_at_once(self, *self.plates, shot=self._shot_of_plates(words))
        panels = [[plate.cells for plate in pair] for pair in self.plates]
        strips, flight = block.gather(panels, first, block.count - 1)
        self.add(strips)
        stand(self, apart, strips, words, moves=[flight])
        stand_at_once(self, block, strips, words)
        self.play(block.fill(block.count - 1, first), Vanish(strips), run_time=tempo.normal)
        self.play(block.close(), self.move_camera(closed), run_time=tempo.large)
        self.play(block.grow(1), run_time=tempo.normal)
        self.play(block.lift(last), run_time=tempo.normal)
        left = (-EDGE, 0.0, 0.0)
        self._name(
            names,
            bracket(at(0, 0, 0), at(0, 1, 0), left),
            bracket(at(0, 1, 0.1), at(0, 1, 1), left),
            bracket(at(0, 0, 0), at(end, 0, 0), (0.0, -EDGE, 0.0)),
        )

    def _last_apart(self) -> list[Pose]:
        """Return where the slabs of the last token stand when they are apart from the block."""
        places = (self.block.place(self.block.count - 1, half) for half in range(2))
        return [replace(pose, at=(pose.at[0] + APART, 0.0, 0.0)) for pose in places]

    def _rows_of_slabs(self) -> str:
        """Return what the rows of a slab are, in words."""
        rows = _("{layers} × {sets}", layers=self.facts["layers"], sets=self.facts["sets"])
        # A line ends only before the sign.
        return rows.replace(" ", NO_BREAK_SPACE).replace(f"{NO_BREAK_SPACE}×", " ×")

    @property
    def _larger(self) -> float:
        """Size of words beside a body that has few of them."""
        return TEXT if self.frame.upright else 1.25 * TEXT

    @property
    def _above(self) -> float:
        """Width of a line over one of two bodies; where they stand side by side there is less."""
        return 1.7 if self.frame.upright and not self.frame.tall else 2.8

    def _name(self, names: Iterable[Mobject], *others: Mobject) -> None:
        """Let names of what is seen appear, one after another, and then other things."""
        if things := [*names, *others]:
            self.play(LaggedStart(*map(Appear, things), lag_ratio=0.8))

    # What it costs

    @beat
    def bytes_of_a_token(self) -> None:
        """A slice is {bytes}: a key and a value for each of {sets} in {layers}."""
        meta, block = self.trace.meta, self.block
        size = fact("cost", token_bytes(meta), readable_bytes)
        line = _(
            "<key>keys</key> and <value>values</value>, {count} bytes a number", count=BITS // 8
        )
        words = self.headline_of(_("{size} per token", size=size), line)
        poses = keys, values = block.lifted(block.shot(self.frame), stacked=self.frame.tall)
        over = partial(words_at, away=(0.0, 0.65), width=self._above)
        names = [
            over(_keys_of(meta.d_qk), keys.corner(1, 1, 0.5), colour=self.theme.key),
            words_at(self._rows_of_slabs(), keys.corner(1, 0.5, 0), away=(-0.48, 0.0)),
            over(_values_of(meta.d_v), values.corner(1, 1, 0.5), colour=self.theme.value),
        ]
        shot = shot_of(
            np.concatenate([pose.corners for pose in poses]),
            self.frame,
            into=self._below(words),
            turn=90 - keys.turn + SIDEWAYS,
            tilt=9,
            words=names,
        )
        if block not in self.mobjects:
            at_once(block.build().lift(self._last_apart()))
            stand_at_once(self, block, shot=block.shot(self.frame))
        others = [Presence(slab, 0.0) for slab in block.slabs[:-2]]
        stand(self, shot, block, words, moves=[block.lift(poses), *others])
        stand_at_once(self, *block.tokens[-1], words)
        wide, up = keys.corner(1, 1, 1) - keys.corner(1, 1, 0), (0.0, EDGE, 0.0)
        brackets = (
            bracket(
                keys.corner(1, 0, 0), keys.corner(1, 1, 0), -EDGE * wide / np.linalg.norm(wide)
            ),
            *(bracket(half.corner(1, 1, 0), half.corner(1, 1, 1), up) for half in poses),
        )
        self._name(names, *brackets)

    @beat
    def a_large_model(self) -> None:
        """DeepSeek-R1 has {all_heads} in {all_layers}. With keys and values for each, a token would
        take {all_bytes}."""
        self.published = (LARGE_NAME,)
        words = self.headline_of(
            _("{size} per token", size=EVERY_HEAD.size_fact()),
            _(
                "{model}, if every head kept its own <key>keys</key> and <value>values</value> "
                "({count} bytes a number)",
                model=LARGE_NAME,
                count=BITS // 8,
            ),
        )
        large = self.large
        at, (keys, values) = large.pose.corner, (half.pose.corner for half in large.halves)
        beside = partial(words_at, size=self._larger)
        over = partial(beside, away=(0.0, 0.6), width=1.7 * self._larger / TEXT)
        names = [
            beside(self.facts["all_heads"], at(0, 0.5, 0), away=(-0.35, 0.0)),
            beside(self.facts["all_layers"], at(0, 1, 0.5), away=(-0.35, 0.2)),
            over(_keys_of(LARGE.d_head), keys(0.5, 1, 1), colour=self.theme.key),
            over(_values_of(LARGE.d_head), values(0.5, 1, 1), colour=self.theme.value),
        ]
        shot = shot_of(
            large.corners, self.frame, into=self._below(words), turn=EVEN, tilt=TILT, words=names
        )
        stand(self, shot, large, words, moves=[large.rise()])
        left, up = (-EDGE, 0.0, 0.0), (0.0, EDGE, 0.0)
        self._name(
            names,
            bracket(at(0, 0, 0), at(0, 1, 0), left),
            bracket(at(0, 1, 0.15), at(0, 1, 0.85), left),
            bracket(keys(0, 1, 1), keys(1, 1, 1), up),
            bracket(values(0, 1, 1), values(1, 1, 1), up),
        )

    @beat
    def as_shipped(self) -> None:
        """In fact, DeepSeek-R1 keeps only what fits into the small box."""
        self.published = (LARGE_NAME,)
        words = self.headline_of(
            _("What is in the small box?"),
            _("{model} keeps only the small box for each token", model=LARGE_NAME),
        )
        large, beside = self.large, partial(words_at, size=self._larger)
        whole = _("keys and values of every head: {size}", size=EVERY_HEAD.size_fact())
        names = [
            beside(_("kept"), large.unknown.pose.corner(1, 0.5, 1), away=(0.2, 0.1)),
            beside(whole, large.pose.corner(0, 1, 1), away=(0.1, 0.3), width=6.0),
        ]
        shot = large.shot(self.frame, into=self._below(words), words=names)
        if large not in self.mobjects:
            stand_at_once(self, large, shot=shot)
        stand(self, shot, large, large.outline, moves=[large.rise(start=1.0, end=0.0)])
        self.remove(large)
        self.play(*map(Appear, (large.unknown, large.mark, words)))
        self._name(names)

    @beat(
        ask="For each new token, a chip reads all keys and values from memory. How many "
        "multiply-adds could it do while one number arrives: about [{few}], [{about}] or [{many}]?",
        answer="about",
        choice="about {choice} multiply-adds",
    )
    def memory_is_time(self) -> None:
        """To make one token, the chip reads the whole cache. While one number arrives, it could
        do {slots} multiply-adds, but there is only one to do."""
        self.published = (LARGE_NAME, CHIP_NAME)
        idle = fact("idle", CHIP.ridge() - decoding_work(LARGE, "mha").per_number)
        words = self.headline_of(
            _("{idle} of {slots} multiply-adds don’t happen", idle=idle, slots=self.facts["slots"]),
            _("while one number comes from memory"),
        )
        memory = Memory()
        chip = Chip(round(CHIP.ridge()), memory, self.frame)
        cache = _("memory with the KV cache")
        lamps = _("{chip}: a lamp for each multiply-add", chip=CHIP_NAME)
        names = [
            words_at(cache, memory.pose.corner(0, 1, 0.5), away=(-0.2, 0.3)),
            words_at(lamps, chip.pose.corner(1, 1, 0.5), away=(0.0, 0.35), width=self._above),
        ]
        shot = memory.shot(self.frame, chip, into=self._below(words), words=names)
        stand(self, shot, memory, chip)
        self._name(names)
        self.play(chip.read(self.theme.key, run_time=3.2))
        self.play(chip.read(self.theme.value, run_time=1.6))
        self.play(Appear(words))


def _keys_of(count: int) -> str:
    """Return how many numbers a key has, in words."""
    return _("keys: {numbers}", numbers=_numbers(count))


def _values_of(count: int) -> str:
    """Return how many numbers a value has, in words."""
    return _("values: {numbers}", numbers=_numbers(count))


def _numbers(count: int) -> str:
    """Return how many numbers there are, in words that stay on one line."""
    return _("{count} numbers", count=count).replace(" ", NO_BREAK_SPACE)
