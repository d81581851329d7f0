"""Some frames of a video: those of the whole one, with less work."""

from pathlib import Path

import numpy as np
import pytest

from mutoscope.formats import decoding
from mutoscope.formats.video import VideoError, read_frames, read_video, write_gif, write_mp4


def film(t: int = 40) -> np.ndarray:
    rng = np.random.default_rng(0)
    base = np.kron(rng.integers(0, 255, (4, 6, 3)), np.ones((8, 8, 1)))
    return np.stack([np.roll(base, 2 * i, axis=1) for i in range(t)]).astype(np.uint8)


@pytest.mark.parametrize("wanted", [[0], [0, 8, 16, 24], [39], [3, 4, 4, 5]])
def test_chosen_frames_are_those_of_the_whole_video(tmp_path: Path, wanted: list[int]) -> None:
    path = write_mp4(tmp_path / "a.mp4", film(), 12)
    whole, fps = read_video(path)
    asked: list[tuple[int, float]] = []

    def choose(count: int, rate: float) -> np.ndarray:
        asked.append((count, rate))
        return np.array(wanted)

    found, rate = read_frames(path, choose)
    assert np.array_equal(found, whole[wanted])
    assert rate == fps
    assert asked == [(40, 12.0)]


def test_pictures_are_made_of_chosen_frames_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_mp4(tmp_path / "a.mp4", film(), 12)
    made: list[int] = []
    rgb = decoding._rgb
    monkeypatch.setattr(decoding, "_rgb", lambda *a: made.append(1) or rgb(*a))  # type: ignore[func-returns-value]
    read_frames(path, lambda *_: np.array([0, 8, 16]))
    assert len(made) == 3


def test_what_is_shown_unevenly_is_read_as_a_whole(tmp_path: Path) -> None:
    """A GIF whose frames stand for different times, also where the first ones are even."""
    frames = film(12)
    frames[7:10] = frames[6]
    path = write_gif(tmp_path / "a.gif", frames, 10)
    whole, _ = read_video(path)
    found, _ = read_frames(path, lambda count, _: np.arange(0, count, 2))
    assert np.array_equal(found, whole[::2])


def test_a_file_that_ends_before_the_last_chosen_frame_is_an_error(tmp_path: Path) -> None:
    path = write_mp4(tmp_path / "a.mp4", film(), 12)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(VideoError, match=r"a\.mp4"):
        read_frames(path, lambda *_: np.array([0, 39]))
