"""Videos in the layout of Playable Video Generation: read as they are labelled, written as they are read."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mutations import absurd, refusal
from PIL import Image
from pvg_tree import FRAMES, SIZE, labels, pictures, write_tree, write_video

from mutoscope.data.registry import datamodule_class
from mutoscope.data.video.playable import PlayableVideo
from mutoscope.data.video.wsprites import WSprites
from mutoscope.formats.plain_pickles import PlainPickleError
from mutoscope.formats.pvg import Annotations, read_annotations, sprite_of, write_playable
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures.label_units import pixels_of_label
from mutoscope.verbs import export_data
from mutoscope.verbs.export import run_export

Compose = Callable[..., dict[str, Any]]


def opened(root: Path, **settings: Any) -> PlayableVideo:
    data = PlayableVideo(
        **{"root": str(root), "size": SIZE, "length": 4, "cache_dir": str(root.parent / "cache"), "cache_workers": 1}
        | settings
    )
    data.prepare_data()
    data.setup()
    return data


@pytest.fixture(scope="module")
def whole_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("pvg") / "root")


@pytest.fixture
def tree(whole_tree: Path, tmp_path: Path) -> Path:
    """A copy that tests may spoil."""
    return shutil.copytree(whole_tree, tmp_path / "root")


def test_clips_have_the_labels_of_their_steps(whole_tree: Path) -> None:
    data = opened(whole_tree)
    clips = data.dataset("train")
    assert (clips.videos, len(clips)) == (3, 3 * (FRAMES - 3))
    number = next(i for i in range(len(clips)) if clips.of_video[i] == 1 and clips.first[i] == 5)
    batch, told = clips.__getitems__([number]), labels(1)
    assert torch.equal(batch.frames[0], torch.from_numpy(pictures(1)[5:9]).permute(0, 3, 1, 2))
    assert torch.equal(batch.masks[0, :, 0] == 255, torch.from_numpy(pictures(1)[5:9, ..., 0] > 128))  # type: ignore[index]
    # the entry of a frame is about the way to it
    assert batch.actions is not None
    assert batch.actions[0].tolist() == told["local"][6:9]
    across, down = 32 * SIZE[1] / 128, 16 * SIZE[0] / 96
    expected = np.array(told["shifts"][6:9]) * (across, down)
    np.testing.assert_allclose(batch.shifts[0], expected, rtol=1e-6)  # type: ignore[index]
    expected = np.array(told["bg_shifts"][6:9]) * (-6.25 * SIZE[1] / 128, -4.6875 * SIZE[0] / 96)
    np.testing.assert_allclose(batch.background_shifts[0], expected, rtol=1e-6)  # type: ignore[index]
    assert batch.sprites is not None
    assert batch.sprites.tolist() == [3]
    assert data.info.classes == tuple("012345678")
    assert [len(data.dataset(split)) for split in ("val", "test")] == [3, 6]


def test_masks_are_kept_in_one_channel_and_those_kept_in_three_are_still_read(tree: Path) -> None:
    data = opened(tree)
    masks, frames = data._masks_path / "frames.bin", data._frames_path / "frames.bin"
    assert 3 * masks.stat().st_size == frames.stat().st_size
    wanted = data.dataset("train").video(0).masks
    # as they were kept before
    index = json.loads((data._masks_path / "index.json").read_text())
    kept = np.fromfile(masks, np.uint8).reshape(-1, 1, *SIZE)
    np.broadcast_to(kept, (len(kept), 3, *SIZE)).tofile(masks)
    old = {key: value for key, value in index.items() if key != "channels"} | {"format": 2}
    (data._masks_path / "index.json").write_text(json.dumps(old))
    found = opened(tree).dataset("train").video(0).masks
    assert found is not None
    assert wanted is not None
    assert torch.equal(found, wanted)
    # and one that was begun in three channels is begun again
    parts = data._masks_path.with_name("masks.parts")
    data._masks_path.rename(parts)
    (parts / "index.json").unlink()
    (parts / "done.jsonl").write_text("".join(json.dumps([name, FRAMES]) + "\n" for name in index["names"]))
    again = opened(tree).dataset("train").video(0).masks
    assert again is not None
    assert torch.equal(again, wanted)
    assert 3 * masks.stat().st_size == frames.stat().st_size


def test_frames_that_are_left_out_still_move(whole_tree: Path) -> None:
    every, thinned = opened(whole_tree).dataset("train"), opened(whole_tree, skip=2).dataset("train")
    whole, clip = every.video(0), thinned.__getitems__([1])
    assert torch.equal(clip.frames[0], whole.frames[0, 1:11:3])
    assert whole.shifts is not None
    assert whole.actions is not None
    for name in ("shifts", "background_shifts"):
        ways = getattr(whole, name)[0, 1:10].reshape(3, 3, 2).sum(1)
        torch.testing.assert_close(getattr(clip, name)[0], ways)
    assert clip.actions is not None
    assert clip.actions[0].tolist() == whole.actions[0, [3, 6, 9]].tolist()


def test_boxes_sizes_and_names(whole_tree: Path) -> None:
    data = opened(whole_tree, box=(16, 0, 48, 32), size=(16, 16), classes=[f"a{i}" for i in range(9)], max_videos=1)
    assert data.info.classes[8] == "a8"
    assert data.dataset("train").videos == 1
    found = data.dataset("train").video(0).frames[0, 0].permute(1, 2, 0).numpy()
    part = Image.fromarray(pictures(0)[0]).crop((16, 0, 48, 32)).resize((16, 16), Image.Resampling.BILINEAR)
    assert np.array_equal(found, np.asarray(part))


def test_what_is_missing_is_unknown(tree: Path) -> None:
    for number in range(2):
        shutil.rmtree(tree / "train" / f"sprite_000003_video_00{number}")
    write_video(tree / "train" / "00000", 0, [None] * FRAMES, masks=False, name="actions")
    write_video(tree / "train" / "00001", 1, masks=False)
    write_video(tree / "train" / "00002", 2, list(range(FRAMES)), masks=False, name="actions")
    data = opened(tree)
    first, second, third = (data.dataset("train").video(number) for number in range(3))
    for batch in (first, second):
        assert batch.masks is batch.actions is batch.shifts is batch.sprites is None
    assert third.actions is not None
    assert third.actions[0].tolist() == list(range(1, FRAMES))
    assert third.shifts is None


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda folder: (folder / "glactions.pkl").write_bytes(b"cos\nsystem\n."), "annotations cannot be read"),
        (lambda folder: (folder / "glactions.pkl").write_bytes(pickle.dumps([1])), "annotations cannot be read"),
        (lambda folder: (folder / "00003.png").unlink(), "folder of frames out of order"),
        (lambda folder: (folder / "masks" / "00013.png").unlink(), "masks missing"),
        (lambda folder: (folder / "00000.png").write_bytes(b"x"), "folder of frames out of order"),
    ],
)
def test_bad_videos_are_left_out_and_listed(tree: Path, spoil: Callable[[Path], object], reason: str) -> None:
    spoil(tree / "train" / "sprite_000003_video_000")
    data = opened(tree)
    assert data.dataset("train").videos == 2
    (line,) = (data._folder / "skipped.txt").read_text().splitlines()
    assert line.split("\t")[:2] == ["train/sprite_000003_video_000", reason]


def test_absurd_annotations_raise_nothing_else(tmp_path: Path) -> None:
    """Whatever stands in the lists."""
    folder = tmp_path / "video"
    folder.mkdir()
    for value in absurd(labels(0), 300):
        (folder / "glactions.pkl").write_bytes(pickle.dumps(value))
        error, found = refusal(PlainPickleError, lambda: read_annotations(folder, FRAMES, SIZE))
        if error is None:
            assert len(found.actions) == len(found.shifts) == len(found.background_shifts) == FRAMES - 1
            assert np.isfinite(found.shifts).all()


def test_a_perfect_predictor_scores_what_the_paper_shows() -> None:
    """Labels are not pixels, see the metrics."""
    assert pixels_of_label("foreground", (96, 128)) == (32, 16)
    assert pixels_of_label("background", (48, 64)) == (-3.125, -2.34375)
    assert sprite_of("sprite_000012_video_003") == 12
    assert sprite_of("00012") is None


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    frames, masks = pictures(0), (pictures(0)[..., 0] > 128).astype(np.uint8) * 255
    known = Annotations(
        np.arange(FRAMES - 1) % 9,
        np.linspace(-7, 7, 2 * (FRAMES - 1), dtype=np.float32).reshape(-1, 2),
        np.linspace(-2, 2, 2 * (FRAMES - 1), dtype=np.float32).reshape(-1, 2),
    )
    folder = write_playable(tmp_path / "train" / "a", frames, masks, known)
    found = read_annotations(folder, FRAMES, SIZE)
    for name in ("actions", "shifts", "background_shifts"):
        np.testing.assert_allclose(getattr(found, name), getattr(known, name), atol=1e-5)
    # Python's own reader gives what programs of the layout expect
    told = pickle.loads((folder / "glactions.pkl").read_bytes())
    assert set(told) == {"global", "local", "shifts", "bg_shifts"}
    assert {len(values) for values in told.values()} == {FRAMES}
    assert set(told["global"]) <= set(range(5))
    assert np.array_equal(np.asarray(Image.open(folder / "masks" / "00004.png")), masks[4])
    assert pickle.loads((folder / "rewards.pkl").read_bytes()) == [None] * FRAMES
    assert {path.name for path in tmp_path.joinpath("train").iterdir()} == {"a"}


def export(compose: Compose, out: Path, *words: str) -> Path:
    typed = {"": "wsprites"} if any(word.startswith("dataset=") for word in words) else {}
    return run_export(compose("format=pvg", f"out={out}", *words, verb="export"), typed)


SPRITES = ("dataset=wsprites", "dataset.characters=2", "dataset.videos=2", "dataset.frames=8", "dataset.length=5")


def test_sprites_are_exported_and_come_back(
    compose: Compose, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = export(compose, tmp_path / "sprites", *SPRITES, "splits=[train,val]")
    assert sorted(path.name for path in out.iterdir()) == ["mutoscope.json", "train", "val"]
    original = WSprites(characters=2, videos=2, frames=8, length=5)
    original.setup()
    data = opened(out, size=(96, 128), length=5)
    names = sorted(path.name for path in (out / "train").iterdir())
    assert names[0] == "sprite_000000_video_000"
    assert len(names) == 4
    by_name = {original.dataset("train").video(i).names[0].removesuffix("_0-7"): i for i in range(4)}
    for number, name in enumerate(names):
        ours, theirs = data.dataset("train").video(number), original.dataset("train").video(by_name[name])
        for field in ("frames", "masks", "actions", "sprites"):
            assert torch.equal(getattr(ours, field), getattr(theirs, field))
        for field in ("shifts", "background_shifts"):
            torch.testing.assert_close(getattr(ours, field), getattr(theirs, field), atol=1e-5, rtol=0)
    capsys.readouterr()
    shutil.rmtree(out / "train" / names[1])
    export(compose, out, *SPRITES, "splits=[train,val]")
    assert "Wrote 1 videos" in capsys.readouterr().out
    with pytest.raises(ConfigError, match="holds something else"):
        export(compose, out, *SPRITES, "dataset.world_seed=1")


def test_several_processes_write_the_same_and_go_on_where_they_were_interrupted(
    compose: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = export(compose, tmp_path / "alone", *SPRITES, "splits=[train,val]")
    # what a worker is given, here in this process
    given: list[Any] = []

    def each(function: Any, items: Any, workers: int, title: str) -> Any:
        given.append((pickle.loads(pickle.dumps(function)), items))
        yield from ((i, given[-1][0](item)) for i, item in enumerate(items))

    monkeypatch.setattr(export_data, "each", each)
    monkeypatch.setattr(export_data, "_WORTHWHILE", 1)
    write, written = export_data.write_playable, []

    def deadly(folder: Path, *rest: Any) -> Path:
        if len(written) == 3:
            raise KeyboardInterrupt
        written.append(folder.name)
        return write(folder, *rest)

    monkeypatch.setattr(export_data, "write_playable", deadly)
    with pytest.raises(KeyboardInterrupt):
        export(compose, tmp_path / "parts", *SPRITES, "splits=[train,val]")
    monkeypatch.setattr(export_data, "write_playable", write)
    capsys.readouterr()
    parts = export(compose, tmp_path / "parts", *SPRITES, "splits=[train,val]")
    assert "Wrote 5 videos" in capsys.readouterr().out
    assert [len(items) for _, items in given] == [8, 8]
    files = sorted(path.relative_to(alone) for path in alone.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(parts) for path in parts.rglob("*") if path.is_file())
    assert all((alone / name).read_bytes() == (parts / name).read_bytes() for name in files)


def test_own_videos_are_exported_without_labels(compose: Compose, tmp_path: Path) -> None:
    from written_videos import write_folder

    root = write_folder(tmp_path / "mine", videos=3)
    words = ("dataset=video_folder", f"dataset.root={root}", "dataset.size=[48,64]", f"dataset.cache_dir={tmp_path}")
    out = export(compose, tmp_path / "out", *words, "dataset.length=5", "videos=1")
    videos = sorted(path.relative_to(out).as_posix() for path in out.glob("*/*"))
    assert len(videos) == 2
    assert not list(out.rglob("glactions.pkl"))
    assert opened(out, size=(48, 64)).dataset("train").video(0).frames.shape == (1, 20, 3, 48, 64)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), r"format=pvg writes a data set; name it, e\.g\. dataset=wsprites"),
        (("dataset=wsprites", "checkpoint=x.ckpt"), "writes a data set, no model; leave out checkpoint="),
        (("dataset=toy_motion",), "holds motion data; those that fit: .*wsprites"),
        ((*SPRITES, "splits=[all]"), "splits names 'all', expected some of train, val, test"),
        ((*SPRITES, "videos=0"), "videos is 0, expected at least 1"),
    ],
)
def test_exports_that_cannot_be_meant_are_said(
    compose: Compose, tmp_path: Path, words: tuple[str, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        export(compose, tmp_path / "out", *words)
    assert not (tmp_path / "out").exists()


def test_tennis_and_bair_are_cut_as_in_the_paper() -> None:
    tennis, bair = datamodule_class("tennis")(), datamodule_class("bair")()
    assert isinstance(tennis, PlayableVideo)
    assert isinstance(bair, PlayableVideo)
    assert (tennis.size, tennis.length, tennis.skip, tennis.val_length, tennis.val_skip) == ((96, 256), 12, 4, 16, 0)
    assert (bair.size, bair.length, bair.skip, bair.val_length, bair.batch_size) == ((256, 256), 12, 0, 30, 2)
    with pytest.raises(FileNotFoundError, match="tennis was given no folder; expected the folder Tennis"):
        tennis.prepare_data()


def test_all_sprites_are_listed_in_seconds() -> None:
    data = WSprites()
    data.setup()
    assert [data.dataset(split).videos for split in ("train", "val", "test")] == [10370, 1300, 1290]  # type: ignore[arg-type]
    assert len(data.dataset("train")) == 10370 * 79
