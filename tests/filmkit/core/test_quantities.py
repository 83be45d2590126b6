"""Quantities: what computed panels show is called by its name and computed again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from extract.trace import Trace
from filmkit.core.errors import SceneCodeError, StageError
from filmkit.core.heatmap import Heatmap
from filmkit.core.language import use_language
from filmkit.core.norm import Norm, TensorSource
from filmkit.core.quantities import (
    EACH_PAIR,
    QUANTITIES,
    PanelCheck,
    Quantity,
    cells_of,
    described,
    place_of,
    quantity,
)
from filmkit.core.view import LayerView
from filmkit.mobjects.marks import ColourBar
from filmkit.pictures.latent_view import LatentView
from filmkit.pictures.shared_view import SharedView
from filmkit.pictures.tensors import OF_HEAD, head_tensor
from tests.support.latents import with_latent
from tests.support.traces import make_trace

KINDS = {
    "rotary": {"n_heads": 6, "n_kv_heads": 3, "d_head": 16, "positions": "rotary"},
    "biases": {"n_heads": 4, "d_head": 16, "biases": True},
    "a penalty for distance": {"n_heads": 4, "d_head": 16, "positions": "alibi"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_panels_of_heads_are_what_their_sources_compute(kind: str) -> None:
    trace = with_latent(**KINDS[kind])
    layer = LayerView.of_prompt(trace, None, show_first_token=False)
    check, latent = PanelCheck(trace), LatentView.of(layer)
    shared = SharedView.of(layer, 1)
    matrices = [*latent.head(1).naive.values(), *latent.head(1).absorbed.values(), latent.latent]
    matrices += [shared.set_of("k", 0), shared.set_of("v", 0)]
    matrices += [shared.pattern(1), shared.difference(1)]
    matrices += [head_tensor(layer.head(1), name) for name in OF_HEAD.values()]
    for matrix in matrices:
        values, source = matrix.values, matrix.source
        assert check.untrue(Heatmap(values, source=source)) == "", source
        other = values * np.linspace(1, 1.001, values.size).reshape(values.shape)
        assert "shows other numbers" in check.untrue(Heatmap(other, source=source)), source


def test_a_panel_of_another_shape_is_untrue() -> None:
    trace = make_trace()
    layer = LayerView.of_prompt(trace, None, show_first_token=False)
    found = PanelCheck(trace).untrue(
        Heatmap(np.ones((2, 2)), source=layer.computed("scores", head=0))
    )
    assert "its panel (2, 2)" in found


def test_numbers_of_ones_own_are_not_checked() -> None:
    check = PanelCheck(make_trace())
    for source in (None, TensorSource(expression="mine"), TensorSource("q.0", model="unknown")):
        assert check.untrue(Heatmap(np.ones((2, 2)), source=source)) == ""


def test_a_colour_bar_runs_evenly_through_its_norm() -> None:
    check, norm = PanelCheck(make_trace()), Norm.unit()
    bar = ColourBar(norm, "scores", Heatmap([[1.0]]).box).bar
    assert check.untrue(bar) == ""
    assert described(bar.source) == "colour scale of scores"
    assert check.untrue(bar.set_values(bar.values[:, ::-1]))


def test_a_part_of_what_is_computed_is_a_part_of_its_cells() -> None:
    trace = make_trace(d_head=16)
    layer = LayerView.of_prompt(trace, None, show_first_token=False)
    whole = layer.computed("scores", head=2)
    part = whole.part((1, 3), (0, 2))
    np.testing.assert_array_equal(cells_of(trace, part), cells_of(trace, whole)[1:3, :2])
    turned = replace(part, transposed=True)
    np.testing.assert_array_equal(cells_of(trace, turned), cells_of(trace, part).T)


def test_what_is_computed_is_said_with_its_place() -> None:
    layer = LayerView.of_prompt(make_trace(), None, show_first_token=False)
    source = layer.computed("latent_keys", 16, kv_head=1)
    assert described(source) == "keys of layer 1, key/value head 1 from the latent"
    assert described(replace(source, transposed=True)).startswith("transposed keys of layer 1")
    assert described(TensorSource("q.1")) == ""
    assert described(TensorSource("q.1", model="GPT-2")) == "q.1 of GPT-2"
    with use_language("fr"):
        assert described(layer.computed("scores", head=2)) == (
            "scores mis à l’échelle (couche 1, tête 2)"
        )


def test_layers_and_heads_are_those_of_the_source() -> None:
    trace = make_trace(n_heads=4, n_kv_heads=2)
    layer = LayerView.of_prompt(trace, None, show_first_token=False)
    for source, layers, heads in (
        (layer.source("k", 1, (0, 4)), (1,), (1,)),
        (layer.source("x", (0, 4)), (1,), ()),
        (layer.computed("shared_keys", 4, heads=(0, 3)), (1,), (0, 1, 2, 3)),
        (TensorSource("pattern.0", index=((0, 4), 3, (0, 2))), (0,), (0, 1, 2, 3)),
    ):
        place = place_of(trace, source)
        assert (place.layers, place.heads) == (layers, heads)


def test_an_unknown_quantity_is_refused_with_the_mend() -> None:
    layer = LayerView.of_prompt(make_trace(), None, show_first_token=False)
    with pytest.raises(SceneCodeError, match="no quantity 'scaled scores'; write @quantity"):
        layer.computed("scaled scores")


def test_a_quantity_of_ones_own_is_named_and_checked() -> None:
    @quantity("mean of all patterns", axes=("query_pos", "key_pos"))
    def mean_pattern(trace, layer):
        return trace.get("pattern", layer).mean(axis=0)

    try:
        trace = make_trace()
        layer = LayerView.of_prompt(trace, None, show_first_token=False)
        source = layer.computed("mean_pattern")
        values = trace["pattern.1"].mean(axis=0)[1:10, 1:10]
        assert PanelCheck(trace).untrue(Heatmap(values, source=source)) == ""
        assert described(source) == "mean of all patterns of layer 1"
    finally:
        del QUANTITIES["mean_pattern"]


def test_a_quantity_may_have_columns_that_are_no_positions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def value_norm(trace: Trace, layer: int) -> npt.NDArray[np.float64]:
        return np.linalg.norm(trace.get("v", layer)[:, 0], axis=-1, keepdims=True)

    found = Quantity("norm of values", "", ("pos", "norm"), value_norm)
    monkeypatch.setitem(QUANTITIES, "value_norm", found)
    trace = make_trace()
    layer = LayerView.of_prompt(trace, 1, show_first_token=False)
    norms = cells_of(trace, layer.computed("value_norm"))
    np.testing.assert_allclose(norms[:, 0], np.linalg.norm(trace.get("v", 1)[1:10, 0], axis=-1))


@pytest.fixture
def of_axes(monkeypatch: pytest.MonkeyPatch) -> Callable[..., LayerView]:
    """Return a function that makes `mine` a quantity, and returns a layer of the trace."""

    def add(axes: tuple[str, ...], compute: Callable[..., npt.NDArray[np.float64]]) -> LayerView:
        monkeypatch.setitem(QUANTITIES, "mine", Quantity("mine", "", axes, compute))
        trace = make_trace(n_layers=3, n_heads=4, n_tokens=9)
        return LayerView.of_prompt(trace, 1, show_first_token=False)

    return add


def of_all_heads(trace: Trace, size: float = 1.0) -> npt.NDArray[np.float64]:
    """Return a number for each head (down) of each layer (across)."""
    meta = trace.meta
    return size * np.arange(meta.n_heads * meta.n_layers).reshape(meta.n_heads, -1)


def test_only_axes_that_are_positions_are_cut(of_axes: Callable[..., LayerView]) -> None:
    layer = of_axes(("head", "layer"), of_all_heads)
    source = layer.computed("mine", size=2.0)
    np.testing.assert_array_equal(cells_of(layer.trace, source), of_all_heads(layer.trace, 2.0))
    assert source.given == (("size", 2.0),)
    place = place_of(layer.trace, source)
    assert (place.layers, place.heads) == ((0, 1, 2), (0, 1, 2, 3))
    assert place_of(layer.trace, source.part((1, 2), (2, 3))).words() == "layer 2, head 1"


@pytest.mark.parametrize("axes", [("key", "head"), ("token", "head"), ("pos", "n_heads")])
def test_axes_have_plain_names_too(
    axes: tuple[str, str], of_axes: Callable[..., LayerView]
) -> None:
    def given(trace: Trace, layer: int) -> npt.NDArray[np.float64]:
        return trace.get("pattern", layer)[:, -1].T

    layer = of_axes(axes, given)
    drawn = given(layer.trace, 1)[layer.first : layer.stop]
    np.testing.assert_allclose(cells_of(layer.trace, layer.computed("mine")), drawn)
    turned = of_axes(axes[::-1], lambda trace, layer: given(trace, layer).T)
    np.testing.assert_allclose(cells_of(layer.trace, turned.computed("mine")), drawn.T)


@pytest.mark.parametrize(
    ("axes", "compute", "given", "message"),
    [
        (("head", "layer"), of_all_heads, {"siez": 2}, r"an unexpected keyword argument 'siez'"),
        (("pos", "d_v"), lambda trace, layer, head: 0, {}, "missing a required argument: 'head'"),
        (
            ("pos", "head", "d_v"),
            of_all_heads,
            {},
            "the axes of the quantity mine are pos, n_heads",
        ),
        (
            ("pos",),
            of_all_heads,
            {},
            r"rows and columns, and the axes of the quantity mine are pos",
        ),
        (("head", "d_v"), lambda trace: np.zeros((4, 3, 2)), {}, "names the axes .* one for each"),
        (EACH_PAIR, lambda trace: np.zeros((8, 8)), {}, r"cells 1 to 9 .* return it for all"),
    ],
)
def test_calls_that_make_no_sense_are_refused(
    axes: tuple[str, ...],
    compute: Callable[..., npt.NDArray[np.float64]],
    given: dict[str, int],
    message: str,
    of_axes: Callable[..., LayerView],
) -> None:
    layer = of_axes(axes, compute)
    with pytest.raises(StageError, match=message):
        cells_of(layer.trace, layer.computed("mine", **given))


def test_what_is_no_quantity_is_refused() -> None:
    def scores(trace: Trace, layer: int) -> npt.NDArray[np.float64]:
        raise AssertionError

    with pytest.raises(SceneCodeError, match="a quantity scores already; give the function"):
        quantity("scores of mine", axes=("query_pos", "key_pos"))(scores)

    def of_tokens(trace: Trace, layer: int) -> npt.NDArray[np.float64]:
        return np.zeros(10)

    flat = Quantity("flat", "", ("pos", "one"), of_tokens)
    with pytest.raises(
        SceneCodeError, match=r"of_tokens returns an array of shape \(10,\)"
    ) as error:
        flat.of(make_trace(), layer=0)
    assert error.value.place.startswith("test_quantities.py line ")
