"""Every reader of text answers damage and malice with its own error, or reads plausible values; deterministic."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from mutations import absurd, damaged, refusal
from something_tree import UP, good, records, table

from mutoscope.data.action_graph.cater_scenes import SceneTable
from mutoscope.data.action_graph.something_table import SomethingTable, SomethingVideo
from mutoscope.formats.asf_amc import AcclaimError, forward_kinematics, read_amc, read_asf
from mutoscope.formats.cater import CaterScene, ListError, SceneError, read_list, read_scene
from mutoscope.formats.graph_files import read_action_graph
from mutoscope.formats.something_else import (
    BoxError,
    BoxFileError,
    LabelError,
    parse_boxes,
    read_boxes,
    read_labels,
    read_mapping,
)
from mutoscope.structures import CATER_VOCABULARY
from mutoscope.structures.action_graph import GraphError

ASF = """\
:units
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name arm
    direction 0 1 0
    length 4
    axis 0 0 0 XYZ
    dof rx ry rz
  end
:hierarchy
  begin
    root arm
  end
"""
AMC = ":DEGREES\n1\nroot 0 17 0 0 0 0\narm 10 0 0\n2\nroot 0 17 0 0 0 0\narm 12 0 0\n"
GRAPH = {
    "length": 16,
    "objects": {
        "cone": {
            "shape": "cone",
            "color": "gold",
            "material": "metal",
            "size": "large",
            "box": [0.15, 0.35, 0.2, 0.27],
        },
        "ball": {"shape": "sphere", "color": "red", "material": "rubber", "size": "small", "box": [0.6, 0.4, 0.1, 0.1]},
    },
    "actions": [
        {"subject": "cone", "action": "slide", "start": 0, "end": 7, "destination": [0.45, 0.3]},
        {"subject": "cone", "action": "contain", "object": "ball", "start": 8, "end": 14},
    ],
}
_CONE = {"instance": "cone_0", "shape": "cone", "color": "gold", "material": "metal", "size": "large"}
_BALL = {"instance": "ball_0", "shape": "sphere", "color": "red", "material": "rubber", "size": "small"}
SCENE = {
    "objects": [
        _CONE | {"locations": {str(f): [0.02 * f, 0.1, 0.5] for f in range(40)}},
        _BALL | {"locations": {str(f): [1.0, -1.0, 0.3] for f in range(40)}},
    ],
    "movements": {"cone_0": [["_slide", None, 2, 20], ["_contain", "ball_0", 20, 39]], "ball_0": []},
}
LABELS = [{"id": "11", "template": UP, "placeholders": ["a cup"], "nr_instances": 2}] * 2
BOXES = {"11": records("11", ["a cup"], 6)}


def finite(values: Any, most: float) -> bool:
    array = np.asarray(values)
    return bool(np.isfinite(array).all() and np.abs(array).max(initial=0) <= most)


def check_scene(path: Path) -> None:
    found = read_scene(path, 40)
    assert finite(found.boxes, 10)
    assert (found.actions >= 0).all()


def check_boxes(path: Path) -> None:
    for name, values in read_boxes(path, ["11"]):
        error, track = refusal(BoxError, lambda name=name, values=values: parse_boxes(name, values, None))
        assert error is not None or (finite(track.box, 1e5) and (track.box[:, 2:] >= track.box[:, :2]).all())


def check_graph(path: Path) -> None:
    graph = read_action_graph(path)
    error, _ = refusal(GraphError, lambda: graph.validate(CATER_VOCABULARY))
    if error is None:
        assert finite(graph.clocked(CATER_VOCABULARY).progress, 1e10)
        assert finite(graph.boxes(CATER_VOCABULARY), 10)
        assert graph.length <= 100_000


def check_motion(path: Path) -> None:
    asf = path if path.suffix == ".asf" else path.with_name("good.asf")
    amc = path if path.suffix == ".amc" else path.with_name("good.amc")
    skeleton = read_asf(asf)
    assert finite(forward_kinematics(skeleton, read_amc(amc, skeleton)).astype(np.float32), 1e13)


def check_labels(path: Path) -> None:
    assert all(row.instances is None or 0 <= row.instances <= 1000 for row in read_labels(path))
    assert all("/" not in row.name and row.name not in (".", "..") for row in read_labels(path))


READERS: dict[str, tuple[str, type[Exception], Callable[[Path], Any], bytes]] = {
    "scene": ("a.json", SceneError, check_scene, json.dumps(SCENE).encode()),
    "list": ("a.txt", ListError, read_list, b"CATER_new_000001.avi 1,2\nCATER_new_000002.avi 3\n"),
    "label table": ("a.csv", LabelError, check_labels, table([good("11"), good("12")]).encode()),
    "labels": ("a.json", LabelError, check_labels, json.dumps(LABELS[:1]).encode()),
    "mapping": ("a.json", LabelError, read_mapping, b'{"hand": "hand", "a cup": "cup"}'),
    "boxes": ("a.json", BoxFileError, check_boxes, json.dumps(BOXES).encode()),
    "yaml graph": ("a.yaml", GraphError, check_graph, yaml.safe_dump(GRAPH).encode()),
    "json graph": ("a.json", GraphError, check_graph, json.dumps(GRAPH).encode()),
    "skeleton": ("a.asf", AcclaimError, check_motion, ASF.encode()),
    "motion": ("a.amc", AcclaimError, check_motion, AMC.encode()),
}


@pytest.mark.parametrize("name", READERS)
def test_damaged_bytes(tmp_path: Path, name: str) -> None:
    file, error_class, read, whole = READERS[name]
    (tmp_path / "good.asf").write_text(ASF)
    (tmp_path / "good.amc").write_text(AMC)
    path = tmp_path / file
    path.write_bytes(whole)
    assert refusal(error_class, lambda: read(path))[0] is None
    refused = 0
    for data in damaged(whole, 150):
        path.write_bytes(data)
        error, _ = refusal(error_class, lambda: read(path))
        assert error is None or str(tmp_path) in str(error)
        refused += error is not None
    assert refused > 15


@pytest.mark.parametrize(
    ("name", "value"),
    [("scene", SCENE), ("labels", LABELS), ("boxes", BOXES), ("yaml graph", GRAPH), ("json graph", GRAPH)],
    ids=["scene", "labels", "boxes", "yaml graph", "json graph"],
)
def test_absurd_values(tmp_path: Path, name: str, value: Any) -> None:
    file, error_class, read, _ = READERS[name]
    path = tmp_path / file
    for changed in absurd(value, 150):
        path.write_text(yaml.dump(changed) if path.suffix == ".yaml" else json.dumps(changed))
        error, _ = refusal(error_class, lambda: read(path))
        assert error is None or str(path) in str(error)


@pytest.mark.parametrize("name", READERS)
def test_depth_length_and_other_files(tmp_path: Path, name: str) -> None:
    file, error_class, read, _ = READERS[name]
    (tmp_path / "good.asf").write_text(ASF)
    (tmp_path / "good.amc").write_text(AMC)
    path = tmp_path / file
    for data in (
        b"[" * 100_000,
        b'{"11":' * 5000 + b"1" + b"}" * 5000,
        b'{"11":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b"id,template,placeholders\n1,x," + b"(" * 1500 + b"\n",
        b"1" * 100_000,
        b"\xff\xfe" + b"\x00\xd8" * 10,
        b"\x89PNG\r\n\x1a\n\x00\x00",
        b"",
    ):
        path.write_bytes(data)
        error, _ = refusal(error_class, lambda: read(path))
        assert error is not None
    path.unlink()
    path.mkdir()
    error, _ = refusal(error_class, lambda: read(path))
    assert "it is a folder" in str(error)


def test_damaged_tables(tmp_path: Path) -> None:
    """What was prepared is refused, or what it was when no byte of the arrays themselves has changed."""
    video = SomethingVideo("11", "train", 1, 2, (64, 48), parse_boxes("11", BOXES["11"], None))
    SomethingTable.of([video], ["hand", "a cup"]).save(tmp_path / "boxes.npz")
    (tmp_path / "scene.json").write_text(json.dumps(SCENE))
    found: CaterScene = read_scene(tmp_path / "scene.json", 40)
    SceneTable.of([("a", found)]).save(tmp_path / "scenes.npz")
    for name, load in (("boxes.npz", SomethingTable.load), ("scenes.npz", SceneTable.load)):
        path = tmp_path / name
        whole = path.read_bytes()
        before = load(path)
        for data in damaged(whole, 120):
            path.write_bytes(data)
            error, table_now = refusal(ValueError, lambda load=load, path=path: load(path))
            if error is not None:
                assert f"{path} are damaged" in str(error)
                assert "delete the file and prepare again" in str(error)
            else:
                assert table_now.names == before.names
                np.testing.assert_array_equal(table_now.boxes, before.boxes)
