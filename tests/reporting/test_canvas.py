"""The canvas that sets a line of text once draws what matplotlib's own canvas draws."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from influbayes.reporting.canvas import LineCanvas, LineRenderer, set_line
from influbayes.reporting.plots_style import drawing_style


def draw_ink(canvas_class, *texts):
    """Return how dark every pixel is, (rows, columns), 0 to 255, in a picture of texts."""
    with drawing_style():
        figure = Figure(figsize=(4, 4), dpi=150, facecolor="white")
        for words in texts:
            figure.text(**words)
        canvas = canvas_class(figure)
        canvas.draw()
        return 255.0 - np.asarray(canvas.buffer_rgba())[..., :3].mean(axis=2)


def find_centre(ink):
    rows, columns = np.indices(ink.shape)
    return np.array([(rows * ink).sum(), (columns * ink).sum()]) / ink.sum()


@pytest.mark.parametrize("angle", [0, 90])
@pytest.mark.parametrize("words", ["Conversions, gjpq", "0.25 %", "Ä \u2212 \u00d7", "Tier\nRegion"])
@pytest.mark.parametrize("look", [{}, {"weight": "bold", "size": 13}, {"va": "top", "ha": "right", "color": "#0072B2"}])
def test_text_lies_where_matplotlib_puts_it_to_within_a_pixel(angle, words, look):
    rng = np.random.default_rng(20260101)
    for x, y in rng.uniform(0.4, 0.6, (5, 2)):
        text = {"x": x, "y": y, "s": words, "rotation": angle, **look}
        theirs, ours = draw_ink(FigureCanvasAgg, text), draw_ink(LineCanvas, text)
        assert ours.sum() == pytest.approx(theirs.sum(), rel=0.005)
        assert np.abs(find_centre(ours) - find_centre(theirs)).max() < 0.75


@pytest.mark.parametrize(
    "look",
    [{"rotation": 30}, {"s": "$x^2$"}, {"color": (0, 0, 1, 0.5)}],
    ids=["slanted", "mathematics", "a colour one sees through"],
)
def test_what_it_does_not_set_itself_is_matplotlibs_pixel_for_pixel(look):
    text = {"x": 0.3, "y": 0.4, "s": "Micro", **look}
    assert np.array_equal(draw_ink(LineCanvas, text), draw_ink(FigureCanvasAgg, text))


def test_half_seen_text_is_as_dark_as_matplotlibs():
    text = {"x": 0.3, "y": 0.4, "s": "Micro", "alpha": 0.3}
    assert draw_ink(LineCanvas, text).sum() == pytest.approx(draw_ink(FigureCanvasAgg, text).sum(), rel=0.02)


@pytest.mark.parametrize("words", ["Mega", "gjpq", "1,250.5"])
def test_a_line_is_measured_as_matplotlib_measures_it(words):
    theirs, ours = RendererAgg(600, 600, 150), LineRenderer(600, 600, 150)
    for weight in ("normal", "bold"):
        look = FontProperties(family=["DejaVu Sans"], size=9.5, weight=weight)
        assert ours.get_text_width_height_descent(words, look, False) == theirs.get_text_width_height_descent(
            words, look, False
        )


def test_a_line_is_set_once_however_often_it_is_measured_and_drawn():
    set_line.cache_clear()
    draw_ink(LineCanvas, *({"x": 0.2 * k, "y": 0.5, "s": "Once"} for k in range(4)))
    assert set_line.cache_info().misses == 1


def test_a_figure_that_grows_is_drawn_at_its_new_size():
    figure = Figure(figsize=(2, 2), dpi=100)
    canvas = LineCanvas(figure)
    canvas.draw()
    figure.set_size_inches(3, 2)
    canvas.draw()
    assert np.asarray(canvas.buffer_rgba()).shape == (200, 300, 4)
