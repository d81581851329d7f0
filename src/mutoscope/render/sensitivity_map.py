"""Which metric sees what, as one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mutoscope.render.plot import new_figure, points, save_figure, style

#: deviations of the floor below which a foil cannot be told from real clips, and beyond which the colour is full
_NOTHING, _FULL = 2.0, 50.0


def draw_sensitivity(
    path: str | Path, effects: NDArray[np.floating[Any]], metrics: Sequence[str], foils: Sequence[str]
) -> list[Path]:
    """A heat map of metrics by foils: red is worse than real clips, blue better, white what cannot be told apart.

    Args:
        path: of a PNG; an SVG is written beside it.
        effects: ``[metrics, foils]`` how much worse than real clips, in standard deviations of real clips.
        metrics, foils: their names.
    """
    with style():
        figure = new_figure(150 + 74 * len(foils), 110 + 28 * len(metrics))
        axes = figure.add_axes((150 / (150 + 74 * len(foils)), 0.03, 0.97 - 150 / (150 + 74 * len(foils)), 0.72))
        magnitude = np.log(np.maximum(np.abs(effects), _NOTHING) / _NOTHING) / np.log(_FULL / _NOTHING)
        shade = np.sign(effects) * np.clip(magnitude, 0, 1)
        axes.imshow(np.nan_to_num(shade), cmap="RdBu_r", vmin=-1.3, vmax=1.3, aspect="auto", interpolation="nearest")
        for i, row in enumerate(effects):
            for j, value in enumerate(row):
                faint = "0.55" if not np.isfinite(value) or abs(value) < _NOTHING else "black"
                axes.text(j, i, _short(value), ha="center", va="center", fontsize=points(12), color=faint)
        axes.set_yticks(range(len(metrics)), metrics, fontsize=points(13))
        axes.xaxis.tick_top()
        axes.set_xticks(range(len(foils)), [foil.replace(" ", "\n") for foil in foils], fontsize=points(12))
        axes.tick_params(length=0)
        for side in axes.spines.values():
            side.set_visible(False)
        axes.grid(visible=False)
        return save_figure(path, figure)


def _short(value: float) -> str:
    if not np.isfinite(value):
        return "–"
    return "0" if abs(value) < 0.5 else f"{value:+.0f}" if abs(value) < 1000 else f"{value:+.0e}"
