"""Layout of the picture in which the keys' matrix moves to the query: pure geometry.

The picture is a product, and so is its right factor: what stands above the scores is made by a
matrix from what stands above it. When the matrix moves, the chain that ran down runs across::

        C^T                                 C^T
       W_UK
        K^T
    q  scores   C          q  W_UK  q'    scores   C
"""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import (
    FRAME_HEIGHT,
    HEADER,
    WORD_GAP,
    Box,
    Frame,
    Path,
    Point,
    row_points,
)
from filmkit.mobjects.product_layout import (
    ALL_TOKENS,
    LINE,
    MANY_LETTERS,
    MAX_PITCH,
    ChannelAxis,
    channel_axis,
)

__all__ = ["AbsorptionLayout", "Sizes"]

# Lengths are in scene units.
GAP = 0.16  # between two factors
STEP = 0.3  # between a matrix and what it makes, with an arrow
ASIDE = 0.6  # between the scores and the latent at their right
LINK = 0.14  # from the latent or the keys to the line that runs from the latent up
WEIGHT, WEIGHT_UPRIGHT = (0.95, 0.44), (0.75, 0.4)  # of the matrix that moves
DECK = 0.13  # from the keys of one set to those of the next, which stand behind
ABOVE, BELOW = 0.15, 0.85  # room above all, and below the latent for the mix of latents
NAME = 0.5  # height of the name below the scores
FINE = 0.85  # a channel may be a little smaller than elsewhere, so that a latent is drawn whole
FEWER = 0.36  # of the shorter side, for the rows of all tokens where much stands above them
NUMBER_ROOM = 3.0  # for the words below a number
LONG = (2.1, 1.15)  # largest heights of the turned latent and of the keys


@dataclass(frozen=True)
class Sizes:
    """Numbers of rows and columns.

    Attributes
    ----------
    tokens, channels, rank, rope
        Positions, channels of a key, numbers of a latent and of the shared rotated key.
    sets
        Sets of keys that stand behind the first one.
    """

    tokens: int
    channels: int
    rank: int
    rope: int
    sets: int


@dataclass(frozen=True)
class AbsorptionLayout:
    """Layout of the picture; see the top of this module.

    Attributes
    ----------
    query, far_query
        Boxes of the queries beside the scores, and at the left, with room for what follows.
    weight, far_weight
        Boxes of the matrix above the keys, and beside the new query, the last one.
    latent_query
        Box of the queries in the latent space.
    turned, keys
        Boxes of the turned latent at the top, and of the turned keys below it.
    dropped
        Box of the turned latent when it stands on the scores.
    scores, latent, mix
        Boxes of the scores, of the latent, and of a mixed row below it.
    rope, turned_rope, rope_query
        Boxes of the shared rotated key, the same turned, and of the rotated queries; None where
        there is none.
    channels, rank, query_rank
        What is drawn of the axes of channels: of queries and keys, of the latent, and of the
        queries in its space, which may have less room.
    words
        Right end of the word of each row at the far left, and their size.
    word_size
        Text size of the words; 0 if they could not be read.
    formula
        Left end of the formula, and its room.
    number
        Center of the number of rebuilt numbers.
    number_room
        Largest width of the words below it.
    link
        Where the line from the latent to its turned copy begins, and x at which it runs up.
    times, equals
        Centers of the signs before the latent and before the mix.
    """

    query: Box
    far_query: Box
    weight: Box
    far_weight: Box
    latent_query: Box
    turned: Box
    keys: Box
    dropped: Box
    scores: Box
    latent: Box
    mix: Box
    rope: Box | None
    turned_rope: Box | None
    rope_query: Box | None
    channels: ChannelAxis
    rank: ChannelAxis
    query_rank: ChannelAxis
    words: tuple[Point, ...]
    word_size: float
    formula: Point
    formula_room: float
    number: Point
    number_room: float
    link: tuple[Point, float]
    times: Point
    equals: Point

    def link_to(self, turned: Box) -> Path:
        """Return the line from the latent to its turned copy, which is in a box."""
        start, x = self.link
        return (start, (x, start[1]), (x, turned.y), (turned.right + LINK / 2, turned.y))

    @property
    def row(self) -> float:
        """y of the row of the new token."""
        return self.far_weight.y

    @classmethod
    def of(cls, frame: Frame, sizes: Sizes, *, word_width: float) -> AbsorptionLayout:
        """Lay out the picture.

        Parameters
        ----------
        frame
            The frame.
        sizes
            What is drawn.
        word_width
            Largest width of a word beside a row.
        """
        stage, unit, upright = frame.stage, frame.shorter_side, frame.upright
        weight = WEIGHT_UPRIGHT if upright else WEIGHT
        deck = DECK * sizes.sets
        fixed = ABOVE + GAP + 2 * STEP + weight[1] + deck + BELOW
        fixed += NAME + HEADER + 0.1 if upright else 0.0
        least = 1.9
        blocks = 2 if upright else 1
        side = min(
            max(MAX_PITCH, LINE * MANY_LETTERS) * unit * sizes.tokens,
            (ALL_TOKENS if upright else FEWER) * unit,
            (stage.height - fixed - least) / blocks,
        )
        pitch = side / sizes.tokens
        rest = stage.height - fixed - blocks * side
        long, short = min(LONG[0], 0.64 * rest), min(LONG[1], 0.36 * rest)

        words = word_width + WORD_GAP
        aside = deck + 2 * LINK if upright else max(ASIDE, deck + 3 * LINK)
        across = stage.width - words - side - weight[0] - 2 * STEP - GAP - aside
        shares = (1.0, 1.5) if upright else (1.0, 1.5, 1.6)
        widths = [across * share / sum(shares) for share in shares]
        fine = FINE * unit
        channels = channel_axis(sizes.channels, min(widths[0], 2.0), fine)
        rank = channel_axis(sizes.rank, min(widths[1], 2.8), fine)
        query_width = channels.length
        # In an upright frame the latent stands alone, with more room.
        wide = channel_axis(sizes.rank, 0.45 * stage.width, fine) if upright else rank
        strip = 0.14 * rank.length + 0.06 if sizes.rope else 0.0
        latent_width = wide.length - strip

        whole = words + query_width + weight[0] + rank.length + 2 * STEP + GAP + side
        whole += aside + (0.0 if upright else rank.length)
        left = stage.x - whole / 2 + words
        total = fixed + long + short + blocks * side
        top = stage.y + total / 2 - ABOVE
        far_query_left = left
        far_weight_left = left + query_width + STEP
        latent_query_left = far_weight_left + weight[0] + STEP
        scores_left = latent_query_left + rank.length + GAP
        turned = Box.of(scores_left, scores_left + side, top - long, top)
        weight_top = turned.bottom - STEP
        keys_top = weight_top - weight[1] - STEP - deck
        keys = Box.of(scores_left, scores_left + side, keys_top - short, keys_top)
        scores = Box.of(
            scores_left, scores_left + side, keys.bottom - GAP - side, keys.bottom - GAP
        )
        level = (scores.bottom, scores.top)
        query = Box.of(scores.left - GAP - query_width, scores.left - GAP, *level)
        if upright:
            latent_top = scores.bottom - NAME - HEADER - 0.1
            latent_left = scores.right - wide.length
            whole_latent = Box.of(latent_left, scores.right, latent_top - side, latent_top)
            number = ((stage.left + whole_latent.left) / 2, whole_latent.y + 0.3)
            number_room = whole_latent.left - GAP - stage.left
            link = ((whole_latent.right + LINK / 2, whole_latent.y), scores.right + deck + LINK)
            times = (whole_latent.left - 0.3, whole_latent.top + HEADER / 2 + 0.05)
        else:
            latent_left = scores.right + aside
            whole_latent = Box.of(latent_left, latent_left + wide.length, *level)
            number = ((stage.left + turned.left - 1.2) / 2, keys.top + 0.3)
            number_room = NUMBER_ROOM
            edge = latent_left - LINK / 2
            link = ((edge, scores.top - pitch / 2), edge - LINK)
            times = ((scores.right + edge) / 2, scores.bottom + pitch / 2)
        latent = Box.of(
            whole_latent.left,
            whole_latent.left + latent_width,
            whole_latent.bottom,
            whole_latent.top,
        )
        drop = scores.top + GAP
        turned_rope = rope = rope_query = None
        if strip:
            rope = Box.of(latent.right + 0.06, whole_latent.right, latent.bottom, latent.top)
            turned_rope = Box.of(scores.left, scores.right, drop, drop + 0.16 * long)
            rope_query = Box.of(
                latent_query_left + rank.length - strip + 0.06,
                latent_query_left + rank.length,
                *level,
            )
            drop = turned_rope.top + 0.06
            long = min(long, turned.height)
        mix_top = whole_latent.bottom - 0.14
        mix = Box.of(latent.left, latent.right, mix_top - min(max(pitch, 0.2), 0.36), mix_top)
        size = min(0.028, 0.92 * pitch / FRAME_HEIGHT)
        far_query = Box.of(far_query_left, far_query_left + query_width, *level)
        return cls(
            query=query,
            far_query=far_query,
            weight=Box.of(
                scores.x - weight[0] / 2,
                scores.x + weight[0] / 2,
                weight_top - weight[1],
                weight_top,
            ),
            far_weight=Box(far_weight_left + weight[0] / 2, scores.bottom + pitch / 2, *weight),
            latent_query=Box.of(latent_query_left, latent_query_left + rank.length - strip, *level),
            turned=turned,
            keys=keys,
            dropped=Box.of(scores.left, scores.right, drop, drop + turned.height),
            scores=scores,
            latent=latent,
            mix=mix,
            rope=rope,
            turned_rope=turned_rope,
            rope_query=rope_query,
            channels=channels,
            rank=channel_axis(sizes.rank, latent_width, fine),
            query_rank=channel_axis(sizes.rank, rank.length - strip, fine),
            words=row_points(far_query.left - WORD_GAP, far_query, sizes.tokens),
            word_size=size if size >= frame.min_text_size * 0.999 else 0.0,
            formula=(stage.left + 0.1, turned.y),
            formula_room=turned.left - 1.2 - stage.left,
            number=number,
            number_room=number_room,
            link=link,
            times=times,
            equals=(mix.left - 0.3, mix.y),
        )
