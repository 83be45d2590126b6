"""The whole picture of one attention head, every part by its name."""

from __future__ import annotations

from manim import Dot, Group, RoundedRectangle, VGroup

from filmkit.core.geometry import FRAME_HEIGHT, Box, Frame
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import TensorSource
from filmkit.core.printable import printable
from filmkit.core.text import Label
from filmkit.core.theme import current_theme
from filmkit.core.view import HeadView
from filmkit.mobjects.flow import WeightBox, Wire
from filmkit.mobjects.head_layout import HeadLayout, head_layout
from filmkit.mobjects.marks import FILL, TokenLabels, size_beside
from filmkit.mobjects.panel import Header, Panel, Truncated

__all__ = ["HeadPicture", "head_cells"]

MAX_WORD = 1.45  # scene units; longer words are set smaller and then shortened
SOFTMAX_NAMES = {2: ("scale, mask,", "softmax"), 3: ("scale,", "mask,", "softmax")}
# Words at the pattern that can be read by a near camera only: their size from and to, in rows, and
# the longest of them, in units of their size. In a frame that is not wide they would take from
# the pattern's width.
FAR_WIDE, FAR_NARROW = (FILL, FILL, 46.0), (0.6, 0.965, 28.0)
MIN_FAR = 0.52  # its size, as a part of the least that can be read from afar
ROUNDS = 12  # of halving, to find a size
WORD_SHARE = 0.13  # and no longer than this part of the frame's width


class HeadPicture(Group):
    """X, queries, keys, values, scores, pattern and z of one head, with words and flow lines.

    Rows are queries and columns are keys in scores and pattern. Parts are attributes; nothing is
    added to a scene by itself, so a scene can bring them in one after another or all at once.

    Parameters
    ----------
    view
        Whose numbers.
    frame
        The frame to fill.
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

        # Queries and keys carry the values that enter the scores; a scene that shows the
        # rotation sets the ones before it first.
        head, kv_head = view.head, view.kv_head
        self.q = Panel(
            view.q_used,
            layer.norm("q"),
            layout.q,
            name="queries",
            symbol="Q",
            colour=theme.query,
            source=layer.source(view.used("q"), head, (0, meta.d_qk)),
        )
        self.k = Panel(
            view.k_used,
            layer.norm("k"),
            layout.k,
            name="keys",
            symbol="K",
            colour=theme.key,
            source=layer.source(view.used("k"), kv_head, (0, meta.d_qk)),
        )
        self.v = Panel(
            view.v,
            layer.norm("v"),
            layout.v,
            name="values",
            symbol="V",
            colour=theme.value,
            source=layer.source("v", kv_head, (0, meta.d_v)),
        )
        self.k_t = Panel(
            view.k_used.T,
            layer.norm("k"),
            layout.k_t,
            symbol="K^top",
            colour=theme.key,
            align="center",
            show_shape=False,
            source=layer.source(view.used("k"), kv_head, (0, meta.d_qk), transposed=True),
        )
        self.scores = Panel(
            view.scores,
            layer.scores_norm,
            layout.scores,
            name="scores",
            align="center",
            show_shape=False,
            source=layer.computed(f"scaled scores of head {head}", "key_pos"),
            masked=view.future,
        )
        span = (layer.first, layer.stop)
        self.pattern = Panel(
            view.pattern,
            layer.norm("pattern"),
            layout.pattern,
            masked=view.future,
            show_shape=False,
            source=TensorSource(layer.trace.key("pattern", layer.layer), index=(head, span, span)),
        )
        self.pattern_title = Header("pattern", "A", view.pattern.shape, colour=theme.pattern)
        if self.pattern_title.width > layout.title_room:
            # The tokens are counted beside queries and keys.
            self.pattern_title = Header("pattern", "A", colour=theme.pattern)
        x, y = layout.title_point(self.pattern_title.width, self.k_t.header.line)
        self.pattern_title.set_line(y).set_x(x)
        self.pattern_rows = TokenLabels(
            words, layout.pattern_rows, width=layout.pattern_word, size=size
        )
        self.pattern_columns = TokenLabels(
            words, layout.pattern_columns, width=layout.pattern_word, size=size, upright=True
        )
        # Words at the pattern of a long prompt can only be read from close by.
        self.far_words = Group(self.pattern_rows, self.pattern_columns)
        self.words_carry = size >= theme.least_size
        self.z = Panel(
            view.z,
            layer.norm("z"),
            layout.z,
            name="mix",
            symbol="Z",
            colour=theme.z,
            source=layer.source("z", head, (0, meta.d_v)),
        )
        self._add_flow(meta.d_model, meta.d_qk, meta.d_v)
        self.border = RoundedRectangle(
            width=layout.border.width,
            height=layout.border.height,
            corner_radius=0.22,
            stroke_color=theme.flow,
            stroke_width=theme.line,
            fill_opacity=0.0,
        ).move_to(layout.border.center)

    def show_rotated(self, rotated: bool) -> None:
        """Show queries and keys as they enter the scores, or before their rotation."""
        layer, d_qk = self.view.layer, self.view.layer.trace.meta.d_qk
        for panel, name, head in ((self.q, "q", self.view.head), (self.k, "k", self.view.kv_head)):
            tensor = self.view.used(name) if rotated else name
            panel.cells.set_values(layer.rows(tensor)[:, head])
            panel.cells.source = layer.source(tensor, head, (0, d_qk))

    def _add_flow(self, d_model: int, d_qk: int, d_v: int) -> None:
        theme, s = current_theme(), self.layout
        layer = self.view.layer
        boxes = []
        for letter, width, box, colour in (
            ("Q", d_qk, s.w_q, theme.query),
            ("K", d_qk, s.w_k, theme.key),
            ("V", d_v, s.w_v, theme.value),
        ):
            notes = ["+ bias"] if layer.trace.has(f"b_{letter}", layer.layer) else []
            if layer.trace.rotates and letter != "V":
                notes.append("rotated")
            boxes.append(
                WeightBox(f"W_{letter}", (d_model, width), box, colour=colour, notes=notes)
            )
        self.w_q, self.w_k, self.w_v = boxes
        # Only pictures that show the rotated rows say so.
        self.rotations = VGroup()
        if layer.trace.rotates:
            self.rotations.add(*(weight.lines[-1] for weight in boxes[:2]))

        def through(box: Box) -> VGroup:
            arriving = Wire(s.to_weight(box), arrow=False)
            return VGroup(arriving, Wire([(box.right, box.y), (s.q.left - 0.06, box.y)]))

        self.to_q, self.to_k, self.to_v = (through(w) for w in (s.w_q, s.w_k, s.w_v))
        self.k_to_k_t = Wire(s.k_to_k_t)
        self.q_to_k_t = Wire(s.q_to_k_t, arrow=False)
        self.k_t_to_scores = Wire(s.k_t_to_scores)
        self.softmax = Wire(s.to_pattern)
        self.softmax_name = VGroup(
            *(
                Label(line, size=theme.note_size, colour=theme.muted)
                for line in SOFTMAX_NAMES[s.softmax_lines]
            )
        )
        points = s.softmax_points([line.width for line in self.softmax_name])
        for line, (x, y) in zip(self.softmax_name, points, strict=True):
            line.move_to([x, y, 0])
        self.v_to_z = Wire(s.v_to_z)
        self.pattern_to_z = Wire(s.pattern_to_z, arrow=False)
        self.product_dot = Dot([*s.joint, 0], radius=0.055, color=theme.flow)

    @property
    def query_side(self) -> Group:
        """What makes queries and keys from X."""
        return Group(self.w_q, self.w_k, self.to_q, self.to_k)

    @property
    def score_side(self) -> Group:
        """Queries, keys and scores, with the lines between them."""
        panels = (self.q, self.k, self.k_t, self.scores)
        return Group(*panels, self.k_to_k_t, self.q_to_k_t, self.k_t_to_scores)


def head_cells(view: HeadView, name: str, box: Box) -> Heatmap:
    """One matrix of a head, by its name in :class:`HeadPicture`, as a heatmap that fills a box.

    Queries and keys are those that enter the scores.
    """
    layer, meta = view.layer, view.layer.trace.meta
    head, kv_head, span = view.head, view.kv_head, (layer.first, layer.stop)
    values, family, source = {
        "q": (view.q_used, "q", layer.source(view.used("q"), head, (0, meta.d_qk))),
        "k": (view.k_used, "k", layer.source(view.used("k"), kv_head, (0, meta.d_qk))),
        "k_t": (
            view.k_used.T,
            "k",
            layer.source(view.used("k"), kv_head, (0, meta.d_qk), transposed=True),
        ),
        "v": (view.v, "v", layer.source("v", kv_head, (0, meta.d_v))),
        "scores": (
            view.scores,
            "scores",
            layer.computed(f"scaled scores of head {head}", "key_pos"),
        ),
        "pattern": (
            view.pattern,
            "pattern",
            TensorSource(layer.trace.key("pattern", layer.layer), index=(head, span, span)),
        ),
        "z": (view.z, "z", layer.source("z", head, (0, meta.d_v))),
    }[name]
    norm = layer.scores_norm if family == "scores" else layer.norm(family)
    masked = view.future if name in {"scores", "pattern"} else None
    cells = Heatmap(values, norm, width=box.width, height=box.height, masked=masked, source=source)
    return cells.place(box)


def _layout(view: HeadView, frame: Frame) -> tuple[HeadLayout, float]:
    """The slots of a head, and the size of the words at its pattern."""
    theme, meta, count = current_theme(), view.layer.trace.meta, view.layer.count
    most = min(MAX_WORD, WORD_SHARE * frame.width)
    longest = max(Label(printable(word), size=1.0).width for word in view.layer.words)

    low_fill, high_fill, far_longest = FAR_WIDE if frame.wide else FAR_NARROW

    def with_words(size: float) -> HeadLayout:
        words = min(longest, far_longest) if size < theme.least_size else longest
        return head_layout(
            frame,
            count=count,
            d_model=meta.d_model,
            d_head=max(meta.d_qk, meta.d_v),
            word_width=min(most, theme.shape_size * longest),
            pattern_word=min(most, size * words),
        )

    def fits(size: float) -> bool:
        row = with_words(size).pattern.height / count / FRAME_HEIGHT
        if size >= theme.least_size:
            return size <= FILL * row
        return size <= min(high_fill * row, max(low_fill * row, MIN_FAR * theme.least_size))

    def largest(low: float, high: float) -> float:
        """The largest size that fits; what longer words take, the pattern's rows lack."""
        for _ in range(ROUNDS):
            middle = (low + high) / 2
            low, high = (middle, high) if fits(middle) else (low, middle)
        return low

    least, most_size = theme.least_size, theme.note_size
    if fits(most_size):
        size = most_size
    else:
        size = largest(least, most_size) if fits(least) else largest(0.0, least)
    return with_words(size), size
