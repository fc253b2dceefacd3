"""A canvas that sets each line of text once: measured and drawn from one picture of its letters.

Takes figures; gives the same picture as matplotlib's Agg canvas, to within the rounding of a text to whole pixels.
Matplotlib 3.11 shapes a line anew for every measurement and draws it letter by letter, which was most of the time that
a picture took. Mathematics, slanted lines and see-through colours are left to matplotlib; features and languages of
fonts, which no picture here asks for, are not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from matplotlib.backends.backend_agg import FigureCanvasAgg, RendererAgg, get_hinting_flag
from matplotlib.font_manager import FontProperties, findfont, get_font

if TYPE_CHECKING:
    from matplotlib.ft2font import LoadFlags

_SUBPIXELS = 64
_MOST_LINES = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of text in pixels: its letters as a mask (rows, columns; 0 to 255), and where the mask lies.

    `left` is from the start of the line to the mask's left edge, `descent` from the baseline down to its lower edge.
    """

    mask: npt.NDArray[np.uint8]
    width: float
    height: float
    descent: float
    left: float


@lru_cache(maxsize=_MOST_LINES)
def set_line(text: str, files: tuple[str, ...], size: float, dpi: float, hinting: LoadFlags) -> Line:
    """Return a line of text set from font files, the first that has a letter first."""
    font = get_font(files)
    font.clear()
    font.set_size(size, dpi)
    font.set_text(text, 0.0, flags=hinting)
    width, height = font.get_width_height()
    descent, left = font.get_descent(), font.get_bitmap_offset()[0]
    font.draw_glyphs_to_bitmap(antialiased=True)
    return Line(
        mask=np.array(font.get_image(), dtype=np.uint8),
        width=width / _SUBPIXELS,
        height=height / _SUBPIXELS,
        descent=descent / _SUBPIXELS,
        left=left / _SUBPIXELS,
    )


@lru_cache(maxsize=64)
def find_files(families: tuple[str, ...], style: Any, weight: str | int) -> tuple[str, ...]:
    """Return the font files of families that are installed."""
    return tuple(str(findfont(FontProperties(family=family, style=style, weight=weight))) for family in families)


class LineRenderer(RendererAgg):
    """Agg's renderer with lines of text from `set_line`."""

    def get_text_width_height_descent(self, s: str, prop: FontProperties, ismath: Any) -> tuple[float, float, float]:
        """Return width, height and descent of a line in pixels."""
        if ismath:
            size: tuple[float, float, float] = super().get_text_width_height_descent(s, prop, ismath)  # type: ignore[no-untyped-call]
            return size
        line = self._set(s, prop)
        return line.width, line.height, line.descent

    def draw_text(
        self, gc: Any, x: float, y: float, s: str, prop: FontProperties, angle: float, ismath: Any = False,
        mtext: Any = None,
    ) -> None:  # fmt: skip
        """Draw a line that starts at x, y (pixels from the left and from the top) of its baseline."""
        red, green, blue, *alpha = gc.get_rgb()
        if ismath or angle not in (0, 90) or alpha not in ([], [1.0]):
            super().draw_text(gc, x, y, s, prop, angle, ismath, mtext)  # type: ignore[no-untyped-call]
            return
        line = self._set(s, prop)
        if angle == 0:
            mask, left, lower = line.mask, x + line.left, y + line.descent
        else:
            mask, left, lower = np.rot90(line.mask), x + line.descent - line.mask.shape[0] + 1, y - line.left - 1
        image = np.empty((*mask.shape, 4), dtype=np.uint8)
        image[..., :3] = [round(255 * part) for part in (red, green, blue)]
        image[::-1, :, 3] = mask  # Agg takes the lowest row first
        self.draw_image(gc, round(left), int(self.height) - round(lower) - 1, image)

    def _set(self, text: str, prop: FontProperties) -> Line:
        files = find_files(tuple(prop.get_family()), prop.get_style(), prop.get_weight())
        hinting: LoadFlags = get_hinting_flag()  # type: ignore[no-untyped-call]
        return set_line(text, files, prop.get_size_in_points(), self.dpi, hinting)


class LineCanvas(FigureCanvasAgg):
    """Agg's canvas with a `LineRenderer`."""

    def get_renderer(self) -> RendererAgg:
        """Return the renderer of this canvas, made anew when its figure has changed size."""
        width, height = self.get_width_height(physical=True)
        found: RendererAgg | None = getattr(self, "renderer", None)
        if found is None or (found.width, found.height, found.dpi) != (width, height, self.figure.dpi):
            found = self.renderer = LineRenderer(width, height, self.figure.dpi)  # type: ignore[no-untyped-call]
        return found
