"""Frame caches: exact pictures, going on after a kill, sources that cannot be used."""

import json
import pickle
import shutil
import subprocess
import sys
import textwrap
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cater_tree import pictures, write_avi
from PIL import Image

from mutoscope.data import frame_cache
from mutoscope.data.frame_cache import FrameCache, FrameSource, prepare_cache
from mutoscope.data.framing import picture
from mutoscope.data.skipped import by_reason
from mutoscope.formats.video import read_video

FRAMES, SIZE = 7, (32, 64)


@pytest.fixture
def sources(tmp_path: Path) -> list[FrameSource]:
    """Three videos of seven frames."""
    for number in range(3):
        write_avi(tmp_path / f"{number}.avi", pictures(number, FRAMES))
    return [FrameSource(str(number), tmp_path / f"{number}.avi", FRAMES) for number in range(3)]


def decoded(source: FrameSource) -> Any:
    frames, _ = read_video(source.path)
    return np.stack([picture(Image.fromarray(frame), SIZE) for frame in frames])


def test_frames_are_those_of_the_videos(sources: list[FrameSource], tmp_path: Path) -> None:
    cache = prepare_cache(tmp_path / "cache", sources, SIZE, workers=1)
    assert not cache.skipped
    for source in sources:
        wanted = np.array([6, 0, 3, 3])
        read = cache.read(cache.number(source.name), wanted)
        assert read.dtype == np.uint8
        assert np.array_equal(read, decoded(source)[wanted])


def test_pictures_are_resized_as_pillow_does_with_height_first() -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8))
    found = picture(image, (24, 16))
    assert found.shape == (3, 24, 16)
    # every output value is a mean with triangular weights over twice the scale
    scale, centre = 2.0, 11 + 0.5
    rows = np.arange(48) + 0.5
    weights = np.clip(1 - np.abs(rows - centre * scale) / scale, 0, None)
    column = np.asarray(image.resize((16, 48), Image.Resampling.BILINEAR), dtype=np.float64)
    expected = np.einsum("h,hwc->cw", weights / weights.sum(), column)
    np.testing.assert_allclose(found[:, 11], expected, atol=1)


def test_folders_of_pictures_are_videos_too(tmp_path: Path) -> None:
    folder = tmp_path / "17"
    folder.mkdir()
    for number in (10, 2, 1):
        Image.new("RGB", (20, 10), (number * 10, 0, 0)).save(folder / f"{number:04d}.png")
    (folder / "notes.txt").write_text("no picture")
    cache = prepare_cache(tmp_path / "cache", [FrameSource("17", folder, 3)], SIZE, workers=1)
    assert cache.read(0, np.arange(3))[:, 0, 0, 0].tolist() == [10, 20, 100]


def test_the_cache_is_mapped_anew_in_other_processes(sources: list[FrameSource], tmp_path: Path) -> None:
    cache = prepare_cache(tmp_path / "cache", sources, SIZE, workers=1)
    before = cache.read(1, np.arange(2))
    travelled = pickle.dumps(cache)
    assert len(travelled) < 10_000
    assert np.array_equal(pickle.loads(travelled).read(1, np.arange(2)), before)


def test_a_ready_cache_is_not_made_again(sources: list[FrameSource], tmp_path: Path) -> None:
    prepare_cache(tmp_path / "cache", sources, SIZE, workers=1)
    for source in sources:
        source.path.unlink()
    assert not prepare_cache(tmp_path / "cache", sources, SIZE, workers=1).skipped


def test_goes_on_after_a_kill(
    sources: list[FrameSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cache"
    killed = f"""
        import os
        from pathlib import Path
        from mutoscope.data import frame_cache
        decode, count = frame_cache.decode, []
        def deadly(task):
            count.append(task)
            if len(count) == 3:
                os._exit(9)
            return decode(task)
        frame_cache.decode = deadly
        sources = [frame_cache.FrameSource(str(n), Path({str(tmp_path)!r}) / f"{{n}}.avi", {FRAMES}) for n in range(3)]
        frame_cache.prepare_cache(Path({str(path)!r}), sources, {SIZE}, workers=1)
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(killed)], capture_output=True).returncode == 9
    assert not path.exists()
    with pytest.raises(FileNotFoundError, match="prepare_data"):
        FrameCache(path)
    with (tmp_path / "cache.parts" / "done.jsonl").open("a") as journal:
        journal.write('["2", nul')
    seen = []
    decode = frame_cache.decode
    monkeypatch.setattr(frame_cache, "decode", lambda task: seen.append(task.source.name) or decode(task))
    cache = prepare_cache(path, sources, SIZE, workers=1)
    assert seen == ["2"]
    assert "2 videos are done already" in capsys.readouterr().out
    assert all(np.array_equal(cache.read(i, np.arange(FRAMES)), decoded(s)) for i, s in enumerate(sources))
    assert not (tmp_path / "cache.parts").exists()


def test_several_processes_make_the_same_cache(tmp_path: Path) -> None:
    write_avi(tmp_path / "one.avi", pictures(1, 2, (32, 32)))
    names = [str(number) for number in range(50)]
    for name in names:
        shutil.copy(tmp_path / "one.avi", tmp_path / f"{name}.avi")
    sources = [FrameSource(name, tmp_path / f"{name}.avi", 2) for name in names]
    many = prepare_cache(tmp_path / "many", sources, (32, 32), workers=2)
    one = prepare_cache(tmp_path / "one", sources, (32, 32), workers=1)
    assert (many.path / "frames.bin").read_bytes() == (one.path / "frames.bin").read_bytes()


def test_unusable_videos_are_left_out_with_reasons(sources: list[FrameSource], tmp_path: Path) -> None:
    whole = sources[0].path.read_bytes()
    header = whole.index(b"movi")
    (tmp_path / "cut.avi").write_bytes(whole[: (header + whole.index(b"idx1")) // 2])
    (tmp_path / "text.avi").write_text("no video at all")
    (tmp_path / "empty.avi").write_bytes(b"")
    write_avi(tmp_path / "long.avi", pictures(0, FRAMES + 1))
    bad = [FrameSource(name, tmp_path / f"{name}.avi", FRAMES) for name in ("cut", "text", "empty", "long", "absent")]
    cache = prepare_cache(tmp_path / "cache", [bad[0], *sources, *bad[1:]], SIZE, workers=1)
    reasons = {skipped.name: skipped.reason for skipped in cache.skipped}
    assert reasons == {
        "cut": "wrong number of frames",
        "text": "video cannot be decoded",
        "empty": "video cannot be decoded",
        "long": "wrong number of frames",
        "absent": "no video",
    }
    assert "2 wrong number of frames" in by_reason(cache.skipped)
    assert all(str(tmp_path / skipped.name) in skipped.detail for skipped in cache.skipped)
    for source in sources:
        assert np.array_equal(cache.read(cache.number(source.name), np.arange(FRAMES)), decoded(source))
    with pytest.raises(KeyError):
        cache.number("cut")


def test_broken_pictures_are_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "1"
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(folder / "0001.jpg")
    whole = (folder / "0001.jpg").read_bytes()
    (folder / "0002.jpg").write_bytes(whole[: len(whole) // 2])
    cache = prepare_cache(tmp_path / "cache", [FrameSource("1", folder, 2)], SIZE, workers=1)
    assert cache.skipped[0].reason == "video cannot be decoded"


def test_frames_outside_a_video_are_refused(sources: list[FrameSource], tmp_path: Path) -> None:
    cache = prepare_cache(tmp_path / "cache", sources, SIZE, workers=1)
    for frames in ([0, FRAMES], [-1]):
        with pytest.raises(IndexError, match="frames 0 to 6"):
            cache.read(0, np.array(frames))


def test_too_small_a_disk_is_refused_beforehand(
    sources: list[FrameSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(frame_cache.shutil, "disk_usage", lambda path: usage(10, 5, 5))
    with pytest.raises(OSError, match=r"3 videos at 32x64 take 0\.0 GB, .* room for 0\.0 GB; make room"):
        prepare_cache(tmp_path / "cache", sources, SIZE, workers=1)
    assert not (tmp_path / "cache").exists()


def test_the_size_is_told_beforehand(
    sources: list[FrameSource], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare_cache(tmp_path / "cache", sources, (320, 320), workers=1)
    assert f"3 videos once to 320x320: {3 * FRAMES * 3 * 320 * 320 / 1e9:.2g} GB" in capsys.readouterr().out


def test_a_damaged_cache_is_a_sentence(sources: list[FrameSource], tmp_path: Path) -> None:
    path = tmp_path / "cache"
    cache = prepare_cache(path, sources, SIZE, workers=1)
    index = json.loads((path / "index.json").read_text())
    with (cache.path / "frames.bin").open("r+b") as file:
        file.truncate(100)
    with pytest.raises(ValueError, match=r"holds 100 bytes, expected \d+; delete the folder"):
        FrameCache(path)
    (path / "index.json").write_text(json.dumps({k: v for k, v in index.items() if k != "frames"}))
    with pytest.raises(ValueError, match="no entry 'frames'; delete"):
        FrameCache(path)
    (path / "index.json").write_text(json.dumps(index | {"format": 99}))
    with pytest.raises(ValueError, match="its format is 99"):
        FrameCache(path)


def test_names_must_differ_and_exist(sources: list[FrameSource], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same name"):
        prepare_cache(tmp_path / "cache", [sources[0], sources[0]], SIZE, workers=1)
    with pytest.raises(ValueError, match="no videos to decode"):
        prepare_cache(tmp_path / "cache", [], SIZE, workers=1)


def test_long_videos_are_written_a_part_at_a_time(
    sources: list[FrameSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_cache, "_AT_ONCE", 3)
    short = FrameSource("short", sources[0].path, FRAMES + 2)
    cache = prepare_cache(tmp_path / "cache", [sources[0], short, sources[1]], SIZE, workers=1)
    assert [skipped.name for skipped in cache.skipped] == ["short"]
    for source in sources[:2]:
        assert np.array_equal(cache.read(cache.number(source.name), np.arange(FRAMES)), decoded(source))


def test_a_disk_that_refuses_ends_the_preparation_and_keeps_what_is_done(
    sources: list[FrameSource], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, written = frame_cache._put, []

    def refused(task: Any, first: int, frames: Any) -> None:
        written.append(task.source.name)
        if len(written) == 2:
            task = replace(task, file=tmp_path / "nowhere" / "frames.bin")
        put(task, first, frames)

    monkeypatch.setattr(frame_cache, "_put", refused)
    with pytest.raises(OSError, match=r"Frames cannot be written to .*What is done is kept; make room and go on"):
        prepare_cache(tmp_path / "cache", sources, SIZE, workers=1)
    cache = prepare_cache(tmp_path / "cache", sources, SIZE, workers=1)
    assert written == ["0", "1", "1", "2"]
    assert not cache.skipped
