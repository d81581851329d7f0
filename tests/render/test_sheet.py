from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from mutoscope.formats.video import read_video
from mutoscope.render.sheet import SheetRow, by_class, contact_sheet, save_motion_gallery, save_png
from mutoscope.structures import H36M16, DatasetInfo

INFO = DatasetInfo("hand_made", "motion", ("walk", "Wave / Left", "rest"), 10.0, 8, 3, H36M16)


@pytest.fixture
def clips(walk) -> tuple[np.ndarray, np.ndarray]:
    real = np.stack([walk(8, travel=i % 2, phase=i) for i in range(5)])
    return real, real + 0.01


def test_contact_sheet_shows_frames_in_time_order_on_the_paper_of_their_source(walk) -> None:
    rows = [SheetRow("walk", walk(12), "real"), SheetRow("walk", walk(12), "generated")]
    sheet = contact_sheet(rows, H36M16, fps=12, frames=4, size=(100, 80), title="a sheet")
    cells = sheet[:, 128:]
    assert sheet.shape[2] == 3
    assert sheet.shape[1] == 128 + 4 * 80 + 12
    tinted = (cells[..., 0].astype(int) - cells[..., 2] > 15) & (cells.min(-1) > 200)
    rows_tinted = np.flatnonzero(tinted.mean(1) > 0.3)
    assert len(rows_tinted) == pytest.approx(100, abs=12)
    assert rows_tinted.min() > sheet.shape[0] / 2 - 20
    wider = contact_sheet(rows, H36M16, fps=12, frames=4, size=(100, 80), title="a sheet", strobe=True)
    assert wider.shape[1] == sheet.shape[1] + 80
    with pytest.raises(ValueError, match="at least one row"):
        contact_sheet([], H36M16, fps=12)


def test_png_round_trip_and_refusal(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    np.testing.assert_array_equal(np.asarray(Image.open(save_png(tmp_path / "a" / "b.png", picture))), picture)
    with pytest.raises(ValueError, match=r"\[9, 7, 3\] of float64, expected"):
        save_png(tmp_path / "c.png", picture / 255)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_gallery_writes_a_video_per_class_that_occurs(tmp_path: Path, clips) -> None:
    real, fake = clips
    files = save_motion_gallery(
        tmp_path, torch.from_numpy(fake), [0, 1, 0, 0, 1], INFO, real, per_class=2, size=(64, 64)
    )
    assert [f.name for f in files] == ["sheet.png", "all.mp4", "000_walk.mp4", "001_wave_left.mp4"]
    assert {f.name for f in tmp_path.iterdir()} == {f.name for f in files}
    frames, fps = read_video(tmp_path / "000_walk.mp4")
    assert fps == 10
    # two columns of clips, the real row above the tinted generated row
    assert frames.shape == (8, 2 * 70 + 6, 2 * 70 + 6, 3)
    above, below = frames[0, 12:20, 12:60].reshape(-1, 3), frames[0, 82:90, 12:60].reshape(-1, 3)
    assert np.median(above[:, 2]) > 250 > 240 > np.median(below[:, 2])
    everything, _ = read_video(tmp_path / "all.mp4")
    assert everything.shape == (8, 76, 4 * 70 + 6, 3)


def test_gallery_without_real_clips_and_with_gifs(tmp_path: Path, clips) -> None:
    _, fake = clips
    files = save_motion_gallery(tmp_path, fake[:2], torch.tensor([2, 2]), INFO, size=(64, 64), gif=True)
    assert [f.name for f in files] == ["sheet.png", "all.mp4", "all.gif", "002_rest.mp4", "002_rest.gif"]
    assert read_video(tmp_path / "002_rest.gif")[0].shape[0] == 8


def test_clips_are_grouped_by_class_with_the_real_one_first(clips) -> None:
    real, fake = clips
    groups = by_class(fake, [2, 0, 2, 2, 0], INFO, real, per_class=2)
    assert list(groups) == [0, 2]
    assert [source for source, _ in groups[2]] == ["real", "generated", "real", "generated"]
    for (_, clip), expected in zip(groups[2], (real[0], fake[0], real[2], fake[2]), strict=True):
        np.testing.assert_array_equal(clip, expected)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"fake": np.zeros((2, 8, 15, 3))}, r"Generated clips have shape \[2, 8, 15, 3\], expected \[n, t, 16, 3\]"),
        ({"real": np.zeros((2, 8, 16, 2))}, r"Real clips have shape \[2, 8, 16, 2\]"),
        ({"labels": [0]}, "2 generated clips, 1 labels"),
        ({"real": np.zeros((1, 8, 16, 3))}, "2 generated clips, 2 labels and 1 real clips"),
        ({"labels": [0, 3]}, r"Label 3 is outside the classes 0\.\.2 of 'hand_made'"),
        ({"labels": [0, -1]}, "Label -1 is outside"),
        ({"fake": np.zeros((0, 8, 16, 3)), "labels": []}, "0 generated clips"),
        ({"per_class": 0}, "per_class is 0"),
    ],
)
def test_wrong_galleries_are_refused_before_anything_is_written(tmp_path: Path, change, says) -> None:
    arguments = {"fake": np.zeros((2, 8, 16, 3)), "labels": [0, 1], "info": INFO} | change
    with pytest.raises(ValueError, match=says):
        save_motion_gallery(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_gallery_with_sheets_shows_key_frames_of_every_clip_of_a_class(tmp_path: Path, clips) -> None:
    _, fake = clips
    files = save_motion_gallery(tmp_path, fake, [0, 0, 0, 0, 1], INFO, size=(64, 64), per_class=3, sheets=True)
    assert [f.name for f in files if f.suffix == ".png"] == ["sheet.png", "000_walk.png", "001_wave_left.png"]
    heights = [np.asarray(Image.open(tmp_path / name)).shape[0] for name in ("000_walk.png", "001_wave_left.png")]
    # two more rows of frames with their captions
    assert heights[0] - heights[1] == 2 * (112 + 16 + 12)
    assert np.asarray(Image.open(tmp_path / "000_walk.png")).shape[1] == 76 + 10 * 92 + 12
    # videos without real clips stand in rows of four
    many = save_motion_gallery(
        tmp_path / "b", np.repeat(fake[:1], 6, axis=0), [0] * 6, INFO, size=(64, 64), per_class=6
    )
    assert read_video(many[-1])[0].shape[1:3] == (2 * 70 + 6, 4 * 70 + 6)
