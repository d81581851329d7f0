"""Videos of one's own: what is found, kept, held out, cut, turned, resampled and left out."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from written_videos import turned, write, write_sound

from mutoscope.data import frame_cache
from mutoscope.data.framing import Framing
from mutoscope.data.video.found_videos import find_videos
from mutoscope.data.video.shots import changes, cuts, moving
from mutoscope.data.video.video_folder import VideoFolder
from mutoscope.formats.decoding import TimedPicture, VideoError, at_rate
from mutoscope.formats.video import write_mp4

SIZE = (32, 48)
Videos = Callable[..., VideoFolder]


def film(seed: int, frames: int = 24, size: tuple[int, int] = (48, 64)) -> NDArray[np.uint8]:
    """A bright square that goes over a still ground; brightness of its first column tells the frame."""
    shown = np.full((frames, *size, 3), 30 + 20 * (seed % 5), np.uint8)
    for number in range(frames):
        shown[number, 10:20, number % 40 : number % 40 + 10] = 250
    return shown


def opened(root: Path, cache: Path, **settings: Any) -> VideoFolder:
    chosen: dict[str, Any] = {"size": SIZE, "length": 4, "cache_workers": 1, **settings}
    data = VideoFolder(root=str(root), cache_dir=str(cache), **chosen)
    data.prepare_data()
    data.setup()
    return data


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen good videos, one of them a folder of frames, and one of every defect."""
    root = tmp_path_factory.mktemp("mine")
    for number in range(11):
        place = root / ("walks" if number % 2 else "") / f"{number:02d}.mp4"
        place.parent.mkdir(exist_ok=True)
        write_mp4(place, film(number), 10)
    frames = root / "frames" / "one"
    frames.mkdir(parents=True)
    for number, one in enumerate(film(3, 12)):
        Image.fromarray(one).save(frames / f"{number}.png")
    (root / ".hidden.mp4").write_bytes(b"")
    (root / "broken.mp4").write_bytes((root / "00.mp4").read_bytes()[:900])
    (root / "empty.webm").write_bytes(b"")
    write_sound(root / "song.mp4")
    write(root / "single.mp4", [film(0)[0]])
    write(root / "tiny.mkv", [np.zeros((8, 8, 3), np.uint8)] * 9, codec="ffv1", pixels="bgr0")
    write_mp4(root / "short.mp4", film(1, 3), 10)
    (root / "notes.txt").write_text("no video")
    return root


@pytest.fixture(scope="module")
def videos(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Videos:
    """``videos(...)``: the folder with further settings; decoded once."""
    cache = tmp_path_factory.mktemp("cache")

    def made(**settings: Any) -> VideoFolder:
        return opened(folder, cache, **settings)

    return made


def test_what_can_be_used_is_found_and_the_rest_is_listed(videos: Videos, capsys: pytest.CaptureFixture[str]) -> None:
    data = videos()
    assert {"00.mp4", "walks/01.mp4", "frames/one"} <= set(data.cache.names)
    assert ".hidden.mp4" not in find_videos(Path(str(data.root)))
    lines = (data._folder / "skipped.txt").read_text().splitlines()
    reasons = {name: reason for name, reason, _ in (line.split("\t") for line in lines)}
    assert reasons == {
        "broken.mp4": "video cannot be decoded",
        "empty.webm": "video cannot be decoded",
        "song.mp4": "sound without pictures",
        "single.mp4": "one frame",
        "tiny.mkv": "tiny frames",
        "short.mp4": "shorter than a clip",
    }
    assert "6 videos are left out" in capsys.readouterr().out
    train, val = data.dataset("train"), data.dataset("val")
    assert train.videos + val.videos == 12 + 1
    batch = train.__getitems__([0, len(train) - 1])
    assert batch.frames.shape == (2, 4, 3, *SIZE)
    assert batch.masks is None
    assert batch.actions is None
    assert data.info.classes == ()
    assert "0 classes" not in data.describe()


def test_clips_are_windows_of_their_videos(videos: Videos) -> None:
    data = videos(skip=1, stride=3)
    clips = data.dataset("train")
    here = [i for i in range(len(clips)) if clips.of_video[i] == clips.of_video[0]]
    assert [int(clips.first[i]) for i in here] == [0, 3, 6, 9, 12, 15]
    whole = clips.video(0).frames[0]
    batch = clips.__getitems__([1])
    assert torch.equal(batch.frames[0], whole[3:10:2])
    assert batch.names[0].endswith("_3-9")
    assert data.info.fps == 5
    val = data.dataset("val")
    assert set(np.diff(val.first[val.of_video == val.of_video[0]])) == {7}


def test_who_is_held_out_depends_on_names_alone(videos: Videos, folder: Path, tmp_path: Path) -> None:
    def held(data: VideoFolder) -> set[str]:
        return {data.cache.names[take.video] for take in data.takes()["val"]}

    data = videos(val_fraction=0.3)
    assert 0 < len(held(data)) < 9
    assert held(data) == held(videos(val_fraction=0.3, seed=7, stride=2))
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    for name in ("00.mp4", "walks/01.mp4", "02.mp4", "walks/03.mp4", "04.mp4"):
        (fewer / name).parent.mkdir(exist_ok=True)
        os.link(folder / name, fewer / name)
    among = held(data) & set(find_videos(fewer))
    assert among <= held(opened(fewer, tmp_path / "cache", val_fraction=0.3))
    split = videos(val_fraction=0.3, test_fraction=0.3).takes()
    names = [{take.video for take in takes} for takes in split.values()]
    assert not names[0] & names[1] | names[1] & names[2] | names[0] & names[2]
    with pytest.raises(ValueError, match=r"test split of 'video_folder' has 0 usable videos"):
        data.dataset("test")


def test_lists_say_who_is_held_out(videos: Videos, tmp_path: Path) -> None:
    chosen = tmp_path / "val.txt"
    chosen.write_text("02.mp4\nwalks/03.mp4\n\nbroken.mp4\n")
    data = videos(val_list=str(chosen))
    assert {data.cache.names[take.video] for take in data.takes()["val"]} == {"02.mp4", "walks/03.mp4"}
    assert len(data.takes()["train"]) == 11
    with pytest.raises(ValueError, match=r"'02\.mp4' stands in .*_list and in .*_list; a video has one split"):
        videos(val_list=str(chosen), train_list=str(chosen))
    chosen.write_text("20.mp4\n")
    with pytest.raises(ValueError, match=r"val\.txt \(val_list\): There is no video '20\.mp4'.* Did you mean"):
        videos(val_list=str(chosen))


def test_of_one_video_the_end_is_held_out_and_few_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "one"
    root.mkdir()
    write_mp4(root / "a.mp4", film(0, 40), 10)
    data = opened(root, tmp_path / "cache")
    assert "there is one video, a.mp4; its last fifth is held out" in capsys.readouterr().out
    assert data.takes()["train"] == [(0, 0, 32)]
    assert data.takes()["val"] == [(0, 32, 40)]
    write_mp4(root / "b.mp4", film(1, 40), 10)
    data = opened(root, tmp_path / "cache")
    assert "there are 2 videos only" in capsys.readouterr().out
    assert len(data.takes()["train"]) == len(data.takes()["val"]) == 1


def test_no_clip_goes_over_a_cut(tmp_path: Path) -> None:
    root = tmp_path / "cut"
    root.mkdir()
    dark, bright = film(0, 15), 255 - film(0, 15)
    flash = dark.copy()
    flash[7] = 255
    write_mp4(root / "a.mp4", np.concatenate([dark, bright, flash]), 10)
    write_mp4(root / "b.mp4", dark, 10)
    data = opened(root, tmp_path / "cache")
    takes = [take for part in data.takes().values() for take in part if data.cache.names[take.video] == "a.mp4"]
    assert [(take.first, take.stop) for take in takes] == [(0, 15), (15, 30), (30, 45)]
    for split in ("train", "val"):
        for clip in range(len(data.dataset(split))):
            frames = data.dataset(split).__getitems__([clip]).frames[0].float().mean((1, 2, 3))
            assert frames.diff().abs().max() < 60 or frames.max() > 250
    whole = opened(root, tmp_path / "cache", cut_threshold=None)
    assert sum(len(part) for part in whole.takes().values()) == 2


def test_clips_in_which_nothing_moves_are_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    still = np.repeat(film(0)[:1], 20, axis=0)
    noise = np.random.default_rng(0).integers(0, 6, still.shape, dtype=np.uint8)
    root = tmp_path / "mine"
    root.mkdir()
    write_mp4(root / "one.mp4", np.concatenate([still + noise, film(0, 20), still + noise, film(0, 15)]), 10)
    every = opened(root, tmp_path)
    some = opened(root, tmp_path, least_motion=0.003)
    kept = some.dataset("train").first
    # the square moves by a pixel a frame from frame 20 to 39, and jumps back afterwards; the last fifth is held out
    assert set(range(20, 37)) & set(every.dataset("train").first) <= set(kept) < set(every.dataset("train").first)
    assert kept.min() >= 17
    assert kept.max() <= 39
    whole = len(every.dataset("train")) + len(every.dataset("val"))
    left = whole - len(kept) - len(some.dataset("val"))
    assert f"{left} of {whole} clips are left out, in which less than 0.3 %" in capsys.readouterr().out
    assert every.fingerprint != some.fingerprint


def test_of_a_camera_that_shakes_much_is_moving_and_of_noise_nothing() -> None:
    grain = np.random.default_rng(1).integers(100, 110, (6, 3, 32, 48), dtype=np.uint8)
    assert not moving(grain).any()
    stripes = np.where(np.arange(48) // 4 % 2, 200, 50).astype(np.uint8)
    shaken = np.stack([np.roll(np.broadcast_to(stripes, (3, 32, 48)), 2 * at, axis=2) for at in range(6)])
    assert (moving(shaken)[1:] > 0.4).all()
    assert moving(shaken)[0] == 0


def test_moving_things_and_pans_are_no_cuts() -> None:
    ground = np.random.default_rng(0).integers(0, 256, (3, 6, 20), dtype=np.uint8)
    wide = ground.repeat(8, 1).repeat(16, 2)
    pan = np.stack([wide[..., 5 * i : 5 * i + 64] for i in range(20)])
    assert changes(pan).max() > 18
    assert cuts(changes(pan), 18) == []
    assert cuts(changes(np.concatenate([pan[:10], 255 - pan[10:]])), 18) == [10]


@pytest.mark.parametrize(("fps", "kept"), [(10.0, [0, 3, 6, 9]), (5.0, [0, 6]), (60.0, [0, 0, 1, 1, 2, 2])])
def test_videos_come_at_one_rate(fps: float, kept: list[int], tmp_path: Path) -> None:
    frames = [np.full((32, 48, 3), 20 * i, np.uint8) for i in range(12)]
    source = [TimedPicture(one, i / 30) for i, one in enumerate(frames)]
    found = [int(one[0, 0, 0]) // 20 for one in at_rate(source, fps, Path("a.mp4"))]
    assert found[: len(kept)] == kept
    assert len(found) == round(12 / 30 * fps)
    assert found[-1] <= 11


def test_frames_shown_for_different_times_are_shown_as_long(tmp_path: Path) -> None:
    frames = [np.full((32, 48, 3), 40 * i, np.uint8) for i in range(5)]
    root = tmp_path / "mine"
    root.mkdir()
    write(root / "a.mkv", frames, times=[0, 0.1, 0.2, 0.6, 0.7])
    write_mp4(root / "b.mp4", film(0), 10)
    data = opened(root, tmp_path / "cache", length=2)
    shown = data.cache.read(data.cache.number("a.mkv"), np.arange(9))[:, 0, 0, 0] / 40
    assert shown.round().astype(int).tolist()[:8] == [0, 1, 2, 2, 2, 2, 3, 4]
    with pytest.raises(VideoError, match="does not say when its frames are shown"):
        list(at_rate([TimedPicture(frames[0], None)], 10, root / "a.mkv"))
    with pytest.raises(VideoError, match="frame 2 is shown before the one it follows"):
        list(at_rate([TimedPicture(frames[0], 1.0), TimedPicture(frames[0], 0.5)], 10, root / "a.mkv"))


def test_phones_turn_their_videos(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    lying = np.zeros((12, 48, 64, 3), np.uint8)
    lying[:, :, :16] = 200
    turned(write(root / "a.mp4", list(lying)), (0, 1, -1, 0))
    write_mp4(root / "b.mp4", film(0), 10)
    data = opened(root, tmp_path / "cache", size=(64, 48))
    frame = data.cache.read(data.cache.number("a.mp4"), np.arange(1))[0, 0]
    assert frame.shape == (64, 48)
    assert frame[:15].min() > 150
    assert frame[18:].max() < 50


def test_other_shapes_are_cropped_letterboxed_or_stretched() -> None:
    shown = np.zeros((40, 80, 3), np.uint8)
    shown[:, :20], shown[:, 20:60], shown[:, 60:] = 50, 150, 250
    image = Image.fromarray(shown)
    assert (Framing("crop").of(image, (32, 32))[..., 1:-1] == 150).all()
    boxed = Framing("letterbox").of(image, (32, 32))[0]
    assert (boxed[:8] == 0).all()
    assert (boxed[24:] == 0).all()
    assert boxed[16, [2, 16, 29]].tolist() == [50, 150, 250]
    assert Framing("stretch").of(image, (32, 32))[0][0, [2, 16, 29]].tolist() == [50, 150, 250]
    assert (Framing("stretch", (0, 0, 20, 40)).of(image, (16, 16)) == 50).all()
    with pytest.raises(ValueError, match="is not within its 80x40 pixels"):
        Framing("stretch", (0, 0, 81, 40)).of(image, (16, 16))


def test_goes_on_where_it_was_interrupted(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decode, seen = frame_cache.decode, []

    def deadly(task: Any) -> Any:
        seen.append(task.source.name)
        if len(seen) == 5:
            raise KeyboardInterrupt
        return decode(task)

    monkeypatch.setattr(frame_cache, "decode", deadly)
    with pytest.raises(KeyboardInterrupt):
        opened(folder, tmp_path / "cache")
    first, seen[:] = seen[:4], [""] * 9
    data = opened(folder, tmp_path / "cache")
    assert not set(first) & set(seen)
    assert "4 videos are done already" in capsys.readouterr().out
    uninterrupted = opened(folder, tmp_path / "other")
    for name in data.cache.names:
        number, count = data.cache.number(name), int(data.cache.frames[data.cache.number(name)])
        theirs = uninterrupted.cache.read(uninterrupted.cache.number(name), np.arange(count))
        assert np.array_equal(data.cache.read(number, np.arange(count)), theirs)


def test_another_video_is_decoded_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    decode, seen = frame_cache.decode, []
    monkeypatch.setattr(frame_cache, "decode", lambda task: seen.append(task.source.name) or decode(task))
    root, cache = tmp_path / "mine", tmp_path / "cache"
    root.mkdir()
    for number in range(3):
        write_mp4(root / f"{number}.mp4", film(number), 10)
    (root / "broken.mp4").write_bytes((root / "0.mp4").read_bytes()[:900])
    before = opened(root, cache)
    assert sorted(seen) == ["0.mp4", "1.mp4", "2.mp4"]
    write_mp4(root / "walks" / "3.mp4", film(3), 10)
    write_mp4(root / "1.mp4", film(4, 30), 10)
    (root / "2.mp4").unlink()
    after = opened(root, cache)
    assert sorted(seen[3:]) == ["1.mp4", "walks/3.mp4"]
    assert after.cache.names == ("0.mp4", "1.mp4", "walks/3.mp4")
    assert after.cache.frames.tolist() == [24, 30, 24]
    assert after.fingerprint != before.fingerprint
    kept = before.cache.read(before.cache.number("0.mp4"), np.arange(24))
    assert np.array_equal(after.cache.read(after.cache.number("0.mp4"), np.arange(24)), kept)
    # who reads a video that is gone meanwhile reads on, and another size, rate or shape has frames of its own
    assert len(before.cache.read(before.cache.number("2.mp4"), np.arange(24))) == 24
    for settings in ({"fps": 5.0}, {"fit": "stretch"}, {"size": (16, 16)}):
        seen.clear()
        opened(root, cache, **settings)
        assert len(seen) == 3, settings
    seen.clear()
    capsys.readouterr()
    opened(root, cache)
    assert not seen
    assert "Decoding" not in capsys.readouterr().out


def test_frames_that_were_lost_or_cut_off_are_decoded_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = tmp_path / "mine", tmp_path / "cache"
    root.mkdir()
    for number in range(3):
        write_mp4(root / f"{number}.mp4", film(number), 10)
    data = opened(root, cache)
    frames = [data.cache.read(video, np.arange(24)) for video in range(3)]
    data.cache.file(0).unlink()
    data.cache.file(1).write_bytes(data.cache.file(1).read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"The frames of 0\.mp4 in .* are not whole; call prepare_data\(\)"):
        data._cache.__class__(data._store, data._keys, SIZE)
    again = opened(root, cache)
    assert all(np.array_equal(again.cache.read(video, np.arange(24)), frames[video]) for video in range(3))


def test_changed_files_are_decoded_again(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    write_mp4(root / "a.mp4", film(0), 10)
    before = opened(root, tmp_path / "cache")
    write_mp4(root / "a.mp4", film(4, 30), 10)
    after = opened(root, tmp_path / "cache")
    assert after.fingerprint != before.fingerprint
    assert after.cache.frames.tolist() == [30]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"root": None}, "video_folder was given no folder; expected a folder with videos"),
        ({"root": "/nowhere"}, "There is no folder /nowhere"),
        ({"size": (90, 128)}, r"size is \[90, 128\], expected \[height, width\], multiples of 16"),
        ({"fit": "zoom"}, "fit is 'zoom', expected one of crop, letterbox, stretch"),
        ({"fps": 0.0}, "fps is 0, expected frames per second"),
        ({"val_fraction": 1.0}, "val_fraction is 1 and test_fraction 0"),
        ({"cut_threshold": 300.0}, "cut_threshold is 300, expected grey levels"),
        ({"least_motion": 1.0}, "least_motion is 1, expected a share"),
        ({"least_motion": 0.9}, "less than 90 % of the pixels change are left out; lower least_motion"),
        ({"length": 1}, "length is 1, expected at least 2"),
        ({"length": 400}, "has 12 usable videos and in them no clip of 400 frames at 10 per second"),
    ],
)
def test_settings_that_cannot_be_meant_are_said(
    folder: Path, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    def ready() -> None:
        data = VideoFolder(
            **{"root": str(folder), "size": SIZE, "cache_dir": str(tmp_path), "cache_workers": 1} | settings
        )
        data.prepare_data()
        data.setup()

    with pytest.raises((ValueError, FileNotFoundError), match=message):
        ready()


def test_a_folder_without_a_usable_video_is_said(tmp_path: Path) -> None:
    root = tmp_path / "mine"
    root.mkdir()
    with pytest.raises(ValueError, match="There is no video below"):
        opened(root, tmp_path / "cache")
    write_sound(root / "song.mp4")
    with pytest.raises(ValueError, match=r"None of the 1 videos .* can be used: 1 sound without pictures"):
        opened(root, tmp_path / "cache")


def test_links_in_circles_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    (tmp_path / "a" / "x.mp4").write_bytes(b"")
    assert find_videos(tmp_path) == ["a/x.mp4"]


def test_real_videos(shared_dir: Path, tmp_path: Path) -> None:
    root = shared_dir / "data" / "real_videos"
    if not root.is_dir():
        pytest.skip(f"There are no real videos at {root}.")
    mine = tmp_path / "mine"
    mine.mkdir()
    for name in ("nasa_13013.mp4", "person-bicycle-car-detection.gif"):
        (mine / name).symlink_to(root / name)
    data = opened(mine, tmp_path / "cache", size=(96, 128), length=12)
    assert abs(int(data.cache.frames[data.cache.number("nasa_13013.mp4")]) - 390 / 29.97 * 10) < 2
    takes = [
        take for part in data.takes().values() for take in part if take.video == data.cache.number("nasa_13013.mp4")
    ]
    # one cut, eight seconds in
    assert [take.first for take in takes] == [0, pytest.approx(80, abs=1)]
    assert data.cache.skipped == ()
