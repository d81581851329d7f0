"""CATER's scenes and lists: projection and boxes against a naive reading, windows of actions, malformed files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mutoscope.formats.cater import (
    SHORTEST_ACTION,
    SceneError,
    boxes_of,
    parse_scene,
    project,
    read_list,
    read_scene,
    window_actions,
)
from mutoscope.structures import CATER_VOCABULARY

FRAMES = 61


def scene() -> dict[str, Any]:
    """A cone that slides, then covers a sphere; the sphere turns."""
    objects = [
        {"instance": "Cone_0", "shape": "cone", "color": "gold", "material": "metal", "size": "large"},
        {"instance": "Sphere_1", "shape": "sphere", "color": "red", "material": "rubber", "size": "small"},
    ]
    for i, entry in enumerate(objects):
        entry["locations"] = {str(f): [f / 60 - 0.5, float(i), 0.5] for f in range(FRAMES)}  # type: ignore[assignment]
    movements = {
        "Cone_0": [["_slide", None, 2, 22], ["_contain", "Sphere_1", 30, 50], ["_rotate", None, 51, 60]],
        "Sphere_1": [["_rotate", None, 10, 40]],
    }
    return {"objects": objects, "movements": movements}


def naive_box(place: list[float], half: float, above: float, below: float) -> list[float]:
    matrix = (
        (1.4503, 1.6376, 0.0, -0.0251),
        (-1.0346, 0.9163, 2.5685, 0.0095),
        (-0.6592, 0.5839, -0.4738, 10.7452),
    )
    x, y, w = (sum(a * b for a, b in zip(row, [*place, 1], strict=True)) for row in matrix)
    cx, cy = (x / w + 1) * 160, (1 - y / w) * 120
    return [(cx - half) / 320, (cy - above) / 240, 2 * half / 320, (above + below) / 240]


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.floats(1, 50), st.floats(1, 50), st.floats(1, 50))
@settings(max_examples=30, deadline=None)
def test_boxes_of_any_place(place: list[float], half: float, above: float, below: float) -> None:
    found = boxes_of(np.array([place]), np.array([[half, above, below]]))
    np.testing.assert_allclose(found[0], naive_box(place, half, above, below), atol=1e-5)


def test_points_behind_the_camera_are_nowhere() -> None:
    assert np.isnan(project(np.array([20.0, -20.0, 0.0]))).all()


def test_a_scene_becomes_arrays() -> None:
    found = parse_scene(scene(), "scene.json", FRAMES)
    assert found.attributes.tolist() == [[5, 9, 2, 2], [2, 2, 1, 1], [0, 0, 0, 0]]
    assert found.boxes.shape == (FRAMES, 3, 4)
    np.testing.assert_allclose(found.boxes[30, 0], naive_box([0, 0, 0.5], 35, 25, 40), atol=1e-5)
    np.testing.assert_allclose(found.boxes[60, 1], naive_box([0.5, 1, 0.5], 15, 15, 15), atol=1e-5)
    assert (found.boxes[:, 2] == [0, 0, 1, 1]).all()
    # the last movement of the cone is too short
    assert found.actions.tolist() == [[0, 2, 0, 2, 22], [0, 3, 1, 30, 50], [1, 4, 1, 10, 40]]


def test_the_order_of_locations_in_the_file_does_not_matter() -> None:
    shuffled = scene()
    for entry in shuffled["objects"]:
        entry["locations"] = dict(sorted(entry["locations"].items()))
    assert list(shuffled["objects"][0]["locations"])[:3] == ["0", "1", "10"]
    expected = parse_scene(scene(), "a", FRAMES).boxes
    assert np.array_equal(parse_scene(shuffled, "a", FRAMES).boxes, expected)


@given(st.integers(0, 48), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_windows_of_actions_against_the_rules_one_by_one(start: int, length: int) -> None:
    whole = parse_scene(scene(), "a", FRAMES)
    end = min(start + length, FRAMES - 1)
    rows = []
    for subject, action, other, first, last in whole.actions.tolist():
        if first > end or last < start:
            continue
        progress = [(frame - first) / (last - first + 1) for frame in (start, end)]
        name = CATER_VOCABULARY.actions[action]
        place = whole.boxes[last, subject, :2].tolist() if name in ("_slide", "_pick_place") else [0, 0]
        rows.append([subject, action, other, *progress, *place])
    found = window_actions(whole.actions, whole.boxes, start, end)
    ids = np.stack([found.subject, found.action, found.object], axis=1)
    table = np.concatenate([ids, found.progress, found.destination], axis=1)
    np.testing.assert_allclose(table, np.reshape(rows, (-1, 7)), atol=1e-6)
    assert found.progress.dtype == found.destination.dtype == np.float32


def edit(path: str, value: Any) -> dict[str, Any]:
    """The scene with one entry replaced, or removed where the value is ``...``."""
    changed: Any = scene()
    *way, last = path.split("/")
    holder = changed
    for key in way:
        holder = holder[int(key) if isinstance(holder, list) else key]
    where: Any = int(last) if isinstance(holder, list) else last
    if value is ...:
        del holder[where]
    else:
        holder[where] = value
    return changed


BAD: list[tuple[str, Any, str, str]] = [
    ("objects", ..., "no objects", "list 'objects'"),
    ("objects", [], "no objects", "one object or more"),
    ("objects/0", "cone", "no objects", "list 'objects'"),
    ("objects/1/instance", "Cone_0", "two objects of one name", "Cone_0, Cone_0"),
    ("objects/0/shape", "torus", "unknown shape", "'torus'; known: cube"),
    ("objects/0/size", ..., "unknown size", "object Cone_0"),
    ("objects/0/color", "__image__", "unknown color", "known: gray"),
    ("objects/0/locations", ..., "object without locations", "Cone_0 has no locations"),
    ("objects/0/locations", {}, "object without locations", "Cone_0 has no locations"),
    ("objects/1/locations/17", ..., "locations missing", "60 frames and none in frame 17; expected frames 0 to 60"),
    ("objects/1/locations/17", [0, 1], "malformed locations", "three finite numbers"),
    ("objects/1/locations/17", [0, 1, "x"], "malformed locations", "three finite numbers"),
    ("objects/1/locations/17", [0, 1, float("nan")], "malformed locations", "three finite numbers"),
    ("objects/1/locations/17", [20, -20, 0], "object outside the picture", "in frame 17"),
    ("objects/1/locations", {str(f): [-5, -5, 0] for f in range(FRAMES)}, "object outside the picture", "never in"),
    ("movements", ..., "no movements", "no 'movements'"),
    ("movements", [], "no movements", "no 'movements'"),
    ("movements/Cone_0", None, "malformed movements", "movements of Cone_0"),
    ("movements/Cone_0/0", ["_slide", 2, 22], "malformed movements", "expected [action, other object or null"),
    ("movements/Cone_0/0", ["_fly", None, 2, 22], "malformed movements", "slide, contain, rotate"),
    ("movements/Cone_0/0", ["_slide", None, 2.5, 22], "malformed movements", "[action, other object"),
    ("movements/Cone_0/0", ["_slide", "Cube_9", 2, 22], "movement of an unknown object", "Cube_9"),
    ("movements/Cone_0/0", ["_slide", None, 2, 61], "movement outside the video", "from frame 2 to 61"),
    ("movements/Cone_0/0", ["_slide", None, 22, 2], "movement outside the video", "from frame 22 to 2"),
    ("movements", {"Cone_0": [["_slide", None, 2, 2 + SHORTEST_ACTION - 1]]}, "no action", "lasts 12 frames"),
]


@pytest.mark.parametrize(("path", "value", "reason", "said"), BAD, ids=[f"{p}-{i}" for i, (p, *_) in enumerate(BAD)])
def test_malformed_scenes_are_sentences(path: str, value: Any, reason: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "CATER_new_000001.json"
    file.write_text(json.dumps(edit(path, value)))
    with pytest.raises(SceneError) as caught:
        read_scene(file, FRAMES)
    assert caught.value.reason == reason
    assert str(file) in str(caught.value)
    assert said in str(caught.value)


def test_absent_and_cut_off_scenes(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    with pytest.raises(SceneError, match=r"a\.json: there is no such scene"):
        read_scene(file)
    file.write_text(json.dumps(scene())[:-20])
    with pytest.raises(SceneError, match=r"a\.json: it cannot be read as JSON"):
        read_scene(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SceneError, match="cannot be read"):
        read_scene(file)
    file.write_text("[1, 2]")
    with pytest.raises(SceneError, match="no list 'objects'"):
        read_scene(file)


def test_actions_of_exactly_the_shortest_length_stay() -> None:
    changed = edit("movements", {"Cone_0": [["_slide", None, 2, 2 + SHORTEST_ACTION]]})
    assert parse_scene(changed, "a", FRAMES).actions.tolist() == [[0, 2, 0, 2, 14]]


def test_split_lists(tmp_path: Path) -> None:
    file = tmp_path / "train.txt"
    with pytest.raises(FileNotFoundError, match="no split list"):
        read_list(file)
    file.write_text("CATER_new_000002.avi 1,2,300\n\nCATER_new_000001.avi 0\nCATER_new_000003.avi\n")
    assert read_list(file) == ["CATER_new_000002", "CATER_new_000001", "CATER_new_000003"]
    for text, said in (
        ("a.avi 1\nb.mp4 2\n", "line 2: found 'b.mp4'"),
        ("../a.avi 1\n", "line 1"),
        ("\n", "lists no videos"),
        ("a.avi 1\nb.avi 2\na.avi 1\n", "lists a.avi twice"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=said):
            read_list(file)
