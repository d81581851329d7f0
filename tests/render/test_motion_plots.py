"""Histograms of mixtures, paths of classes, and the picture of attention."""

from pathlib import Path
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from PIL import Image

from mutoscope.render.attention import draw_attention
from mutoscope.render.motion_plots import draw_mixtures, draw_trajectories, mixture_positions
from mutoscope.render.plot import class_colours, fitting
from mutoscope.structures import H36M16

CLASSES = ("walk", "a class with a name that is far too long for any legend", "rest")


def near(picture: np.ndarray, colour: tuple[int, int, int], within: int = 12) -> np.ndarray:
    """``[h, w]``: where a picture has a colour."""
    return (np.abs(picture.astype(int) - np.array(colour)) <= within).all(axis=-1)


def test_mixtures_lie_where_their_share_says(walk, rest_pose) -> None:
    # the left wrist rises with lambda, evenly
    lambdas = np.linspace(0, 1, 5)
    clips = np.stack([np.stack([walk(6, phase=k) for k in range(4)]) for _ in lambdas])
    clips[..., H36M16.index("left_wrist"), 1] += lambdas[:, None, None]
    # where people stand does not matter
    clips[2, ..., 0] += 4
    positions = mixture_positions(clips, H36M16)
    np.testing.assert_allclose(positions.mean(axis=1), lambdas, atol=1e-6)


def test_every_mixture_has_a_row_of_bars_in_its_place() -> None:
    lambdas = (0.0, 0.5, 1.0)
    positions = np.array([0.0, 0.5, 1.0])[:, None] + 0.02 * np.random.default_rng(0).normal(size=(3, 50))
    picture = draw_mixtures(positions, lambdas, ("walk", "wave")).picture()
    assert picture.shape == (96 + 3 * 40 + 66, 860, 3)
    rows = picture[96 : 96 + 3 * 40].reshape(3, 40, 860, 3)
    # coloured, i.e. neither paper nor grey rules and marks
    spread = rows.max(axis=-1).astype(int) - rows.min(axis=-1)
    spread[:, :, :96] = 0
    blue = rows[..., 2].astype(int) - rows[..., 0]
    centres = [np.average(np.arange(860), weights=(np.abs(b) > 25).sum(axis=0)) for b in (blue[0], blue[2])]
    assert centres[0] < 400 < 600 < centres[1]
    # the second class, on top, is orange; the first, below, is blue
    assert np.median(blue[0][spread[0] > 40]) < 0 < np.median(blue[2][spread[2] > 40])
    with pytest.raises(ValueError, match="positions of 3 mixtures, but 2 lambdas"):
        draw_mixtures(positions, (0.0, 1.0), ("walk", "wave"))


def test_paths_of_all_classes_are_drawn_and_named(walk) -> None:
    clips = np.stack([walk(10, travel=k, phase=k) for k in range(6)])
    clips[3:, :, H36M16.index("right_wrist"), 1] += np.linspace(0, 1, 10)[None]
    picture = draw_trajectories(clips, [0, 0, 0, 1, 1, 1], CLASSES, H36M16, fps=10, units="m").picture()
    assert picture.shape == (640, 900, 3)
    for colour in class_colours(2):
        panel, legend = near(picture[92:580, 80:716], colour), near(picture[76:, 724:], colour)
        assert panel.sum() > 100
        assert legend.sum() > 20
    # a class that does not occur has no colour
    assert near(picture, class_colours(3)[2], within=3).sum() == 0
    with pytest.raises(ValueError, match="6 clips and 2 labels"):
        draw_trajectories(clips, [0, 1], CLASSES, H36M16, fps=10, units="m")


def attention(length: int) -> np.ndarray:
    """Every frame attends to itself and to the one three frames before."""
    weights = 0.25 * np.eye(length)
    weights[np.arange(3, length), np.arange(length - 3)] = 0.75
    return weights


@pytest.mark.parametrize("length", [1, 2, 20, 64])
def test_attention_is_drawn_whatever_the_length(walk, length: int) -> None:
    picture = draw_attention(walk(length), attention(length), H36M16, fps=10, title="walk").picture()
    assert picture.dtype == np.uint8
    assert picture.shape[0] > 700


def test_the_map_of_attention_shows_the_weights(walk) -> None:
    length = 20
    picture = draw_attention(walk(length), attention(length), H36M16, fps=10, title="walk").picture()
    h, w, _ = picture.shape
    left, top, size = w - 28 - 64 - 300, h - 84 - 300 + 22, 300
    step = size // length
    cells = picture[top + step // 2 : top + size : step, left + step // 2 : left + size : step].astype(int)
    dark = 255 - cells.mean(axis=-1)
    assert dark.shape == (length, length)
    weights = attention(length) / attention(length).sum(axis=1, keepdims=True)
    assert (dark[weights == 0] < 2).all()
    assert (dark[weights > 0] > 10).all()
    # the heavier, the darker; of the first three rows the own frame is all there is
    assert dark[10, 7] > dark[10, 10] + 30
    assert dark[1, 1] > dark[10, 7]
    # rows are divided by their sums
    scaled = attention(length) * np.linspace(0.1, 1, length)[:, None]
    again = draw_attention(walk(length), scaled, H36M16, fps=10, title="walk").picture()
    np.testing.assert_allclose(again.astype(int), picture, atol=1)


@pytest.mark.parametrize(
    ("weights", "says"),
    [
        (np.ones((5, 6)), r"shape \[5, 6\], expected \[8, 8\]"),
        (np.ones((8, 8)), "weights of later frames"),
        (-np.eye(8), "negative"),
        (np.eye(8) * np.nan, "not finite"),
    ],
)
def test_weights_that_are_no_attention_are_refused(walk, weights: np.ndarray, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        draw_attention(walk(8), weights, H36M16, fps=10, title="walk")


#: what matplotlib would read as mathematics, what SVG would read as markup, and what is long
HOSTILE = (r"walk $\frac{$", "</text><script>alert(1)</script>", "a & b " * 40)


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_drawn_as_they_stand_and_files_are_whole(walk, tmp_path: Path, name: str) -> None:
    positions = np.array([[0.0, 0.1], [0.9, 1.0]])
    clips = np.stack([walk(6), walk(6, travel=1.0)])
    pages = {
        "mixtures": draw_mixtures(positions, (0.0, 1.0), (name, "wave")),
        "paths": draw_trajectories(clips, [0, 1], (name, "wave"), H36M16, fps=10, units=name[:20]),
        "attention": draw_attention(walk(4), attention(4), H36M16, fps=10, title=name),
    }
    for kind, page in pages.items():
        png, svg = page.save(tmp_path / f"{kind}.png")
        with Image.open(png) as picture:
            assert picture.size == page.size
        root = ElementTree.parse(svg).getroot()
        assert not list(root.iter("{http://www.w3.org/2000/svg}script"))
    assert {path.name for path in tmp_path.iterdir()} == {f"{kind}.{end}" for kind in pages for end in ("png", "svg")}


def test_the_same_drawing_is_the_same_file_whatever_the_users_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    positions = np.array([[0.0, 0.1], [0.9, 1.0]])
    (png, svg) = draw_mixtures(positions, (0.0, 1.0), ("walk", "wave")).save(tmp_path / "a.png")
    for name, value in {"font.size": 30.0, "axes.facecolor": "black", "savefig.dpi": 300}.items():
        monkeypatch.setitem(matplotlib.rcParams, name, value)
    again = draw_mixtures(positions, (0.0, 1.0), ("walk", "wave")).save(tmp_path / "b.png")
    assert [path.read_bytes() for path in again] == [png.read_bytes(), svg.read_bytes()]


def test_words_are_shortened_to_what_fits() -> None:
    assert fitting("short", 200, 12) == "short"
    cut = fitting("a title that is much too long for this", 100, 12)
    assert cut.endswith("...")
    assert 5 < len(cut) < 25
    assert len(fitting("a title that is much too long for this", 200, 12)) > len(cut)
