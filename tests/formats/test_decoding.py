"""Videos as cameras, phones and editors write them."""

import logging
import os
import threading
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange
from mutations import damaged, refusal
from written_videos import turned, write

from mutoscope.formats import decoding, video
from mutoscope.formats.decoding import VideoError, at_constant_rate, probe_video, timed_frames
from mutoscope.formats.video import read_video, write_mp4

SHOWN = np.zeros((32, 48, 3), np.uint8)
SHOWN[:16] = (220, 30, 30)
SHOWN[:, :16] = (30, 30, 220)


def threads() -> int:
    """Of this process, those of libraries too."""
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()


def near(found: np.ndarray, expected: np.ndarray, most: float = 4) -> bool:
    return found.shape == expected.shape and bool(np.abs(found.astype(int) - expected).mean() < most)


@pytest.mark.parametrize(
    ("matrix", "upright"),
    [
        ((1, 0, 0, 1), SHOWN),
        ((0, 1, -1, 0), SHOWN.swapaxes(0, 1)[:, ::-1]),
        ((-1, 0, 0, -1), SHOWN[::-1, ::-1]),
        ((0, -1, 1, 0), SHOWN.swapaxes(0, 1)[::-1]),
        ((-1, 0, 0, 1), SHOWN[:, ::-1]),
        ((1, 0, 0, -1), SHOWN[::-1]),
    ],
    ids=["as it is", "clockwise", "half", "counterclockwise", "mirrored", "upside down"],
)
def test_videos_are_turned_as_they_ask(tmp_path: Path, matrix: tuple[int, ...], upright: np.ndarray) -> None:
    path = turned(write(tmp_path / "plain.mp4", [SHOWN] * 3), matrix)
    assert near(read_video(path)[0][1], upright)
    assert probe_video(path) == (upright.shape[1], upright.shape[0], 3)


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    for ratio, size in ((Fraction(4, 3), (32, 64)), (Fraction(1, 2), (64, 48))):
        path = write(tmp_path / "a.mp4", [SHOWN] * 3, ratio=ratio)
        assert read_video(path)[0].shape[1:3] == size
        # boxes count the pixels that are stored
        assert next(timed_frames(path)).picture.shape[:2] == (32, 48)


@pytest.mark.parametrize(
    ("codec", "pixels", "options"),
    [
        ("libx264", "yuv444p", {"colour_range": ColorRange.JPEG}),
        ("libx264", "yuv444p", {"colour_range": ColorRange.MPEG}),
        ("libx264", "yuv420p10le", {}),
        ("ffv1", "bgr0", {}),
        ("ffv1", "yuv444p16le", {}),
        ("mjpeg", "yuvj444p", {}),
    ],
    ids=["full range", "limited range", "10 bits", "rgb", "16 bits", "jpeg"],
)
def test_colours_of_all_ranges_and_depths(tmp_path: Path, codec: str, pixels: str, options: dict[str, Any]) -> None:
    path = write(tmp_path / "a.mkv", [SHOWN] * 3, codec=codec, pixels=pixels, **options)
    assert near(read_video(path)[0][1], SHOWN)


def test_grey_and_transparent_videos(tmp_path: Path) -> None:
    grey = SHOWN[..., :1].repeat(3, -1)
    assert near(read_video(write(tmp_path / "g.mkv", [grey] * 3, codec="ffv1", pixels="gray"))[0][1], grey)
    with av.open(str(tmp_path / "a.mkv"), "w") as out:
        stream = out.add_stream("ffv1", rate=10)
        stream.height, stream.width, stream.pix_fmt = 32, 48, "bgra"
        rgba = np.concatenate([SHOWN, np.zeros((32, 48, 1), np.uint8)], axis=-1)
        rgba[:, 24:, 3] = 255
        out.mux(stream.encode(av.VideoFrame.from_ndarray(rgba, format="rgba").reformat(format="bgra")))
        out.mux(stream.encode())
    found = next(timed_frames(tmp_path / "a.mkv")).picture
    assert (found[:, :24] == 255).all()
    np.testing.assert_array_equal(found[:, 24:], SHOWN[:, 24:])


def test_frames_shown_for_different_times_come_at_a_constant_rate(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frames = [np.full((32, 48, 3), 40 * i, np.uint8) for i in range(5)]
    path = write(tmp_path / "a.mkv", frames, times=[0, 0.1, 0.2, 0.6, 0.7])
    found, fps = read_video(path)
    assert fps == pytest.approx(10, rel=0.01)
    assert (found[:, 0, 0, 0] / 40).round().tolist() == [0, 1, 2, 2, 2, 2, 3, 4]
    assert "shows its frames for different times; they are taken 10 times a second" in caplog.text
    # whoever counts frames gets those that are stored
    assert len(list(timed_frames(path))) == 5


def test_even_times_with_rounding_are_even() -> None:
    assert at_constant_rate([0, 0.083, 0.167, 0.25, 0.333], 12) == (None, 12)
    assert at_constant_rate([None, 0.1], 12) == (None, 12)
    shown, fps = at_constant_rate([0, 0.001, 1.0], 3)
    assert fps == 60
    assert shown is not None
    assert np.bincount(shown).argmax() == 1


def test_of_several_streams_the_best_is_taken_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as out:
        small, large = (out.add_stream("ffv1", rate=10) for _ in range(2))
        for stream, shape in ((small, (16, 16)), (large, (64, 64))):
            stream.height, stream.width, stream.pix_fmt = *shape, "bgr0"
        for stream, shape in ((small, (16, 16)), (large, (64, 64))):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((*shape, 3), np.uint8), format="rgb24")))
        for stream in (small, large):
            out.mux(stream.encode())
    with caplog.at_level(logging.WARNING):
        found = next(timed_frames(path)).picture
    assert f"holds 2 videos; that of {found.shape[1]}x{found.shape[0]} pixels is taken" in caplog.text


def test_large_videos_pipes_and_foreign_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_mp4(tmp_path / "a.mp4", np.stack([SHOWN] * 4), 10)
    monkeypatch.setattr(video, "_MOST_BYTES", 10_000)
    with pytest.raises(VideoError, match=r"a\.mp4: its 4 or more frames take more memory .* 10 KB"):
        read_video(path)
    monkeypatch.setattr(decoding, "MOST_PIXELS", 1000)
    with pytest.raises(VideoError, match="48x32 pixels, more than 1,000"):
        probe_video(path)
    os.mkfifo(tmp_path / "pipe.mp4")
    for reader in (read_video, probe_video):
        with pytest.raises(VideoError, match="it is a pipe"):
            reader(tmp_path / "pipe.mp4")
    monkeypatch.undo()
    path.write_bytes(path.read_bytes().replace(b"ftypisom", b"ftypiso\xff", 1))
    assert near(read_video(path)[0][1], SHOWN, 8)


def test_no_threads_stay_behind(tmp_path: Path) -> None:
    """They would keep processes that are forked afterwards waiting."""
    path = write_mp4(tmp_path / "a.mp4", np.stack([SHOWN] * 8), 10)
    list(timed_frames(path, threads=1))
    before = threads()
    list(timed_frames(path, threads=1))
    assert threads() <= before


def test_damaged_videos_raise_nothing_else(tmp_path: Path) -> None:
    whole = write_mp4(tmp_path / "a.mp4", np.stack([SHOWN] * 6), 10).read_bytes()
    path = tmp_path / "b.mp4"
    for data in damaged(whole, 60):
        path.write_bytes(data)
        for reader in (read_video, probe_video):
            error, _ = refusal(VideoError, lambda reader=reader: reader(path))
            assert error is None or str(path) in str(error)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.mp4", "ffconcat version 1.0\nfile {other}\n"),
        ("list.gif", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n"),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n"),
        ("list.avi", "ffconcat version 1.0\nfile http://127.0.0.1:9/{other}\n"),
    ],
)
def test_play_lists_open_no_other_file(tmp_path: Path, name: str, text: str) -> None:
    write_mp4(tmp_path / "secret.mp4", np.stack([SHOWN] * 3), 10)
    path = tmp_path / name
    path.write_text(text.format(other="secret.mp4"), encoding="utf-8")
    with pytest.raises(VideoError, match=rf"{name}.*(no video that holds its own frames|cannot be opened)"):
        read_video(path)


def test_a_file_that_gives_no_frame_for_long_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_mp4(tmp_path / "slow.mp4", np.stack([SHOWN] * 5), 10)
    now = iter(range(0, 10_000, 1_000))
    monkeypatch.setattr(decoding, "time", SimpleNamespace(monotonic=lambda: next(now)))
    with pytest.raises(VideoError, match=r"slow.mp4.*no frame came out of it for 120 seconds"):
        list(timed_frames(path))
