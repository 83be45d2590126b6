"""Parts of a scene's own, and matrices of other heads, layers and prompts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from extract.trace import Trace
from filmkit.core.errors import SceneCodeError
from filmkit.core.heatmap import Heatmap
from filmkit.core.norm import Norm
from filmkit.core.stage import beat
from filmkit.core.stage_settings import StageSettings
from filmkit.core.text import Label
from filmkit.core.view import LayerView
from filmkit.pictures.parts import Around, Matrix
from filmkit.pictures.picture import Mark
from filmkit.pictures.stage import Stage
from filmkit.pictures.tensors import head_matrix
from tests.support.staging import play
from tests.support.traces import make_trace

NUMBERS = np.arange(12.0).reshape(3, 4)


@pytest.fixture(scope="module")
def trace() -> Trace:
    return make_trace()


@pytest.fixture(scope="module")
def layer(trace: Trace) -> LayerView:
    return LayerView.of_prompt(trace, None, show_first_token=False)


class Own(Stage):
    """Each way to add a part, in one picture."""

    def prepare(self) -> None:
        self.part("numbers", Matrix(NUMBERS, name="my numbers"))
        self.part("panel", Heatmap(NUMBERS))
        self.part("made", lambda: Label("made anew"))
        self.part("absent", None)

    @beat
    def all_of_them(self) -> None:
        """These are numbers of my own."""
        self.show("numbers panel made absent")

    @beat
    def again(self) -> None:
        """And once more."""
        self.show("panel")


def test_matrices_mobjects_and_functions_are_parts(trace: Trace) -> None:
    both, one = play(Own, trace)
    assert {text.text for text in both.texts} >= {"my numbers", "made anew"}
    assert [len(both.panels), len(one.panels)] == [2, 1]


@pytest.mark.parametrize("wrong", [NUMBERS, "words", 3])
def test_anything_else_is_refused(wrong: object, trace: Trace) -> None:
    stage = Own(trace, StageSettings())
    message = rf"the part 'x' cannot be a {type(wrong).__name__}; take Matrix\(numbers\)"
    with pytest.raises(SceneCodeError, match=message):
        stage.part("x", wrong)


def test_a_matrix_needs_no_more_than_numbers() -> None:
    matrix = Matrix([[0, 1], [2, 4]])  # type: ignore[arg-type]
    assert matrix.values.dtype == np.float64
    assert matrix.scale == Norm.of_values(matrix.values)
    assert matrix.source.part((0, 1), (0, 1)) == matrix.source


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (0, 3)])
def test_numbers_without_rows_and_columns_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SceneCodeError, match="a Matrix takes rows and columns of numbers"):
        Matrix(np.zeros(shape))


def test_words_that_do_not_fit_are_refused() -> None:
    with pytest.raises(SceneCodeError, match=r"3 tokens along an axis, and 4 words.*columns="):
        Matrix(NUMBERS, words=("a", "b", "c", "d")).size(Around())
    Matrix(NUMBERS, rows="head", words=("a", "b", "c", "d")).size(Around())


def test_marks_take_the_numbers_of_numpy() -> None:
    mark = Mark("numbers", row=NUMBERS.argmax())  # type: ignore[arg-type]
    assert type(mark.row) is int


class Heads(Stage):
    """Two heads, and weights of one."""

    @beat
    def compare(self) -> None:
        """Two heads."""
        self.show("pattern[0] pattern[1] W_Q[1] X[1] pattern")


def test_titles_tell_heads_with_a_number_apart(trace: Trace) -> None:
    (picture,) = play(Heads, trace)
    titles = ["head 0: pattern", "head 1: pattern", "head 1", "input", "pattern"]
    assert [text.text for text in picture.texts if text.text in titles] == titles


class Prompts(Stage):
    """Two matrices with the same words, and one with others."""

    def prepare(self) -> None:
        pattern = head_matrix(self.head, "pattern")
        assert pattern is not None
        self.part("other", replace(pattern, words=[f"w{i}" for i in range(self.layer.count)]))

    @beat
    def side_by_side(self) -> None:
        """Two prompts."""
        self.show("pattern scores other")


def test_words_of_another_prompt_stand_at_its_part(trace: Trace, layer: LayerView) -> None:
    (picture,) = play(Prompts, trace)
    texts = [text.text for text in picture.texts]
    assert [texts.count(f"w{i}") for i in range(layer.count)] == [2] * layer.count
    assert texts.count(layer.words[-1].strip()) == 3  # beside the first, and above two


def test_matrices_of_other_layers_are_parts(trace: Trace, layer: LayerView) -> None:
    other = layer.at(1 - layer.layer)
    matrix = head_matrix(other.head(0), "pattern")
    assert matrix is not None
    drawn = slice(layer.first, layer.stop)
    assert np.allclose(matrix.values, trace.get("pattern", other.layer)[0, drawn, drawn])


def test_matrices_have_another_title(layer: LayerView) -> None:
    plain, titled = (head_matrix(layer.head(0), "pattern", title=t) for t in ("", "in layer 0"))
    assert plain is not None
    assert titled is not None
    assert (plain.name, plain.symbol) == ("pattern", "A")
    assert (titled.name, titled.symbol, titled.source) == ("in layer 0", "", plain.source)
    assert head_matrix(layer.head(0), "C", title="a latent") is None  # this model has none


def test_layers_and_matrices_that_there_are_not_are_named(trace: Trace, layer: LayerView) -> None:
    count = trace.meta.n_layers
    with pytest.raises(SceneCodeError, match=f"has no layer {count}; its layers are 0 to"):
        layer.at(count)
    with pytest.raises(SceneCodeError, match="no matrix 'patern'; take one of X, C, Q"):
        head_matrix(layer.head(0), "patern")
