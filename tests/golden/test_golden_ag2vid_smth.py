"""Replay the recorded Something-Something samples: filters, objects, boxes, action rows of windows."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors import safe_open

from mutoscope.data.action_graph.something_table import Purpose, SomethingTable, SomethingVideo, action_of
from mutoscope.formats.something_else import TEMPLATES, parse_boxes, read_labels, read_mapping
from mutoscope.structures import something_vocabulary


@pytest.fixture
def recorded(golden_dir: Path) -> tuple[dict[str, NDArray[Any]], dict[str, Any], dict[str, Any]]:
    path = golden_dir / "ag2vid" / "smth_data.safetensors"
    if not path.is_file():
        pytest.skip(f"There are no recorded samples at '{path}'.")
    with safe_open(path, "np") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        config = json.loads(file.metadata()["config"])
    return arrays, config, json.loads(path.with_name("smth_sample.json").read_text())


def test_something_samples(recorded: Any, tmp_path: Path) -> None:
    """Every recorded output is compared, whichever videos there are."""
    arrays, config, sample = recorded
    (tmp_path / "labels.csv").write_text(sample["csv"])
    (tmp_path / "mapping.json").write_text(json.dumps(sample["objs_mapping"]))
    mapping = read_mapping(tmp_path / "mapping.json")
    rows = [
        row
        for row in read_labels(tmp_path / "labels.csv")
        if row.template in TEMPLATES
        and row.instances == TEMPLATES[row.template]
        and all(one in mapping for one in row.placeholders)
    ]
    assert [int(row.name) for row in rows] == config["kept_ids"]
    tracks = {row.name: parse_boxes(row.name, sample["videos"][row.name], mapping) for row in rows}

    def table(purpose: Purpose) -> SomethingTable:
        videos = [
            SomethingVideo(
                row.name,
                purpose,
                action_of(row.template),
                TEMPLATES[row.template],
                tuple(sample["frame_size"]),
                tracks[row.name],
            )
            for row in rows
        ]
        return SomethingTable.of(videos, sorted(set(mapping.values())))

    for name in sorted({"/".join(key.split("/")[:3]) for key in arrays if re.fullmatch(r"out/\w+/\w+/window", key)}):
        _, row, purpose = name.split("/")
        source = table(purpose)
        video = source.names.index(row)
        if purpose == "test":
            length = config["frames_test"]
            start = source.test_start(video, length)
        else:
            length = int(arrays.get(f"{name}/frames_requested", [config[f"frames_{purpose}"]])[0])
            (start,) = source.starts(video, length)
            arrays.pop(f"{name}/frames_requested", None)
        assert start is not None
        clip = source.cut(video, int(start), length)
        window = [int(number) for number in clip.name.rsplit("_", 1)[1].split("-")]
        assert window == arrays.pop(f"{name}/window").tolist()
        assert np.array_equal(clip.attributes[:, 0], arrays.pop(f"{name}/objs"))
        np.testing.assert_allclose(clip.boxes.swapaxes(0, 1), arrays.pop(f"{name}/boxes"), atol=1e-4, rtol=1e-4)
        ids = np.stack([clip.subject, clip.action, clip.object], axis=1)
        actions = np.concatenate([ids, clip.progress, clip.destination], axis=1)
        np.testing.assert_allclose(actions, arrays.pop(f"{name}/actions"), atol=1e-4, rtol=1e-4)
        if (triplets := arrays.pop(f"{name}/triplets", None)) is not None:
            assert np.array_equal(np.stack([clip.relations] * length), triplets)
    assert not [name for name in arrays if name.startswith("out/")]


def test_something_vocabulary(recorded: Any) -> None:
    _, config, sample = recorded
    vocabulary = something_vocabulary(sorted(set(sample["objs_mapping"].values())))
    assert list(dict(vocabulary.attributes)["object"]) == config["object_vocab"]
    assert [*TEMPLATES, "__padding__"] == config["action_vocab"]
    assert len(vocabulary.actions) == len(config["action_vocab"])
