from pathlib import Path

import av
import numpy as np
import pytest

from mutoscope.formats import video
from mutoscope.formats.video import read_video, write_gif, write_mp4
from mutoscope.runtime.files import replacing


@pytest.fixture(autouse=True)
def as_users_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Elsewhere tests encode in a hurry."""
    monkeypatch.setattr(video, "PRESET", "medium")


def bars(frames: int = 7, h: int = 32, w: int = 48) -> np.ndarray:
    """Red at the left, blue at the right, a green square that moves."""
    out = np.zeros((frames, h, w, 3), np.uint8)
    out[:, :, : w // 2, 0] = 220
    out[:, :, w // 2 :, 2] = 200
    for t in range(frames):
        out[t, 8:16, 4 * t : 4 * t + 8] = (20, 230, 40)
    return out


@pytest.mark.parametrize("fps", [12.5, 25.0, 30000 / 1001])
def test_mp4_comes_back_with_its_frames_rate_and_colours(tmp_path: Path, fps: float) -> None:
    frames = bars()
    path = write_mp4(tmp_path / "deep" / "clip.mp4", frames, fps)
    back, rate = read_video(path)
    assert back.shape == frames.shape
    assert back.dtype == np.uint8
    assert rate == pytest.approx(fps, rel=1e-4)
    # Colour is stored at half resolution, so compare means over regions rather than pixels at edges.
    for part in (np.s_[:, 20:, 2:20], np.s_[:, 20:, 28:46], np.s_[:, 9:15]):
        np.testing.assert_allclose(back[part].mean((0, 1, 2)), frames[part].mean((0, 1, 2)), atol=3)


@pytest.mark.parametrize(
    "colour", [(220, 30, 40), (30, 220, 40), (40, 30, 220), (230, 200, 20), (0, 0, 0), (255, 255, 255), (128, 128, 128)]
)
def test_a_colour_comes_back_as_it_was_written(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    """Bindings of before version 17 took one matrix to write and another to read: 220,30,40 came back as 203,8,40."""
    # of the sizes at which players that are told nothing choose either matrix
    for h, w in ((48, 64), (576, 720)):
        frames = np.full((2, h, w, 3), colour, np.uint8)
        back, _ = read_video(write_mp4(tmp_path / f"{h}.mp4", frames, 10))
        np.testing.assert_allclose(back.reshape(-1, 3).mean(axis=0), colour, atol=2)
        assert np.ptp(back.reshape(-1, 3), axis=0).max() <= 4


def test_mp4_is_what_browsers_play_and_names_its_colours(tmp_path: Path) -> None:
    path = write_mp4(tmp_path / "clip.mp4", bars(), 25)
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt, context.colorspace) == ("h264", "yuv420p", 1)
    head = path.read_bytes()
    assert head.index(b"moov") < head.index(b"mdat")


@pytest.mark.parametrize(("h", "w"), [(33, 47), (32, 47), (33, 48), (1, 1)])
def test_odd_sizes_repeat_the_last_row_and_column(tmp_path: Path, h: int, w: int) -> None:
    frames = np.full((3, h, w, 3), (30, 160, 90), np.uint8)
    back, _ = read_video(write_mp4(tmp_path / "odd.mp4", frames, 10))
    assert back.shape == (3, h + h % 2, w + w % 2, 3)
    np.testing.assert_allclose(back[:, -1, -1], frames[:, -1, -1], atol=4)


@pytest.mark.parametrize("fps", [8.0, 24.0, 30.0])
def test_gif_has_all_frames_and_lasts_as_long_as_the_clip(tmp_path: Path, fps: float) -> None:
    from PIL import Image

    frames = bars(10)
    path = write_gif(tmp_path / "clip.gif", frames, fps)
    with Image.open(path) as gif:
        assert gif.n_frames == 10
        assert gif.info["loop"] == 0
        duration = 0
        for i in range(10):
            gif.seek(i)
            duration += gif.info["duration"]
            np.testing.assert_allclose(np.asarray(gif.convert("RGB")).mean((0, 1)), frames[i].mean((0, 1)), atol=4)
    assert duration == pytest.approx(10_000 / fps, abs=10)
    assert read_video(path)[0].shape == frames.shape


def test_gif_faster_than_viewers_can_show_keeps_its_length(tmp_path: Path) -> None:
    from PIL import Image

    with Image.open(write_gif(tmp_path / "fast.gif", bars(10), 100.0)) as gif:
        assert gif.n_frames == 5
        assert gif.info["duration"] == 20


@pytest.mark.parametrize("write", [write_mp4, write_gif])
@pytest.mark.parametrize(
    ("frames", "fps", "error", "says"),
    [
        (np.zeros((4, 8, 8, 3), np.float32), 10, TypeError, "float32, expected a NumPy array of uint8"),
        ([[0]], 10, TypeError, "list, expected"),
        (np.zeros((8, 8, 3), np.uint8), 10, ValueError, r"\[8, 8, 3\], expected \[t, h, w, 3\]"),
        (np.zeros((4, 3, 8, 8), np.uint8), 10, ValueError, r"expected \[t, h, w, 3\]"),
        (np.zeros((0, 8, 8, 3), np.uint8), 10, ValueError, "nothing empty"),
        (np.zeros((4, 8, 8, 3), np.uint8), 0, ValueError, "fps is 0"),
        (np.zeros((4, 8, 8, 3), np.uint8), float("nan"), ValueError, "fps is nan"),
    ],
)
def test_wrong_frames_are_refused_and_nothing_is_written(tmp_path, write, frames, fps, error, says) -> None:
    with pytest.raises(error, match=says):
        write(tmp_path / "x.mp4", frames, fps)
    assert list(tmp_path.iterdir()) == []


def test_missing_foreign_and_cut_off_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no video file at .*nowhere"):
        read_video(tmp_path / "nowhere.mp4")
    foreign = tmp_path / "notes.mp4"
    foreign.write_text("hello")
    with pytest.raises(ValueError, match=r"notes\.mp4: it cannot be opened as a video"):
        read_video(foreign)
    noise = np.random.default_rng(0).integers(0, 256, (30, 64, 64, 3)).astype(np.uint8)
    whole = write_mp4(tmp_path / "whole.mp4", noise, 30).read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 2])
    # some decoders give what is whole, others refuse the frame in which the file ends
    with pytest.raises(ValueError, match=r"cut\.mp4: it (ends early: \d+ of 30 frames|cannot be decoded)"):
        read_video(cut)


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("pcm_s16le", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        out.mux(stream.encode(frame))
        out.mux(stream.encode())
    with pytest.raises(ValueError, match=r"no video that holds its own frames|holds no video stream"):
        read_video(path)


def test_a_file_is_replaced_only_by_a_finished_one(tmp_path: Path) -> None:
    path = tmp_path / "kept.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), replacing(path) as temporary:
        temporary.write_text(f"new {1 / 0}")
    assert path.read_text() == "old"
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["kept.txt"]
