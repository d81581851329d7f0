"""Something-Something V2 on small trees: webm videos or pictures, tables or the public JSON, filters, windows."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from something_tree import SPLITS, UP, VIDEOS, good, pictures, records, table, write_something_tree

from mutoscope.data.action_graph.smthv2 import SomethingV2
from mutoscope.data.action_graph.something_table import Purpose, SomethingTable, SomethingVideo
from mutoscope.data.registry import datamodule_class
from mutoscope.formats.something_else import BoxError, parse_boxes, read_boxes, read_labels, read_mapping
from mutoscope.structures import ActionGraphBatch

SETTINGS: dict[str, Any] = {"size": 32, "length": 8, "cache_workers": 1, "frame_stride": 1}


def write_pictures(folder: Path, shown: NDArray[np.uint8]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(shown, start=1):
        Image.fromarray(one).save(folder / f"{number:04d}.jpg", quality=95)


@pytest.fixture(scope="module")
def whole_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_something_tree(tmp_path_factory.mktemp("smth") / "root")


@pytest.fixture
def tree(whole_tree: Path, tmp_path: Path) -> Path:
    """A copy that tests may spoil."""
    return shutil.copytree(whole_tree, tmp_path / "root")


def ready(root: Path, cache: Path, **settings: Any) -> SomethingV2:
    data = SomethingV2(**{**SETTINGS, "root": str(root), "cache_dir": str(cache)} | settings)
    data.prepare_data()
    data.setup()
    return data


def left_out(cache: Path) -> dict[str, str]:
    """Reasons by video."""
    (report,) = cache.rglob("skipped.txt")
    return dict(line.split("\t")[:2] for line in report.read_text().splitlines())


def source(
    track: list[dict[str, Any]], purpose: Purpose = "train", instances: int = 2, stride: int = 1
) -> SomethingTable:
    video = SomethingVideo("1", purpose, 1, instances, (64, 48), parse_boxes("1", track, None))
    return SomethingTable.of([video], sorted({"hand", *video.track.category}), stride)


def test_is_described_and_yields_clips(whole_tree: Path, tmp_path: Path) -> None:
    assert datamodule_class("smthv2") is SomethingV2
    data = ready(whole_tree, tmp_path, mapping="mapping.json")
    vocabulary = data.info.need_vocabulary()
    assert dict(vocabulary.attributes)["object"] == ("__image__", "cloth", "cup", "hand", "pen")
    assert (data.info.fps, data.info.frame_size, data.info.length) == (12.0, (32, 32), 8)
    pair = data.dataset("train").__getitems__([0, 1, 2])
    assert pair.layout.frames is None
    assert pair.frames.frames.shape == (3, 4, 3, 32, 32)
    batch = data.dataset("test").__getitems__([0])
    assert isinstance(batch, ActionGraphBatch)
    assert batch.graph.attributes[:, 0].tolist() == [4, 1, 3]
    assert batch.graph.relations.tolist() == [[0, 0, 2], [1, 0, 2]]
    assert torch.stack([batch.graph.subject, batch.graph.object]).tolist() == [[2, 0], [0, 1]]
    assert set(batch.graph.action.tolist()) == {vocabulary.action("cover")}
    # the third frame is the first with the hand
    assert batch.frames is not None
    shade = batch.frames[0, :, 1, 16, 28].float()
    expected = torch.linspace(30, 220, 26)[2:10]
    assert (shade - expected).abs().max() < 12
    assert not list(tmp_path.rglob("skipped.txt"))


def test_pictures_are_as_good_as_videos(tree: Path, tmp_path: Path) -> None:
    videos = ready(tree, tmp_path / "a").dataset("test").__getitems__([0])
    shutil.rmtree(tree / "videos")
    for name, (_, _, frames) in VIDEOS.items():
        write_pictures(tree / "frames" / name, pictures(name, frames))
    found = ready(tree, tmp_path / "b").dataset("test").__getitems__([0])
    assert found.names == videos.names
    assert torch.equal(found.boxes, videos.boxes)
    assert found.frames is not None
    assert videos.frames is not None
    assert (found.frames.float() - videos.frames.float()).abs().mean() < 6


def test_the_public_labels_and_every_category_its_own(tree: Path, tmp_path: Path) -> None:
    for split in SPLITS:
        (tree / f"{split}.csv").unlink()
    for split, file in (("train", "train"), ("val", "validation")):
        names = SPLITS["train"] if split == "train" else SPLITS["val"] + SPLITS["test"]
        entries = [
            {"id": name, "label": "x", "template": VIDEOS[name][0], "placeholders": VIDEOS[name][1]} for name in names
        ]
        (tree / f"something-something-v2-{file}.json").write_text(json.dumps(entries))
    data = ready(tree, tmp_path)
    assert dict(data.info.need_vocabulary().attributes)["object"] == ("__image__", "a cup", "blue pen", "cloth", "hand")
    # of two videos, one for validation and one for the test
    assert [len(data.videos(split)) for split in ("train", "val", "test")] == [3, 1, 1]


def test_what_does_not_fit_is_left_out_with_a_reason(tree: Path, tmp_path: Path) -> None:
    rows = [good(name) for name in SPLITS["train"]] + [
        ("91", UP, ["a cup"], 2, "broken"),
        ("92", "Turning [something] upside down", ["a cup"], 2, ""),
        ("93", UP, ["a cup"], 3, ""),
        ("94", UP, ["a unicorn"], 2, ""),
        ("95", UP, ["a cup"], 2, ""),
        ("96", UP, ["a cup"], 2, ""),
        ("97", UP, ["a cup"], 2, ""),
        ("98", UP, ["a cup"], 2, ""),
        ("99", UP, ["a cup"], 2, ""),
    ]
    (tree / "train.csv").write_text(table(rows))
    for name in ("96", "97", "98"):
        shutil.copy(tree / "videos" / "13.webm", tree / "videos" / f"{name}.webm")
    (tree / "videos" / "99.webm").write_bytes(b"no video at all")
    bad = {
        "97": records("97", ["a cup"], 40),
        "98": [{"name": "98/0001.jpg"}],
        "99": records("99", ["a cup"], 14),
    }
    (tree / "boxes" / "part3.json").write_text(json.dumps(bad))
    data = ready(tree, tmp_path, mapping="mapping.json")
    assert len(data.videos("train")) == 3
    assert left_out(tmp_path) == {
        "91": "marked as bad",
        "92": "other action",
        "93": "wrong number of instances",
        "94": "category not in the mapping",
        "95": "no video",
        "96": "no boxes",
        "97": "wrong number of frames",
        "98": "malformed boxes",
        "99": "video cannot be decoded",
    }


def test_windows_begin_within_the_action_and_short_ones_repeat_their_end() -> None:
    track = records("1", ["a cup"], 20, hand=range(3, 16))
    found = source(track)
    assert found.span(0) == (3, 16)
    assert found.starts(0, 4).tolist() == list(range(3, 12))
    assert found.starts(0, 16).tolist() == [3]
    clip = found.cut(0, 3, 16)
    assert clip.raw.tolist() == [*range(3, 16), 15, 15, 15]
    assert (clip.boxes[:, 12:] == clip.boxes[:, 12:13]).all()
    np.testing.assert_allclose(clip.progress, [[1 / 13, 14 / 13]], rtol=1e-6)
    # seven frames are too few to train with, but enough to validate
    short = records("1", ["a cup"], 20, hand=range(3, 10))
    assert source(short).starts(0, 16).tolist() == []
    assert source(short).starts(0, 4).tolist() == [3, 4, 5]
    assert source(short, "val").starts(0, 16).tolist() == [3]


def test_test_clips_go_beyond_the_action_but_not_beyond_the_video() -> None:
    found = source(records("1", ["a cup"], 20, hand=range(3, 10)), "test")
    start = found.test_start(0, 16)
    assert start == 3
    clip = found.cut(0, start, 16)
    assert clip.raw.tolist() == list(range(3, 19))
    np.testing.assert_allclose(clip.progress, [[1 / 7, 17 / 7]], rtol=1e-6)
    assert source(records("1", ["a cup"], 18, hand=range(3, 10)), "test").test_start(0, 16) is None


def test_every_second_frame() -> None:
    found = source(records("1", ["a cup"], 40), "train", stride=2)
    start = int(found.starts(0, 8)[0])
    assert found.cut(0, start, 8).raw.tolist() == list(range(start, start + 16, 2))
    assert found.starts(0, 8).max() == 40 - 16 - 1


def test_missing_boxes_are_those_of_the_frame_before() -> None:
    track = records("1", ["a cup"], 20, hand=range(20))
    track[5]["labels"] = [one for one in track[5]["labels"] if one["category"] == "hand"]
    found = source(track)
    boxes = found.cut(0, 2, 8).boxes
    assert (boxes[0, 3] == boxes[0, 2]).all()
    assert not (boxes[0, 4] == boxes[0, 3]).all()
    np.testing.assert_allclose(boxes[0, 0], [2 / 64, 4 / 48, 40 / 64, 20 / 48], rtol=1e-6)


def test_windows_count_only_where_the_hand_is_the_last_to_appear() -> None:
    """Against a naive reading of every window."""
    rng, accepted = np.random.default_rng(3), 0
    for trial in range(30):
        track = records("1", ["a cup", "cloth"], 24, hand=range(1, 24))
        for record in track:
            record["labels"] = [one for one in record["labels"] if rng.uniform() > 0.5]
            rng.shuffle(record["labels"])
        for record in (track[1], track[22]):
            record["nr_instances"] = 3
        found = source(track, "val", instances=3)
        first, end = found.span(0)
        expected = []
        for start in range(first, max(end - 6, first + 1)):
            order: list[str] = []
            for record in track[start : start + 6]:
                order += [one["category"] for one in record["labels"] if one["category"] not in order]
            if len(order) == 3 and order[-1] == "hand":
                expected.append(start)
                names = [found.categories[i - 1] for i in found.cut(0, start, 6).attributes[:, 0]]
                assert names == order
        assert found.starts(0, 6).tolist() == expected, trial
        accepted += len(expected)
    assert accepted > 20


def test_of_several_records_of_a_frame_the_first_counts() -> None:
    track = records("1", ["a cup"], 4)
    again = [*track[:2], {**track[1], "labels": []}, *track[2:]]
    one, two = parse_boxes("1", track, None), parse_boxes("1", again, None)
    assert (one.box == two.box).all()
    assert one.frames.tolist() == two.frames.tolist() == [0, 1, 2, 3]


def test_boxes_are_read_one_video_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "boxes.json"
    content = {str(i): [{"name": "{]}", "x": [i, {"}": '"'}]}] for i in range(5)}
    for text in (json.dumps(content), json.dumps(content, indent=3)):
        path.write_text(text)
        assert dict(read_boxes(path, {"1", "4", "7"})) == {"1": content["1"], "4": content["4"]}
    path.write_text("{}")
    assert dict(read_boxes(path, {"1"})) == {}
    for broken in (json.dumps(content)[:-9], "[1]", "", '{"1": [] "2": []}'):
        path.write_text(broken)
        with pytest.raises(ValueError, match=r"boxes\.json, line 1: it is no JSON object of boxes"):
            list(read_boxes(path, {"1"}))


def test_bad_files_are_named(tree: Path, tmp_path: Path) -> None:
    for make, error, said in (
        (lambda: SomethingV2(**SETTINGS).prepare_data(), FileNotFoundError, "was given no folder"),
        (lambda: ready(tmp_path / "nowhere", tmp_path), FileNotFoundError, "no folder .*nowhere"),
        (lambda: ready(tree, tmp_path, mapping="absent.json"), FileNotFoundError, "no mapping of categories"),
        (lambda: ready(tree, tmp_path, boxes="absent"), FileNotFoundError, "no boxes at absent"),
        (lambda: ready(tree, tmp_path, test_labels="absent.csv"), FileNotFoundError, "no file of labels .*absent"),
        (lambda: SomethingV2(frame_stride=0), ValueError, "frame_stride is 0"),
        (lambda: SomethingV2(cache_workers=0), ValueError, "cache_workers is 0"),
    ):
        with pytest.raises(error, match=said):
            make()
    (tree / "val.csv").unlink()
    with pytest.raises(FileNotFoundError, match="no labels of the val split"):
        ready(tree, tmp_path)
    path = tmp_path / "labels.csv"
    path.write_text("id,template\n1,x\n")
    with pytest.raises(ValueError, match=r"labels\.csv: it has no column placeholders"):
        read_labels(path)
    path = tmp_path / "mapping.json"
    for text, said in (("[", "no JSON"), ('{"a": 1}', "names to names"), ('{"a": "b"}', "does not map 'hand'")):
        path.write_text(text)
        with pytest.raises(ValueError, match=said):
            read_mapping(path)
    with pytest.raises(BoxError, match="video 7: 'hand' is not in the mapping") as caught:
        parse_boxes("7", records("7", ["a cup"], 9), {"a cup": "cup"})
    assert caught.value.reason == "category not in the mapping"


def test_a_video_cannot_be_in_two_splits(tree: Path, tmp_path: Path) -> None:
    (tree / "val.csv").write_text(table([good("11")]))
    with pytest.raises(ValueError, match="Video 11 is labelled twice"):
        ready(tree, tmp_path)


def as_folder(tree: Path, name: str, pattern: str = "{:04d}.jpg", order: int = 1) -> Path:
    """The frames of a video as pictures, in a folder."""
    folder = tree / "frames" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for number, one in enumerate(pictures(name, VIDEOS[name][2])[::order], start=1):
        Image.fromarray(one).save(folder / pattern.format(number), quality=95)
    return folder


def brightness(tree: Path, cache: Path, name: str) -> NDArray[np.float64]:
    data = ready(tree, cache)
    shown = data.cache.read(data.cache.number(name), np.arange(VIDEOS[name][2]))
    return np.asarray(shown[:, 0, :, -8:].mean(axis=(1, 2)))


def test_pictures_that_are_replaced_are_noticed_and_come_in_the_order_of_numbers(tree: Path, tmp_path: Path) -> None:
    as_folder(tree, "11")
    before = brightness(tree, tmp_path / "cache", "11")
    assert (np.diff(before) > 0).all()
    as_folder(tree, "11", order=-1)
    np.testing.assert_allclose(brightness(tree, tmp_path / "cache", "11"), before[::-1], atol=1)
    folder = as_folder(tree, "11", "frame{}.jpg")
    (folder / "._frame1.jpg").write_bytes(b"left by another system")
    np.testing.assert_allclose(brightness(tree, tmp_path / "cache", "11"), before, atol=1)
    # one picture among them
    Image.new("RGB", (64, 48), (255, 255, 255)).save(folder / "frame3.jpg")
    assert brightness(tree, tmp_path / "cache", "11")[2] > 250


def test_bad_pictures_and_pipes_cost_one_video_each(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(as_folder(tree, "11") / "0003.jpg", tree / "frames" / "11" / "0003.png")
    Image.fromarray(np.zeros((480, 640, 3), np.uint8)).save(as_folder(tree, "12") / "0005.jpg")
    (tree / "videos" / "21.webm").unlink()
    os.mkfifo(tree / "videos" / "21.webm")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    SomethingV2(root=str(tree), cache_dir=str(tmp_path / "c"), **SETTINGS).prepare_data()
    (report,) = (tmp_path / "c").rglob("skipped.txt")
    listed = report.read_text()
    assert "0003.jpg and 0003.png are the same frame; remove one" in listed
    assert "0005.jpg: it has more than 0 million pixels" in listed
    assert "21.webm: it is a pipe, expected a file" in listed
    assert len(listed.splitlines()) == 3


def test_a_damaged_file_of_boxes_costs_its_videos_alone(tree: Path, tmp_path: Path) -> None:
    lost = set(json.loads((tree / "boxes" / "part2.json").read_text()))
    (tree / "boxes" / "part2.json").write_text('{"11": [')
    data = SomethingV2(root=str(tree), cache_dir=str(tmp_path / "c"), **SETTINGS)
    data.prepare_data()
    assert left_out(tmp_path / "c") == dict.fromkeys(lost, "no boxes") | {"part2.json": "file of boxes cannot be read"}
    assert set(data.source.names) == set(VIDEOS) - lost
