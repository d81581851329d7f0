"""The CATER data module on small trees in its real format: windows, frames, exact resume, splits, bad input."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cater_tree import name_of, pictures, scene, write_avi, write_scene, write_tree
from places import ROOT

from mutoscope.data.action_graph.cater import Cater
from mutoscope.data.registry import datamodule_class
from mutoscope.formats.cater import read_scene, window_actions
from mutoscope.formats.video import read_video
from mutoscope.structures import CATER_VOCABULARY, ActionGraphBatch, ActionGraphPair, DatasetInfo

SETTINGS: dict[str, Any] = {"size": 32, "batch_size": 2, "cache_workers": 1}


@pytest.fixture(scope="module")
def whole_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tree(tmp_path_factory.mktemp("cater") / "max2action")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("cache"))


@pytest.fixture
def tree(whole_tree: Path, tmp_path: Path) -> Path:
    """A copy that tests may spoil."""
    return shutil.copytree(whole_tree, tmp_path / "max2action")


def ready(root: Path, cache: str | Path, **settings: Any) -> Cater:
    data = Cater(**{**SETTINGS, "root": str(root), "cache_dir": str(cache)} | settings)
    data.prepare_data()
    data.setup()
    return data


def same(a: ActionGraphBatch, b: ActionGraphBatch) -> bool:
    if a.names != b.names or (a.frames is None) != (b.frames is None):
        return False
    if a.frames is not None and b.frames is not None and not torch.equal(a.frames, b.frames):
        return False
    return torch.equal(a.boxes, b.boxes) and torch.equal(a.graph.progress, b.graph.progress)


def parts(name: str) -> tuple[str, int, int]:
    video, window = name.rsplit("_", 1)
    start, end = window.split("-")
    return video, int(start), int(end)


def test_is_registered_and_described(whole_tree: Path, cache: str) -> None:
    assert datamodule_class("cater") is Cater
    info = ready(whole_tree, cache).info
    assert (info.kind, info.fps, info.length, info.channels, info.frame_size) == ("action_graph", 8.0, 16, 3, (32, 32))
    assert info.classes == ("no_op", "slide", "contain", "rotate", "pick_place")
    assert DatasetInfo.from_dict(info.to_dict()) == info
    grey = torch.tensor([123.675, 116.28, 103.53])
    assert info.need_normaliser().normalise(grey).abs().max() < 1e-5


def test_config_builds_it(whole_tree: Path) -> None:
    from omegaconf import OmegaConf

    from mutoscope.config.nodes import build_dataset

    node = OmegaConf.load(ROOT / "conf" / "dataset" / "cater.yaml")
    node.seed, node.root = 3, str(whole_tree)
    built = build_dataset(OmegaConf.to_container(node, resolve=True))
    assert isinstance(built, Cater)
    assert built.seed == 3


def test_training_batches_pair_short_clips_with_frames_and_long_ones_without(whole_tree: Path, cache: str) -> None:
    data = ready(whole_tree, cache, layout_batch_size=5, frames_length=3, length=8)
    pair = next(iter(data.train_dataloader()))
    assert isinstance(pair, ActionGraphPair)
    assert pair.frames.frames is not None
    assert pair.frames.frames.shape == (2, 3, 3, 32, 32)
    assert pair.frames.frames.dtype == torch.uint8
    assert pair.frames.length == 3
    assert pair.layout.frames is None
    assert (len(pair.layout), pair.layout.length) == (5, 8)
    assert len(ready(whole_tree, cache).dataset("train").__getitems__([0, 1, 2]).layout) == 3


def test_clips_hold_what_scene_and_video_say(whole_tree: Path, cache: str) -> None:
    """Nodes, boxes, clocks and frames of a batch against the files themselves."""
    data = ready(whole_tree, cache)
    for clips in (data.dataset("train").__getitems__([0, 4, 8]).frames, next(iter(data.once("test")))):
        for i, name in enumerate(clips.names):
            video, start, end = parts(name)
            raw = np.arange(start, end, 3)
            one = clips.select([i])
            written = read_scene(whole_tree / "scenes" / f"{video}.json")
            assert np.array_equal(one.graph.attributes, written.attributes)
            assert np.array_equal(one.boxes, written.boxes[raw].swapaxes(0, 1))
            image = len(written.attributes) - 1
            assert one.graph.relations.tolist() == [[node, 0, image] for node in range(image)]
            assert one.graph.real.tolist() == [True] * image + [False]
            acts = window_actions(written.actions, written.boxes, start, end)
            assert len(acts.action) > 0
            for field in ("subject", "action", "object", "progress", "destination"):
                assert np.array_equal(getattr(one.graph, field), getattr(acts, field)), field
            assert clips.frames is not None
            film, _ = read_video(whole_tree / "videos" / f"{video}.avi")
            found = clips.frames[i].float().mean(dim=(2, 3))
            np.testing.assert_allclose(found, film[raw].mean(axis=(1, 2)), atol=1.5)


def test_clocks_follow_raw_frames(whole_tree: Path, cache: str) -> None:
    """At every frame of a clip an action is as far as its raw frame says."""
    clips = next(iter(ready(whole_tree, cache).once("test")))
    video, start, end = parts(clips.names[0])
    written = read_scene(whole_tree / "scenes" / f"{video}.json")
    first, last = written.actions[0, 3:]
    expected = (np.arange(start, end, 3) - first) / (last - first + 1)
    np.testing.assert_allclose(clips.graph.clocks(16)[:, 0], expected, atol=1e-4)


def test_windows_stay_within_the_actions_and_all_are_drawn(whole_tree: Path, cache: str) -> None:
    data = ready(whole_tree, cache)
    train = data.dataset("train")
    n = len(train)
    last = max(end for moves in scene(0, 301, 3)["movements"].values() for _, _, _, end in moves)
    drawn = train.__getitems__([0 + n * p for p in range(400)])
    starts = {parts(name)[1] for name in drawn.frames.names}
    assert min(starts) >= 0
    assert max(starts) <= min(last, 300) - 12
    assert len(starts) > 150
    assert {parts(name)[0] for name in drawn.frames.names} == {name_of(0)}
    assert {parts(name)[0] for name in drawn.layout.names} == {name_of(i) for i in range(3)}


def test_no_window_is_without_action(tree: Path, tmp_path: Path) -> None:
    """One action at the beginning and one at the end: nothing is drawn in between."""
    for number in range(5):
        content = scene(number, 301, 2)
        content["movements"] = {"cone_0": [["_slide", None, 0, 20], ["_slide", None, 280, 300]]}
        write_scene(tree / "scenes" / f"{name_of(number)}.json", content)
    train = ready(tree, tmp_path / "cache").dataset("train")
    drawn = train.__getitems__(list(range(3 * 60)))
    for batch, span in ((drawn.frames, 12), (drawn.layout, 48)):
        starts = np.array([parts(name)[1] for name in batch.names])
        assert ((starts <= 20) | (starts + span >= 280)).all()
        assert set(batch.graph.clip[batch.graph.subject].tolist()) == set(range(len(batch)))


def test_items_are_the_same_in_every_run_and_process(whole_tree: Path, cache: str) -> None:
    settings: dict[str, Any] = {"seed": 5}
    stream = iter(ready(whole_tree, cache, **settings).train_dataloader())
    batches = [next(stream) for _ in range(6)]
    resumed = ready(whole_tree, cache, num_workers=2, **settings)
    resumed.start_sample = 3 * resumed.batch_size
    again = iter(resumed.train_dataloader())
    for expected in batches[3:]:
        found = next(again)
        assert same(found.frames, expected.frames)
        assert same(found.layout, expected.layout)
    assert len({name for batch in batches for name in batch.frames.names}) > 6
    other = next(iter(ready(whole_tree, cache, seed=6).train_dataloader()))
    assert other.layout.names != batches[0].layout.names


def test_validation_does_not_depend_on_seed_or_other_videos(tmp_path: Path, cache: str) -> None:
    many = write_tree(tmp_path / "a", {"train": [0], "val": [1, 2, 3], "test": [4]})
    a, b = ready(many, cache), ready(many, cache, seed=9, max_videos=1, batch_size=1)
    all_of_a = a.dataset("val").__getitems__([0, 1, 2])
    assert same(all_of_a.select([0]), b.dataset("val").__getitems__([0]))
    assert len(b.dataset("val")) == len(b.dataset("test")) == 1
    more = ready(many, cache, windows_per_video=3)
    names = [name for batch in more.once("val") for name in batch.names]
    assert len(set(names)) == 9
    assert len(more.dataset("val").label) == 9


def test_test_windows_begin_with_the_first_action(whole_tree: Path, cache: str) -> None:
    (batch,) = ready(whole_tree, cache).once("test")
    assert batch.names == (f"{name_of(4)}_1-49",)


def test_scenes_too_short_for_a_test_window_have_none(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = scene(4, 301, 1)
    content["movements"] = {"cone_0": [["_slide", None, 100, 147]]}
    write_scene(tree / "scenes" / f"{name_of(4)}.json", content)
    data = ready(tree, tmp_path / "cache")
    assert "no window with an action: 1 no test clip of 16 frames." in capsys.readouterr().out
    with pytest.raises(ValueError, match="test split of 'cater' has 1 usable videos and in them no window of 16"):
        data.dataset("test")


def test_without_a_test_list_validation_is_divided(tmp_path: Path) -> None:
    numbers = range(100, 120)
    tree = write_tree(tmp_path / "a", {"train": [0], "val": list(numbers)}, objects=1, size=(16, 16))
    data = ready(tree, tmp_path / "cache")
    val, test = ({parts(n)[0] for batch in data.once(split) for n in batch.names} for split in ("val", "test"))
    assert (len(val), len(test)) == (6, 14)
    assert val | test == {name_of(number) for number in numbers}


def test_lists_are_found_where_cater_has_them_or_are_named(tree: Path, tmp_path: Path) -> None:
    folder = tree / "lists" / "actions_order_uniq"
    folder.mkdir()
    for file in (tree / "lists").glob("*.txt"):
        file.rename(folder / file.name)
    data = ready(tree, tmp_path / "cache")
    assert len(data.dataset("train")) == 3
    (folder / "train.txt").rename(tree / "mine.txt")
    with pytest.raises(FileNotFoundError, match=r"no list of the train split .* dataset\.train_list="):
        ready(tree, tmp_path / "cache")
    assert ready(tree, tmp_path / "cache", train_list="mine.txt").fingerprint == data.fingerprint


def test_unusable_videos_are_counted_and_listed(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = range(10, 16)
    write_tree(tmp_path / "more", {"x": list(bad)}, objects=2, size=(16, 16))
    for number in bad:
        shutil.copy(tmp_path / "more" / "videos" / f"{name_of(number)}.avi", tree / "videos")
        shutil.copy(tmp_path / "more" / "scenes" / f"{name_of(number)}.json", tree / "scenes")
    known = "CATER_new_004798"
    with (tree / "lists" / "train.txt").open("a") as file:
        file.write("".join(f"{name}.avi 1\n" for name in [*map(name_of, bad), known]))
    (tree / "videos" / f"{name_of(10)}.avi").unlink()
    write_avi(tree / "videos" / f"{name_of(11)}.avi", pictures(11, 300, (16, 16)))
    (tree / "scenes" / f"{name_of(12)}.json").unlink()
    content = scene(13, 301, 2)
    write_scene(tree / "scenes" / f"{name_of(13)}.json", {"objects": content["objects"]})
    del content["objects"][1]["locations"]
    write_scene(tree / "scenes" / f"{name_of(14)}.json", content)
    (tree / "videos" / f"{name_of(15)}.avi").write_bytes(b"RIFF")
    for _ in range(2):
        data = ready(tree, tmp_path / "cache")
        said = capsys.readouterr().out
        assert "cater: 7 videos are left out (" in said
        report = next((tmp_path / "cache").rglob("skipped.txt"))
        assert str(report) in said.replace("\n", "")
        reasons = dict(line.split("\t")[:2] for line in report.read_text().splitlines())
        assert reasons == {
            known: "known to be bad",
            name_of(10): "no video",
            name_of(11): "wrong number of frames",
            name_of(12): "no scene file",
            name_of(13): "no movements",
            name_of(14): "object without locations",
            name_of(15): "video cannot be decoded",
        }
        assert len(data.dataset("train")) == 3
        data.prepare_data()
        assert not capsys.readouterr().out


def test_nothing_usable_is_an_error(tree: Path, tmp_path: Path) -> None:
    for number in range(3):
        (tree / "videos" / f"{name_of(number)}.avi").write_bytes(b"RIFF")
    with pytest.raises(ValueError, match="train split of 'cater' has 0 usable videos"):
        ready(tree, tmp_path / "cache")
    for file in (tree / "scenes").iterdir():
        file.write_text("{}")
    with pytest.raises(ValueError, match=r"None of the 5 videos .* \(?5 no objects"):
        ready(tree, tmp_path / "cache2")


def test_a_missing_tree_is_a_sentence_with_its_address(tmp_path: Path) -> None:
    for root in (None, str(tmp_path / "nowhere"), str(tmp_path)):
        with pytest.raises(FileNotFoundError, match=r"https://github\.com/rohitgirdhar/CATER.*dataset\.root="):
            Cater(root=root, cache_dir=str(tmp_path / "cache")).prepare_data()


def test_setup_before_preparation_is_a_sentence(whole_tree: Path, tmp_path: Path) -> None:
    data = Cater(**SETTINGS, root=str(whole_tree), cache_dir=str(tmp_path))
    with pytest.raises(RuntimeError, match="not set up"):
        data.dataset("train")
    with pytest.raises(FileNotFoundError, match=r"prepare_data\(\)"):
        data.setup()


def test_fingerprint_follows_files_and_windows_but_not_the_seed(tree: Path, tmp_path: Path) -> None:
    def fingerprint(**settings: Any) -> str:
        return Cater(**SETTINGS | {"root": str(tree), "cache_dir": str(tmp_path)} | settings).fingerprint

    base = fingerprint()
    assert base == fingerprint(seed=1, batch_size=8, num_workers=3)
    changed = [fingerprint(**s) for s in ({"size": 64}, {"length": 8}, {"frames_length": 8}, {"max_videos": 1})]
    path = tree / "scenes" / f"{name_of(0)}.json"
    path.write_text(json.dumps(scene(77, 301, 3)))
    changed.append(fingerprint())
    assert len({base, *changed}) == 6


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"size": 48}, "multiple of 32"),
        ({"size": 0}, "multiple of 32"),
        ({"length": 1}, "at least 2"),
        ({"frames_length": 101}, "spans 303 raw frames"),
        ({"layout_batch_size": 0}, "at least 1"),
        ({"max_videos": 0}, "at least 1"),
        ({"windows_per_video": 0}, "at least 1"),
        ({"cache_workers": 0}, "at least 1"),
        ({"seed": -1}, "0 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Cater(root="anywhere", **settings)


def test_vocabulary_of_clips_is_caters(whole_tree: Path, cache: str) -> None:
    graph = ready(whole_tree, cache).dataset("train").__getitems__([0, 1, 2]).layout.graph
    assert (graph.attributes < torch.tensor(CATER_VOCABULARY.sizes)).all()
    slides = graph.action == CATER_VOCABULARY.action("slide")
    assert graph.destination[slides].abs().sum() > 0
    assert graph.destination[~slides].abs().sum() == 0
