"""Replay the recorded CATER samples: projection, boxes, action rows of windows, frames, collation."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open

from mutoscope.data.action_graph.cater_scenes import SceneTable
from mutoscope.data.action_graph.clips import IMAGENET, Clip
from mutoscope.data.framing import picture
from mutoscope.formats.cater import project, read_scene, window_actions
from mutoscope.structures import CATER_VOCABULARY

Recorded = dict[str, NDArray[Any]]
ATOL, RTOL = 1e-4, 1e-4
FLOAT16 = 2e-3


class Golden:
    """One recorded file, the scenes beside it, and which of its outputs were compared."""

    def __init__(self, path: Path) -> None:
        with safe_open(path, "np") as file:
            self.config = json.loads(file.metadata()["config"])
            self.arrays: Recorded = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        names = sorted({name.split("/")[1] for name in self.arrays if re.fullmatch(r"out/\w+/objs", name)} - {"batch"})
        scenes = [(name, read_scene(path.with_name(f"cater_scene_{name}.json"))) for name in names]
        self.table = SceneTable.of(scenes)
        self.length = self.config["frames"]

    def expect(self, name: str, found: NDArray[Any], atol: float = ATOL) -> None:
        recorded = self.arrays.pop(name)
        assert found.shape == recorded.shape, name
        np.testing.assert_allclose(found, recorded.astype(np.float64), atol=atol, rtol=RTOL, err_msg=name)

    def test_clip(self, video: int) -> Clip:
        start = self.table.test_start(video, self.length)
        assert start is not None
        return self.table.cut(video, start, self.length)


@pytest.fixture
def golden(golden_dir: Path) -> Golden:
    path = golden_dir / "ag2vid" / "cater_data.safetensors"
    if not path.is_file():
        pytest.skip(f"There are no recorded samples at '{path}'.")
    return Golden(path)


def action_rows(clip: Any) -> NDArray[np.float64]:
    """``[a, 7]`` as the original writes them."""
    ids = np.stack([clip.subject, clip.action, clip.object], axis=1)
    return np.concatenate([ids, clip.progress, clip.destination], axis=1)


def frames_of(pictures: NDArray[np.uint8], size: list[int]) -> NDArray[np.float32]:
    """``[t, 3, h, w]`` as networks see them."""
    small = np.stack([picture(Image.fromarray(one), (size[0], size[1])) for one in pictures])
    return IMAGENET.normalise(torch.from_numpy(small).float().movedim(1, -1)).movedim(-1, 1).numpy()


def padded(rows: list[NDArray[Any]], row: list[float]) -> NDArray[Any]:
    """Stack arrays of different lengths, the short ones filled up with ``row``."""
    longest = max(len(array) for array in rows)
    fill = [np.broadcast_to(np.array(row), (longest - len(array), *array.shape[1:])) for array in rows]
    return np.stack([np.concatenate(pair) for pair in zip(rows, fill, strict=True)])


def test_cater_samples(golden: Golden, golden_dir: Path) -> None:
    """Every recorded output is compared, whichever scenes and windows there are."""
    table, arrays, config = golden.table, golden.arrays, golden.config
    size, raw = config["image_size"], config["raw_frames"]
    clips = [golden.test_clip(video) for video in range(len(table.names))]
    for video, (name, clip) in enumerate(zip(table.names, clips, strict=True)):
        scene = table.scene(video)
        entry = json.loads((golden_dir / "ag2vid" / f"cater_scene_{name}.json").read_text())["objects"][0]
        places = np.array([entry["locations"][str(frame)] for frame in range(table.raw_frames)])
        golden.expect(f"out/{name}/project_obj0", project(places))
        golden.expect(f"out/{name}/all_boxes", scene.boxes)
        golden.expect(f"out/{name}/objs", scene.attributes, atol=0)
        golden.expect(f"out/{name}/actions_raw", scene.actions, atol=0)
        golden.expect(f"out/{name}/test/window", np.array([clip.raw[0], clip.raw[0] + raw]), atol=0)
        assert np.array_equal(clip.raw, np.arange(clip.raw[0], clip.raw[0] + raw, raw // golden.length))
        golden.expect(f"out/{name}/test/boxes", clip.boxes.swapaxes(0, 1))
        golden.expect(f"out/{name}/test/actions", action_rows(clip))
        golden.expect(f"out/{name}/test/triplets", np.stack([clip.relations] * golden.length), atol=0)
        for key in [key for key in arrays if key.startswith(f"out/{name}/window_")]:
            start, end = (int(number) for number in re.findall(r"\d+", key.split("/")[2]))
            golden.expect(key, action_rows(window_actions(scene.actions, scene.boxes, start, end)))
        key = f"out/{name}/test/frames_first4"
        if key in arrays:
            shown = arrays["in/frames_uint8"][(clip.raw[:4] // 3) % len(arrays["in/frames_uint8"])]
            golden.expect(key, frames_of(shown, size), FLOAT16 if arrays[key].dtype == np.float16 else ATOL)
    golden.expect("out/pic", frames_of(arrays["in/pic_uint8"][None], size)[0])
    golden.expect("out/batch/objs", padded([clip.attributes for clip in clips], [0] * 4), atol=0)
    boxes = padded([clip.boxes for clip in clips], [-1, -1, -1, -1])
    golden.expect("out/batch/boxes", boxes.swapaxes(1, 2))
    no_action = [0, CATER_VOCABULARY.padding_action, 0, 0, 0, 0, 0]
    golden.expect("out/batch/actions", padded([action_rows(clip) for clip in clips], no_action))
    no_relation = [0, CATER_VOCABULARY.predicates.index("__padding__"), 0]
    relations = padded([clip.relations for clip in clips], no_relation)
    golden.expect("out/batch/triplets", np.stack([relations] * golden.length, axis=1), atol=0)
    assert not [name for name in arrays if name.startswith("out/")]


def test_cater_vocabulary(golden: Golden) -> None:
    recorded = golden.config["vocab"]
    assert {word: i for i, word in enumerate(CATER_VOCABULARY.actions)} == recorded["action_name_to_idx"]
    assert {word: i for i, word in enumerate(CATER_VOCABULARY.predicates)} == recorded["pred_name_to_idx"]
    values = {name: {word: i for i, word in enumerate(words)} for name, words in CATER_VOCABULARY.attributes}
    assert values == recorded["attributes"]
    assert list(CATER_VOCABULARY.attribute_names) == golden.config["attribute_order"]
