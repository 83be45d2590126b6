"""Why keys and values are cached, what the cache looks like, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from manim import (
    DEGREES,
    DL,
    DOWN,
    IN,
    LEFT,
    OUT,
    RIGHT,
    UP,
    UR,
    Group,
    LaggedStart,
    Mobject,
    Transform,
    linear,
)

from extract.recompute.decoding import decode
from filmkit.core.animations import Appear, Arrive, MoveCamera, Vanish
from filmkit.core.body import Body, put
from filmkit.core.facts import claim, fact, named_facts
from filmkit.core.geometry import Box
from filmkit.core.language import _
from filmkit.core.light import glow
from filmkit.core.numbers import (
    counted_heads,
    counted_layers,
    counted_words,
    format_count,
    readable_bytes,
    spoken_bytes,
)
from filmkit.core.picture_map import TextItem, texts_on
from filmkit.core.seats import Seat
from filmkit.core.stage import StageError, beat
from filmkit.core.text import Label
from filmkit.core.theme import mixed
from filmkit.core.token_text import printable
from filmkit.mobjects.cached_numbers import CachedPerToken
from filmkit.pictures.bodies import Relief, Rows, Slab, number_at
from filmkit.pictures.parts import Matrix
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_matrix
from filmkit.pictures.texts import own_colour
from filmkit.world.published import LARGE, LARGE_NAME, published_notes
from scenes.kv_cache.parts import (
    ROLES,
    Drum,
    flat,
    following_word,
    kept,
    key_and_value,
    outline,
    plates,
    to_a_tenth,
    token_bytes,
    token_tower,
)

Array = npt.NDArray[np.float64]

LATENT = CachedPerToken(LARGE, "mla")  # what is really kept
EVERY_HEAD = CachedPerToken(LARGE, "mha")  # if every head kept keys and values of its own
FACING = -8.0  # where slabs of the sentence look, in degrees
LINE = 3.0  # between lines of the sentence
NEAREST, MOST_WORDS = 4, 9  # words of the sentence that are seen first, and at most
AROUND = 11  # slabs on the drum
BEFORE, ASKING = 1.5 * OUT, 3.3 * OUT  # from rows to a new one, and from its key to its query
ABOVE = 2.0 * UP  # where a query reads a row
NAMED, LEANING = 2.8, 60 * DEGREES  # how wide names of rows are, and how far they lean back
LEAST = 1.05  # height of words that are read, as a share of the least that can be
STEPS = Seat(-16, 42, 1.2, (0.0, -0.3))  # before all that is made again
AGAIN = 0.5  # presence of what is made again
HEIGHT, DEPTH = 3.2, 2.8  # of the block, in scene units
GROUND, GROUND_TALL = (7.0, 3.0, 5.0), (3.6, 2.6, 6.0)  # of a token, and the highest one


class KVCache(Stage):
    """A token joins the prompt, keys and values made once or again, and the size of the cache."""

    title = "Why keys and values are kept"
    tensors = ("q", "q_rot", "k", "k_rot", "v", "pattern")
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
        self.view = self.layer.until(meta.n_prompt + 1)
        self.words = [printable(word) for word in self.view.words]
        word, self.rank = following_word(self.trace)
        chosen = claim(meta.continued, _("is given")) or claim(
            self.rank == 0, _("is chosen"), _("follows")
        )
        same = decode(self.trace, self.layer.layer).agrees
        count = len(self.words)
        self.counts = {"once": count, "again": count * (count + 1) // 2}
        self.facts |= named_facts(
            word=printable(word),
            chosen=chosen,
            what=claim(same, _("the same ones again"), _("all of them again")),
            layers=(meta.n_layers, counted_layers),
            bytes=(token_bytes(meta), spoken_bytes),
            all_heads=(LARGE.n_heads, counted_heads),
            all_layers=(LARGE.n_layers, counted_layers),
            all_bytes=(EVERY_HEAD.size(), spoken_bytes),
            more=(EVERY_HEAD.size() / token_bytes(meta), format_count),
            words=(count, counted_words),
            **self.counts,
        )

    def provenance_notes(self) -> tuple[str, str]:
        if not self.published:
            return super().provenance_notes()
        return published_notes(self.published)

    def _matrix(self, name: str) -> Matrix:
        """Return a matrix of the head, with a row for the new word."""
        matrix = head_matrix(self.view.head(self.head.head), name)
        assert matrix is not None
        return matrix

    # Places and words

    def _at(self, tall: float, x: float, z: float) -> Array:
        """Return a place on the floor; tall frames have another one across."""
        return (tall if self.frame.tall else x) * RIGHT + z * OUT

    def _from(self, seat: str | Seat) -> str | Seat:
        """Return the name of a seat; tall frames look from above instead."""
        return "stand" if self.frame.tall else seat

    def _after(self, move: MoveCamera, *things: Mobject) -> list[TextItem]:
        """Return the words of things as they are seen after a move of the camera."""
        camera, before = self.camera, self.camera.shot
        camera.shot = move.shot
        items = texts_on(things, camera)
        camera.shot = before
        return items

    def _small(self, move: MoveCamera, *things: Mobject) -> list[Label]:
        """Return the words of things that are too small to be read after a move of the camera."""
        least = LEAST * self.theme.min_text_size
        least *= min(self.camera.pixel_width, self.camera.pixel_height)
        return [text.mobject for text in self._after(move, *things) if text.height < least]

    def _apart(self, move: MoveCamera, *labels: Mobject) -> list[Label]:
        """Return those labels that overlap none before them after a move of the camera."""
        free: list[TextItem] = []
        for item in self._after(move, *labels):
            if all(min(item.box.overlap(other.box)) <= 0 for other in free):
                free.append(item)
        return [item.mobject for item in free]

    def _slab(self, number: int, height: float = 1.0, width: float | None = None) -> Slab:
        """Return the slab of a word of the sentence; the new one has the colour that it names."""
        colour = own_colour(self.view.words[-1])
        is_own = number == -1 and colour != self.theme.ink
        role = colour if is_own else ""
        slab = Slab(self.words[number], role=role, width=width, height=height)
        slab.is_light = True
        return slab

    def _role_word(self, role: str, text: str, at: Array, size: float = 0.5) -> Label:
        """Return a word before a place on the floor, which faces the eye, in a role's colour."""
        return number_at(text, at * [1, 0, 1], "air", size=size, colour=self.theme.role(role))

    # One more token

    @beat(title="The next word")
    def the_next_word(self) -> None:
        """To find the next word, the model rates every token it knows. “[{word}]” {chosen}, and
        joins the sentence."""
        tall, words = self.frame.tall, self._sentence()
        meta, after = self.trace.meta, self.trace.meta.n_prompt - 1
        texts = meta.top_tokens[after]
        likely = [text for rank, text in enumerate(texts) if rank != self.rank]
        # The last one will be below the others, where no word can be read.
        around = [*([*likely, *texts] * AROUND)[: AROUND - 2], ""]
        others = [Slab(text, width=2.2, height=1.05) for text in around]
        new = self._slab(-1, height=1.05, width=2.2)
        drum = Drum([new, *others], self._at(1.4, 2.4, -2.2), 2.05, FACING)
        place = self._slab(-1, height=1.9).put(self._at(0.4, 2.2, 1.7), turn=FACING)
        shares = []
        if self.rank is not None:
            share = self.trace["top_probs"][after, self.rank]
            name, beside = _("likely"), self._at(0, -1.2, 3.8)
            number = fact("likely", share, to_a_tenth, beside=name, rank=self.rank)
            shares = [
                number_at(text, beside, "air", size=size).shift(up * UP)
                for text, up, size in ((number, 0.4, 1.1), (name, -0.5, 0.5))
            ]
        seat = "balcony" if tall else "shoulder"
        self.camera.shot = self.see_from(seat, *words[-NEAREST:]).shot
        writing = LaggedStart(*map(Appear, words), lag_ratio=0.2)
        self.play(writing, self.see_from(seat, *words), run_time=1.6)
        self.add(drum)
        move = self.see_from("balcony", *words, drum, place, *shares)
        # Only the next two words of the drum will face the viewer.
        small = self._small(move, *words, *others[:2])
        drum.turn(-drum.step)  # as it will be in the end
        small += (text for text in self._small(move, *others[:2]) if text not in small)
        small += (slab.word for slab in others[2:] if slab.word)
        self.play(drum.run(rate_func=linear), move, *self.dim(*small), run_time=3.2)
        self.wait_for("word")
        self.remove(drum)
        self.add(drum.let_go(), new)
        self.play(
            Transform(new, place),
            drum.go_on(),
            self.light_up(drum.front),
            *map(Appear, shares),
            run_time=self.theme.tempo.large,
        )
        self.sentence = [*words, new]

    def _sentence(self) -> list[Slab]:
        """Return the last words of the prompt, up to where the next one will be."""
        tall = self.frame.tall
        along = OUT if tall else RIGHT + 0.12 * OUT
        most = NEAREST if self.frame.upright and not tall else MOST_WORDS
        words = [self._slab(i, 1.0 if tall else 1.5) for i in range(len(self.words) - 1)][-most:]
        # Two lines in wide frames, for larger words.
        first = 0 if tall else len(words) // 2
        for line, back in ((words[first:], 0.0), (words[:first], LINE)):
            lengths = [1.4 if tall else 0.25 + float(np.ptp(w.extent[:, 0])) for w in line]
            ends = np.cumsum(lengths) - sum(lengths)
            for slab, end, length in zip(line, ends, lengths, strict=True):
                at = (end - length / 2) * along + self._at(-1.8, 0.1, -back)
                slab.put(at, turn=FACING)
        return words

    @beat(title="One new row")
    def one_new_row(self) -> None:
        """Like every word before it, “{word}” makes a [query], a [key] and a [value]: one new row
        of each. The others were there already."""
        width, gap, height = (2.3, 1.6, 1.3) if self.frame.tall else (7.4, 1.35, 0.9)
        look: dict[str, Any] = {"width": width, "height": height}
        query, keys, values = map(self._matrix, "QKV")
        aside = (width / 2 + 0.25) * RIGHT
        self.keys = Rows(keys, gap=gap, words=(), **look).shift(-aside)
        self.values = Rows(values, gap=gap, words=(), **look).shift(aside)
        key, value = (rows[-1].shift(BEFORE) for rows in (self.keys, self.values))
        front = key.points[0] + ASKING
        self.query = Relief.of(query, -1, **look)
        self.query.put(front * [1, 0, 1] - self.query.extent[0, 1] * UP)
        self.query.is_light = True
        left = -2 * aside - 1.4 * RIGHT
        roles = [
            ("query", _("query"), front + (width / 2 + 1.5) * RIGHT - 0.85 * OUT, self.query),
            ("key", _("key"), key.points[0], key),
            ("value", _("value"), value.points[0], value),
        ]
        self.labels = [
            self._role_word(role, text, at + 0.85 * OUT) for role, text, at, _row in roles
        ]
        words, first = self.sentence, len(self.words) - len(self.sentence)
        self.sentence = [
            self._slab(number, height=1.2, width=NAMED).put(
                left + self.keys[number].points[0, 2] * OUT
            )
            for number in range(first, len(self.words) - 1)
        ]
        self.sentence.append(self._slab(-1, height=1.2, width=NAMED).put(left + BEFORE))
        for name in self.sentence:
            name.rotate(-LEANING, axis=RIGHT, about_point=name.points[0])
        seen = [*self.sentence, self.keys, self.values, self.query, *self.labels]
        move = self.see_from("stand", *seen)
        for text in self._small(move, *self.sentence):
            text.presence = self.theme.dim
        leaving = self.leave(*words)
        self.remove(*words)
        old = [row for rows in (self.keys, self.values) for row in rows[:-1]]
        self.play(
            move,
            *leaving,
            *map(Arrive, self.sentence, words),
            self.light_up(0.5 * UP + BEFORE),
            LaggedStart(*(Arrive(row, flat(row, 0.0)) for row in old), lag_ratio=0.1),
            run_time=3,
        )
        start = self.sentence[-1].middle
        for (role, _text, _at, row), label in zip(roles, self.labels, strict=True):
            self.wait_for(role)
            self.play(Arrive(row, row.copy().put(start, size=0.2)), Appear(label))

    @beat(title="KV cache")
    def what_is_kept(self) -> None:
        """Its query reads all [keys], for where to look, and all [values], for what to take. No
        [older] query is needed again, so only keys and values are [kept]: the KV cache."""
        keys, values, query = self.keys, self.values, self.query
        size = 0.5 if self.frame.tall else 0.7
        labels = [
            self._role_word(role, text, rows[-1].points[0] - 0.1 * OUT, size)
            for role, text, rows in (("key", _("keys"), keys), ("value", _("values"), values))
        ]
        new = [keys[-1], values[-1], self.sentence[-1]]
        self.play(
            *(each.animate.shift(-BEFORE) for each in new),
            query.animate.put(keys[-1].points[0] - BEFORE + ABOVE),
            *map(Vanish, self.labels),
            self.light_up(keys[-2]),
        )
        # The query flies over all keys, over to the values, and back over these.
        for mark, start, end, seconds, shown in (
            ("keys", keys[-1], keys[0], 2.2, labels[:1]),
            ("values", keys[0], values[0], 0.8, []),
            ("values", values[0], values[-1], 2.2, labels[1:]),
        ):
            self.wait_for(mark)
            way = query.animate.shift(end.points[0] - start.points[0])
            self.play(way, self.light_up(end), *map(Appear, shown), run_time=seconds)
        self.wait_for("older")
        move = self.see_from(self._from("gallery"), *self.sentence, keys, values, *labels)
        small = self._small(move, *self.sentence)
        self.play(Vanish(query), move, *self.dim(*small), run_time=4.2)
        self.wait_for("kept")
        self.play(self.light_up(None))

    # Made once, or again

    @beat(title="Made once, or again and again")
    def token_by_token(self) -> None:
        """With a cache, each word’s key and value are made once: [{once}] pairs for {words}.
        [Without] one, each step makes {what}: [{again}]."""
        pitch, step, side = (1.08, 1.65, 0.51) if self.frame.tall else (1.95, 1.35, 0.75)
        places = [x * pitch * RIGHT + x * step * OUT for x in range(len(self.words))]
        pairs = [key_and_value((side, 1.2 * side, side)) for _place in places]
        for at, pair in zip(places, pairs, strict=True):
            for sign, body in zip((-0.53, 0.53), pair, strict=True):
                body.put(at + sign * side * RIGHT)
        wasted = [self._again(pairs[:row], places[row][2]) for row in range(1, len(pairs))]
        tops = [at + side * (1.2 * UP + 0.5 * IN) for at in places]
        names = [
            number_at(text, top, "air", size=0.34, colour=own_colour(word))
            for text, word, top in zip(self.words, self.view.words, tops, strict=True)
        ]
        for number, name in enumerate(names):  # above what is made, or beside it in tall frames
            aside = (name.width / 2 + 0.5) * RIGHT + 0.15 * DOWN
            name.shift(aside if self.frame.tall else (0.25 + 0.5 * (number % 2)) * UP)
        once, again = self._counts(tops[0 if self.frame.tall else len(tops) // 2], places[-1])
        rows = [row for pair in zip(self.keys, self.values, strict=True) for row in pair]
        self.kept = [body for pair in pairs for body in pair]
        leaving = self.leave(*rows)
        self.remove(*rows)
        folding = LaggedStart(*map(Arrive, self.kept, rows), lag_ratio=0.1)
        move = self.see_from(self._from(STEPS), *self.kept, *names, *once, *wasted, *again)
        # Of many words some find no place; the last ones do.
        read = self._apart(move, *once, *again, *names[::-1])
        self.play(move, *leaving, folding, run_time=3.0)
        shown = [Appear(name) for name in names if name in read]
        self.play(LaggedStart(*shown, lag_ratio=0.2), run_time=1.6)
        self.wait_for("once")
        self.play(*map(Appear, once), run_time=self.theme.tempo.small)
        self.wait_for("Without")
        self.play(LaggedStart(*(Appear(row, AGAIN) for row in wasted), lag_ratio=0.5), run_time=4.2)
        self.wait_for("again")
        self.play(*map(Appear, again))

    def _again(self, pairs: Sequence[Sequence[Body]], near: float) -> Group:
        """Return what is made again in a step, which is so near to the viewer."""
        made = [body.copy() for pair in pairs for body in pair]
        return Group(*(body.shift((near - body.points[0, 2]) * OUT) for body in made))

    def _counts(self, above: Array, below: Array) -> list[list[Label]]:
        """Return how often is made what words need, with a cache and without, above and below."""
        counts, under = [], (-2.6, -1) if self.frame.tall else (-1.9, 1)
        for name, text, at, up, side in (
            ("once", _("pairs with a cache"), above, 1.1, 1),
            ("again", _("pairs without"), below, *under),
        ):
            count = fact(name, self.counts[name], beside=text)
            number, words = number_at(count, at, "air", size=1.5), number_at(text, at, "air")
            aside = side * (words.width / 2 + 0.25) * RIGHT + up * UP
            counts.append([number.shift(aside + 0.85 * UP), words.shift(aside)])
        return counts

    # The cache as a block

    @beat(title="The whole cache")
    def the_whole_cache(self) -> None:
        """Every layer keeps its own, and all together are the cache: [{layers}]. Every new
        word [adds] one slice, from top to bottom."""
        count, tall = len(self.words), self.frame.tall
        pitch, layers = min(0.66, 7.0 / count), self.trace.meta.n_layers
        along, turn = (OUT, -90) if tall else (RIGHT, 0)
        pairs = [key_and_value((0.46 * pitch, HEIGHT, DEPTH), layers) for _word in self.words]
        for number, pair in enumerate(pairs):
            for sign, body in zip((-0.25, 0.25), pair, strict=True):
                body.put(pitch * (number + sign - (count - 1) / 2) * along, turn=turn)
        block = [body for pair in pairs for body in pair]
        half = pitch * count / 2
        lifted = self._lifted(pairs[-1], half)
        # How high it is, and how long: above it and below it, or to the left in tall frames.
        sizes = self.facts["layers"], self.facts["words"]
        places = [HEIGHT * UP, DEPTH / 2 * OUT + half * RIGHT]
        if tall:
            places = [DEPTH / 2 * LEFT + each for each in (HEIGHT / 2 * UP + half * OUT, places[0])]
        size, length = (
            number_at(text, at, "air", size=0.6) for text, at in zip(sizes, places, strict=True)
        )
        for label, way in (
            (size, 0.9 * UP),
            (length, 0.7 * DOWN + (length.width / 2 + 0.3) * LEFT),
        ):
            label.shift((label.width / 2 + 0.25) * LEFT if tall else way)
        colour = own_colour(self.view.words[-1])
        hues = self.theme.key, self.theme.value
        before = (lifted[0].points[0] + lifted[1].points[0]) / 2 + 1.25 * OUT
        words = [
            length,
            number_at(self.words[-1], before, "air", size=0.7, colour=colour).shift(0.2 * DOWN),
            *(
                number_at(text, body.top, "air", colour=hue).shift(0.5 * UP)
                for text, body, hue in zip((_("keys"), _("values")), lifted, hues, strict=True)
            ),
        ]
        self.block = [
            body.copy().stretch(1 / layers, 1, about_point=body.points[0]) for body in block
        ]
        leaving = self.leave(*self.kept)
        self.remove(*self.kept)
        close = self.see_from("table", *block, size)
        self.play(*leaving, *map(Arrive, self.block, self.kept), close, run_time=3)
        self.play(*map(Transform, self.block, block), run_time=2)
        self.wait_for("layers")
        self.play(Appear(size))
        self.play(self.see_from("balcony", *block, *lifted, size, *words), run_time=2.6)
        self.wait_for("adds")
        self.play(*map(Transform, self.block[-2:], lifted), run_time=2)
        self.play(*map(Appear, words))

    def _lifted(self, pair: Sequence[Body], end: float) -> list[Body]:
        """Return the last slices, with their numbers, where they stand before a block that ends."""
        lifted = [body.copy() for body in pair]
        for sign, body, role in zip((-1, 1), lifted, ROLES, strict=True):
            cells = kept(self.trace, self.view.stop - 1, role).place(Box(0, 0, DEPTH, HEIGHT))
            put(cells, body, (body.extent[1, 0], HEIGHT / 2, 0), (0, 0, -1), (0, 1, 0))
            if self.frame.tall:
                body.put(1.55 * sign * RIGHT + (end + 3) * OUT, turn=-90)
            else:
                body.put((end + 3.7 + 1.8 * sign) * RIGHT + (1.4 - 0.6 * sign) * OUT, turn=-70)
        return lifted

    # What a token takes

    @beat(title="One token")
    def a_large_model(self) -> None:
        """In our model, such a slice takes [{bytes}]. DeepSeek-R1 has [{all_heads}] in
        [{all_layers}]: if every head kept its own keys and values, a token would take
        [{all_bytes}], [{more}] times as much as in ours."""
        self.published = (LARGE_NAME,)
        meta, tall = self.trace.meta, self.frame.tall
        width, depth, most = GROUND_TALL if tall else GROUND
        sizes = EVERY_HEAD.size(), token_bytes(meta)
        high, low = (most * size / max(sizes) for size in sizes)
        keys = LARGE.d_head, LARGE.d_head
        self.large = token_tower(keys, LARGE.n_layers, (width, high, depth))
        small = token_tower((meta.d_qk, meta.d_v), meta.n_layers, (width, low, depth))
        for body in (*self.large, *small):
            body.is_light = True
        for body in small:
            body.shift(self._at(0, width + 0.9, depth + 3.2 if tall else 0.6))
        ours = _("our model")
        cost = fact("cost", token_bytes(meta), readable_bytes, beside=ours)
        there = (small[0].top + small[1].top) / 2 + depth / 2 * IN
        own_words = [
            number_at(text, there, "air", size=size).shift(up * UP)
            for text, up, size in ((cost, 1.1, 0.8), (ours, 0.4, 0.5))
        ]
        size, name, heads, layers, more = words = self._words_of_large()
        self.play(
            self.see_from("table", *small, *own_words),
            *self.leave(*self.block[-2:]),
            *map(Transform, self.block[-2:], small),
            self.light_up((small[0].middle + small[1].middle) / 2),
            run_time=2.6,
        )
        for body in self.block[-2:]:
            body.submobjects = []  # its numbers, which are not seen any more
        self.wait_for("bytes")
        self.play(*map(Appear, own_words), run_time=self.theme.tempo.small)
        seen = [*self.large, *small, *own_words, *words]
        self.play(
            self.see_from("orchestra" if tall else "gallery", *seen),
            *(Arrive(body, flat(body)) for body in self.large),
            Appear(name),
            run_time=2,
        )
        for mark, word in (("all_heads", heads), ("all_layers", layers)):
            self.wait_for(mark)
            self.play(Appear(word), run_time=self.theme.tempo.small)
        self.play(self.see_from("orchestra", *seen), run_time=4.6)
        self.wait_for("all_bytes")
        self.play(Appear(size))
        self.wait_for("more")
        self.play(Appear(more))

    def _words_of_large(self) -> list[Label]:
        """Return what a token of the large model takes, its name, and how that comes about.

        They stand before its keys and values, from top to bottom.
        """
        dark, group = self.theme.background, Group(*self.large)
        front, up = (group.get_edge_center(OUT)[2] + 0.05) * OUT, group.height * UP
        ours = _("{more} × our model", more=self.facts["more"])
        aside = 0.24 * group.width * RIGHT
        texts = (
            (0.64 * up, 0.22, EVERY_HEAD.size_fact(LARGE_NAME)),
            (0.46 * up, 0.12, LARGE_NAME),
            (0.27 * up - aside, 0.09, self.facts["all_heads"]),
            (0.27 * up + aside, 0.09, self.facts["all_layers"]),
            (0.08 * up, 0.1, ours),
        )
        return [
            number_at(text, front + at, "stands", size=size * group.width, colour=dark)
            for at, size, text in texts
        ]

    @beat(title="What is in the box?")
    def as_shipped(self) -> None:
        """What it really keeps is [this]. What’s in the box?"""
        large = Group(*self.large)
        low, high = large.get_corner(DL + IN), large.get_corner(UR + OUT)
        corners = [np.where(share, high, low) for share in np.ndindex(2, 2, 2)]
        glass = glow(outline(corners, "glass"))
        share = LATENT.size() / EVERY_HEAD.size()
        box = glow(plates((high - low) * [1, share, 1], mixed(self.theme.glass, "#ffffff", 0.25)))
        box.is_light = True
        mark = number_at("?", 0.25 * high * UP, "stands", size=0.6 * high[1], turn=16)
        lines = (EVERY_HEAD.size_fact(LARGE_NAME), 1.35, 0.8), (LARGE_NAME, 0.6, 0.5)
        far, dim = high * UP + low * OUT, self.theme.muted  # the upper edge behind
        named = [
            number_at(text, far, "air", size=size, colour=dim).shift(up * UP)
            for text, up, size in lines
        ]
        self.play(
            *self.leave(*self.large),
            self.see_from("balcony", glass, box, *named),
            self.light_up(box),
            *map(Appear, (glass, *named)),
            run_time=2,
        )
        self.wait_for("this")
        self.play(*(Transform(body, box.copy()) for body in self.large), run_time=2)
        self.remove(*self.large)
        self.add(box)
        self.play(Appear(mark))
