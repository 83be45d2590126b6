"""Where the parts of a matrix product stand, so that the picture itself is a product.

The left factor stands left of the product and the right factor above it: row ``r`` of the left one
runs straight into row ``r`` of the product, column ``c`` of the right one drops into column ``c``.
An axis of tokens has the same pitch everywhere; an axis of channels takes what room is left::

                      words of the columns
                      +--------+
                      | K^T    |
                      +--------+
    words +---------+ +--------+
    of    | Q       | | scores |
    rows  +---------+ +--------+

All sizes are fractions of the frame's shorter side. The same rules serve queries and keys, and a
pattern and its values, in every aspect.
"""

from __future__ import annotations

from dataclasses import dataclass

from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame, Point, column_points, row_points

__all__ = ["ChannelAxis", "ProductLayout", "TokenAxis", "channel_axis", "product_layout"]

# Fractions of the frame's shorter side.
MAX_PITCH = 0.06  # of a token axis, and how much all tokens together take where they are many
ALL_TOKENS = 0.40
LETTERS, MANY_LETTERS = 0.028, 0.024  # heights of words, for few rows and for many
LINE = 1.1  # smallest pitch of rows with words, relative to the height of the words
MIN_CHANNEL = 3 / 1080  # a channel that is smaller cannot be seen
MAX_CHANNEL = 0.016
SMALLEST_AXIS = 0.09  # length of a whole axis of channels
STRETCH = 1.5  # how much longer channels may be drawn in one factor than in the other
ELLIPSIS = 0.03  # room between the two ends of an axis that is too long to be drawn whole
GAP = 0.025  # between two boxes
WORD_GAP = 0.012  # between words and their rows or columns
MAX_WORD = 0.15  # largest width of the words beside the rows

MANY_ROWS = 15  # from so many rows on words are smaller
MANY_COLUMNS = 17  # from so many on, only the column that is pointed at is named


@dataclass(frozen=True)
class TokenAxis:
    """An axis of a factor with a row or column for each token."""

    count: int


@dataclass(frozen=True)
class ChannelAxis:
    """An axis of a factor with a row or column for each channel, and what is drawn of it.

    Attributes
    ----------
    count
        Number of channels.
    first, last
        How many of the first and of the last channels are drawn; ``last`` is 0 if all are.
    pitch
        Size of a channel, in scene units.
    length
        Length of the axis on screen with the ellipsis, in scene units.
    """

    count: int
    first: int = 0
    last: int = 0
    pitch: float = 0.0
    length: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether every channel is drawn."""
        return self.last == 0


Axis = TokenAxis | ChannelAxis


@dataclass(frozen=True)
class ProductLayout:
    """Boxes and points of a product; see the top of this module.

    Attributes
    ----------
    left, top, product : Box
        The left factor, the right factor above, and the product.
    pitch
        Size of a token's row or column, in scene units.
    inner, inner_above : ChannelAxis or TokenAxis
        The axis along which is summed: across the left factor, and down the right one. Channels
        may be drawn wider in one of them, where there is more room.
    columns : ChannelAxis or TokenAxis
        The columns of the right factor and of the product.
    inner_words
        Point at which the word of each row of the right factor ends, if its rows are tokens.
    letters
        Size of the words, as a fraction of `FRAME_HEIGHT`.
    word_width
        Room for a word beside a row, in scene units; above a column it is its height.
    row_words
        Point at which the word of each row ends.
    column_words
        Point at which the word of each column begins, above it; none for columns of channels.
        Where all are named the words stand on end, else the one that is pointed at stands upright.
    names_rows, names_columns
        Whether there is room for the word of every row, and of every column. If not, only those
        that are pointed at are named.
    corner : Box
        The free room above the left factor, left of the right one.
    ellipsis
        Room between the ends of an axis that is not drawn whole, in scene units.
    """

    left: Box
    top: Box
    product: Box
    pitch: float
    inner: Axis
    inner_above: Axis
    columns: Axis
    letters: float
    word_width: float
    row_words: tuple[Point, ...]
    column_words: tuple[Point, ...]
    inner_words: tuple[Point, ...]
    names_rows: bool
    names_columns: bool
    corner: Box
    ellipsis: float

    @property
    def bounds(self) -> Box:
        """Box around everything, words included."""
        words = Box.of(
            self.left.left - self.word_width, self.product.right, self.left.bottom, self.top.top
        )
        if self.column_words and self.names_columns:
            words = Box.of(words.left, words.right, words.bottom, words.top + self.word_width)
        return words

    @property
    def word_room(self) -> float:
        """Room for a word alone, without the gap to its row or column."""
        return self.word_width - (self.left.left - self.row_words[0][0])

    @property
    def room_right(self) -> float:
        """x of the right side of the room, in whose middle the product stands."""
        return self.left.left - self.word_width + self.product.right - self.corner.left

    def of_first(self, count: int) -> tuple[Box, Box, Box]:
        """Return the boxes of left factor, right factor and product for the first tokens alone.

        Parameters
        ----------
        count
            Number of tokens that are there by now; the layout has room for those to come.
        """
        height = self.pitch * count

        def first_rows(box: Box) -> Box:
            return Box.of(box.left, box.right, box.top - height, box.top)

        def first_columns(box: Box) -> Box:
            return Box.of(box.left, box.left + height, box.bottom, box.top)

        left, top, product = first_rows(self.left), self.top, first_rows(self.product)
        if isinstance(self.inner, TokenAxis):
            left, top = first_columns(left), first_rows(top)
        if isinstance(self.columns, TokenAxis):
            top, product = first_columns(top), first_columns(product)
        return left, top, product

    def row(self, index: int) -> Box:
        """Return the box of a row, from the left factor to the end of the product."""
        top = self.product.top - self.pitch * index
        return Box.of(self.left.left, self.product.right, top - self.pitch, top)

    def column(self, index: int) -> Box:
        """Return the box of a column of tokens, from the right factor to the end of the product."""
        left = self.product.left + self.pitch * index
        return Box.of(left, left + self.pitch, self.product.bottom, self.top.top)

    def cell(self, row: int, column: int) -> Box:
        """Return the box of a cell of the product, whose columns are tokens."""
        across, down = self.column(column), self.row(row)
        return Box.of(across.left, across.right, down.bottom, down.top)


def product_layout(
    frame: Frame,
    room: Box | None = None,
    *,
    rows: int,
    inner: Axis,
    columns: Axis,
    word_length: float,
    below: float = 0.0,
    above: float = 0.0,
) -> ProductLayout:
    """Lay out a product of matrices.

    Parameters
    ----------
    frame
        The frame; all sizes follow from its shorter side.
    room
        What the product may fill, the frame's stage by default; it stands in the middle.
    rows
        Rows of the left factor and of the product: one for each token, also those to come.
    inner
        Columns of the left factor, which are the rows of the right one.
    columns
        Columns of the right factor and of the product.
    word_length
        Width of the widest word at text size 1, in scene units.
    below, above
        Room that is kept free below the product and above the right factor, in scene units.

    Examples
    --------
    Queries, keys and scores of 9 tokens with room for one more::

        product_layout(
            self.frame, rows=10, inner=ChannelAxis(64), columns=TokenAxis(10), word_length=40
        )
    """
    room = room or frame.stage
    room = Box.of(room.left, room.right, room.bottom + below, room.top - above)
    unit = frame.shorter_side
    letters = (LETTERS if rows < MANY_ROWS else MANY_LETTERS) * unit
    word_width = min(MAX_WORD * unit, letters / FRAME_HEIGHT * word_length) + WORD_GAP * unit
    gap = GAP * unit
    tokens_across = [axis.count for axis in (inner, columns) if isinstance(axis, TokenAxis)]
    tokens_down = [rows, *([inner.count] if isinstance(inner, TokenAxis) else [])]
    names_columns = isinstance(columns, TokenAxis) and columns.count < MANY_COLUMNS
    # One word that is pointed at stands upright above its column, many stand on end.
    words_above = 0.0
    if isinstance(columns, TokenAxis):
        words_above = word_width if names_columns else LINE * letters + WORD_GAP * unit

    pitch = max(LINE * letters, min(MAX_PITCH * unit, ALL_TOKENS * unit / max(rows, 1)))
    # Channels need a little room too, so tokens take no more than the rest of it.
    across, down = room.width - word_width - gap, room.height - words_above - gap
    channels_across = (not isinstance(inner, TokenAxis)) + (not isinstance(columns, TokenAxis))
    least = SMALLEST_AXIS * unit
    if tokens_across:
        pitch = min(pitch, (across - least * channels_across) / sum(tokens_across))
    down_least = 0.0 if isinstance(inner, TokenAxis) else least
    pitch = min(pitch, (down - down_least) / sum(tokens_down))
    names_rows = pitch >= LINE * letters * 0.999

    across -= pitch * sum(tokens_across)
    down -= pitch * sum(tokens_down)
    inner_above = inner
    if isinstance(inner, ChannelAxis):
        count = inner.count
        inner = channel_axis(count, across / channels_across, unit)
        inner_above = channel_axis(count, down, unit)
        # One may have more room than the other, but they still look alike.
        longest = STRETCH * min(inner.length, inner_above.length)
        inner = channel_axis(count, min(across / channels_across, longest), unit)
        inner_above = channel_axis(count, min(down, longest), unit)
        across -= inner.length
    if isinstance(columns, ChannelAxis):
        columns = channel_axis(columns.count, across, unit)

    inner_across, inner_down = _length(inner, pitch), _length(inner_above, pitch)
    width, height = _length(columns, pitch), pitch * rows
    whole_width = word_width + inner_across + gap + width
    whole_height = words_above + inner_down + gap + height
    left = room.x - whole_width / 2 + word_width
    top = room.y + whole_height / 2 - words_above
    top_box = Box.of(
        left + inner_across + gap, left + inner_across + gap + width, top - inner_down, top
    )
    product = Box.of(
        top_box.left, top_box.right, top_box.bottom - gap - height, top_box.bottom - gap
    )
    left_box = Box.of(left, left + inner_across, product.bottom, product.top)
    word_gap = WORD_GAP * unit
    return ProductLayout(
        left=left_box,
        top=top_box,
        product=product,
        pitch=pitch,
        inner=inner,
        inner_above=inner_above,
        columns=columns,
        letters=letters / FRAME_HEIGHT,
        word_width=word_width,
        row_words=row_points(left_box.left - word_gap, left_box, rows),
        column_words=column_points(top_box.top + word_gap, top_box, columns.count)
        if isinstance(columns, TokenAxis)
        else (),
        inner_words=row_points(top_box.left - word_gap, top_box, inner.count)
        if isinstance(inner, TokenAxis)
        else (),
        names_rows=names_rows,
        names_columns=names_columns and names_rows,
        corner=Box.of(room.left, top_box.left - gap, left_box.top + gap, room.top),
        ellipsis=ELLIPSIS * unit,
    )


def channel_axis(count: int, room: float, unit: float) -> ChannelAxis:
    """Return what is drawn of an axis of channels.

    Parameters
    ----------
    count
        Number of channels.
    room
        Largest length, in scene units.
    unit
        The frame's shorter side, in scene units.
    """
    pitch = min(room / count, MAX_CHANNEL * unit)
    if pitch >= MIN_CHANNEL * unit:
        return ChannelAxis(count, count, 0, pitch, pitch * count)
    pitch, dots = MIN_CHANNEL * unit, ELLIPSIS * unit
    drawn = max(2, int((room - dots) / pitch))
    first = (drawn + 1) // 2
    return ChannelAxis(count, first, drawn - first, pitch, pitch * drawn + dots)


def _length(axis: Axis, pitch: float) -> float:
    """Return the length of an axis on screen, in scene units."""
    return axis.length if isinstance(axis, ChannelAxis) else pitch * axis.count
