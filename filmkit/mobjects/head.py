"""The picture of one attention head, from its input to z, every part by its name."""

from __future__ import annotations

from typing import Any

from manim import Dot, Group, RoundedRectangle, VGroup

from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.language import N_, _
from filmkit.core.printable import printable
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.flow import WeightBox, Wire
from filmkit.mobjects.head_layout import HeadLayout, head_layout
from filmkit.mobjects.head_tensors import head_tensor
from filmkit.mobjects.marks import FILL, TokenLabels, size_beside
from filmkit.mobjects.panel import Header, Panel, Truncated

__all__ = ["HeadPicture"]

MAX_WORD = 1.45  # width in scene units; longer words are set smaller and then shortened
SOFTMAX_NAMES = {2: N_("scale, mask,\nsoftmax"), 3: N_("scale,\nmask,\nsoftmax")}
# Words beside the pattern of a long prompt are so small that they can be read in a close-up only.
# (minimum size, maximum size, maximum length): sizes as shares of the pattern's row, length in
# units of the size. In a frame that is not wide, long words would make the pattern narrower.
SMALL_WORDS_WIDE, SMALL_WORDS_NARROW = (FILL, FILL, 46.0), (0.6, 0.965, 28.0)
MIN_SMALL_WORDS = 0.52  # their minimum size, as a share of the theme's ``min_text_size``
EDGE = 0.1  # between the border of a head and a name inside, in scene units
ROUNDS = 12  # steps of the bisection that finds a size
WORD_SHARE = 0.13  # maximum width of a word, as a share of the frame's width


class HeadPicture(Group):
    """X, queries, keys, values, scores, pattern and z of one head, with words and lines.

    In scores and pattern rows are queries and columns are keys. All parts are attributes, and the
    group itself is empty: a scene adds the parts it shows, one after another or at once.

    Parameters
    ----------
    view
        The head.
    frame
        The frame to fill.

    Attributes
    ----------
    x : Truncated
        The input, of which the first and last columns are drawn; ``x_words`` are its words.
    q, k, v, k_t, scores, pattern, z : Panel
        Heatmap (``.cells``) and header (``.header``) of each matrix; ``k_t`` is K transposed.
    pattern_title, pattern_words
        Header of the pattern, and the words at its rows and columns.
    pattern_words_readable
        Whether these words are large enough for the full picture, not only for a close-up.
    w_q, w_k, w_v : WeightBox
        Weights between X and queries, keys and values.
    to_q, to_k, to_v, k_to_k_t, q_to_k_t, k_t_to_scores, softmax, v_to_z, pattern_to_z
        Lines between the parts.
    softmax_name
        The words beside the line ``softmax``.
    product_dot
        The dot where the pattern meets the values.
    border
        Outline around the head; X is outside.
    layout : HeadLayout
        Where everything is.

    Examples
    --------
    ::

        picture = HeadPicture(self.head, self.frame)
        self.play(Appear(picture))
        self.play(Reveal(picture.pattern.cells, in_rows(picture.pattern.cells.shape)))
    """

    def __init__(self, view: HeadView, frame: Frame) -> None:
        super().__init__()
        theme = current_theme()
        layer, meta = view.layer, view.layer.trace.meta
        words = layer.words
        self.view = view
        layout, size = _layout(view, frame)
        self.layout = layout

        first, last = layout.x_columns
        self.x = Truncated(
            layer.rows("x"),
            layer.norm("x"),
            layout.x,
            first=first,
            last=last,
            symbol="X",
            source=layer.source("x", (0, meta.d_model)),
        )
        self.x.header.stand_on(layout.x, align=layout.x_align)
        size_x = size_beside(layout.x.height / layer.count)
        self.x_words = TokenLabels(words, layout.x_words, width=layout.word_width, size=size_x)

        # Queries and keys are shown as used in the scores.
        def panel(tensor: str, **kwargs: Any) -> Panel:
            return head_tensor(view, tensor).panel(getattr(layout, tensor), **kwargs)

        self.q, self.k, self.v, self.z = map(panel, ("q", "k", "v", "z"))
        self.k_t = panel("k_t", name="", align="center", show_shape=False)
        self.scores = panel("scores", align="center", show_shape=False)
        # In a narrow frame the names of queries would run into K transposed.
        beside, names = self.k_t.header, self.q.header
        if abs(beside.line - names.line) < beside.height and names.get_x() < beside.get_x():
            names.fit(beside.get_left()[0] - names.get_left()[0])
        # The name of a narrow z would leave the frame.
        header = self.z.header
        header.fit(layout.border.right - EDGE - header.get_left()[0])
        # K transposed has its name on the line of the queries'.
        header = self.q.header
        header.fit(self.k_t.header.get_left()[0] - EDGE - header.get_left()[0])
        # Its header stands apart from it.
        name = head_tensor(view, "pattern").name
        self.pattern = panel("pattern", name="", symbol="", show_shape=False)
        self.pattern_title = Header(name, "A", view.pattern.shape, colour=theme.pattern)
        if self.pattern_title.width > layout.title_room:
            # Without its shape: the number of tokens is also in the headers of queries and keys.
            self.pattern_title = Header(name, "A", colour=theme.pattern)
        x, y = layout.title_point(self.pattern_title.width, self.k_t.header.line)
        self.pattern_title.set_line(y).set_x(x)
        self.pattern_rows = TokenLabels(
            words, layout.pattern_rows, width=layout.pattern_word, size=size
        )
        self.pattern_columns = TokenLabels(
            words, layout.pattern_columns, width=layout.pattern_word, size=size, vertical=True
        )
        # The words at the pattern of a long prompt can be read in a close-up only.
        self.pattern_words = Group(self.pattern_rows, self.pattern_columns)
        self.pattern_words_readable = size >= theme.min_text_size
        self._add_flow(meta.d_model, meta.d_qk, meta.d_v)
        self.border = RoundedRectangle(
            width=layout.border.width,
            height=layout.border.height,
            corner_radius=0.22,
            stroke_color=theme.flow,
            stroke_width=theme.line,
            fill_opacity=0.0,
        ).move_to(layout.border.center)

    def _add_flow(self, d_model: int, d_qk: int, d_v: int) -> None:
        """Make weights and lines."""
        theme, layout = current_theme(), self.layout
        layer = self.view.layer
        boxes = []
        for letter, width, box, colour in (
            ("Q", d_qk, layout.w_q, theme.query),
            ("K", d_qk, layout.w_k, theme.key),
            ("V", d_v, layout.w_v, theme.value),
        ):
            notes = [_("+ bias")] if layer.trace.has(f"b_{letter}", layer.layer) else []
            if layer.trace.meta.qk_norm is not None and letter != "V":
                notes.append(_("normalised"))
            if layer.trace.rotates and letter != "V":
                notes.append(_("rotated"))
            formula, shape = f"W_{letter}", (d_model, width)
            up = f"W_U{letter}"
            if layer.trace.meta.attention == "mla" and layer.trace.has(up, layer.layer):
                # Queries, keys or values come from a latent, which has no panel here.
                rank, _heads, made = layer.trace.weights(up, layer.layer).shape
                formula, shape = f'W_"U{letter}"', (rank, made)
                notes.insert(0, _("via a latent"))
            boxes.append(WeightBox(formula, shape, box, colour=colour, notes=notes))
        self.w_q, self.w_k, self.w_v = boxes

        def through(box: Box) -> VGroup:
            arriving = Wire(layout.to_weight(box), arrow=False)
            return VGroup(arriving, Wire([(box.right, box.y), (layout.q.left - 0.06, box.y)]))

        self.to_q, self.to_k, self.to_v = (through(w) for w in (layout.w_q, layout.w_k, layout.w_v))
        self.k_to_k_t = Wire(layout.k_to_k_t)
        self.q_to_k_t = Wire(layout.q_to_k_t, arrow=False)
        self.k_t_to_scores = Wire(layout.k_t_to_scores)
        self.softmax = Wire(layout.to_pattern)
        self.softmax_name = VGroup(
            *(
                Label(line, size=theme.note_size, colour=theme.muted)
                for line in _(SOFTMAX_NAMES[layout.softmax_lines]).split("\n")
            )
        )
        points = layout.softmax_points([line.width for line in self.softmax_name])
        for line, (x, y) in zip(self.softmax_name, points, strict=True):
            line.move_to([x, y, 0])
        self.v_to_z = Wire(layout.v_to_z)
        self.pattern_to_z = Wire(layout.pattern_to_z, arrow=False)
        self.product_dot = Dot([*layout.joint, 0], radius=0.055, color=theme.flow)


def _layout(view: HeadView, frame: Frame) -> tuple[HeadLayout, float]:
    """Return the layout of a head, and the text size of the words at its pattern.

    That size is the largest, up to the theme's ``note_size``, at which words fit beside the rows
    of the pattern. Larger words leave less room for the pattern, so it is found by bisection.
    """
    theme, meta, count = current_theme(), view.layer.trace.meta, view.layer.count
    max_width = min(MAX_WORD, WORD_SHARE * frame.width)
    longest = max(Label(printable(word), size=1.0).width for word in view.layer.words)

    low_fill, high_fill, max_length = SMALL_WORDS_WIDE if frame.wide else SMALL_WORDS_NARROW

    def with_words(size: float) -> HeadLayout:
        length = min(longest, max_length) if size < theme.min_text_size else longest
        return head_layout(
            frame,
            count=count,
            d_model=meta.d_model,
            d_head=max(meta.d_qk, meta.d_v),
            word_width=min(max_width, theme.shape_size * longest),
            pattern_word=min(max_width, size * length),
        )

    def fits(size: float) -> bool:
        row = with_words(size).pattern.height / count / FRAME_HEIGHT
        if size >= theme.min_text_size:
            return size <= FILL * row
        minimum = MIN_SMALL_WORDS * theme.min_text_size
        return size <= min(high_fill * row, max(low_fill * row, minimum))

    def largest(low: float, high: float) -> float:
        """Return the largest size in the range that fits."""
        for _round in range(ROUNDS):
            middle = (low + high) / 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    minimum, maximum = theme.min_text_size, theme.note_size
    if fits(maximum):
        size = maximum
    else:
        size = largest(minimum, maximum) if fits(minimum) else largest(0.0, minimum)
    return with_words(size), size
