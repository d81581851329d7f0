import json
from dataclasses import replace
from pathlib import Path

import pytest

from mutoscope.formats.graph_files import read_action_graph, write_action_graph
from mutoscope.structures import CATER_VOCABULARY, ActionEdge, ActionGraph, GraphError, GraphObject

CONE = {"shape": "cone", "color": "gold", "material": "metal", "size": "large"}
TEXT = """\
length: 32          # frames to generate
objects:
  cone: &cone {shape: cone, color: gold, material: metal, size: large, box: [0.2, 0.3, 0.22, 0.27]}
  ball: {<<: *cone, shape: sphere, color: red, size: small, box: [0.6, 0.5, 0.1, 0.1]}
actions:
  - {subject: cone, action: slide, start: 0, end: 8, destination: [0.5, 0.4]}
  - {subject: cone, action: contain, object: ball, start: 8, end: 16.5}
"""


@pytest.fixture
def graph(tmp_path: Path) -> ActionGraph:
    path = tmp_path / "given.yaml"
    path.write_text(TEXT)
    return read_action_graph(path)


def test_the_form_that_people_write(graph: ActionGraph) -> None:
    graph.validate(CATER_VOCABULARY)
    assert graph.length == 32
    assert graph["cone"] == GraphObject("cone", CONE, (0.2, 0.3, 0.22, 0.27))
    assert graph["ball"].attributes == {"shape": "sphere", "color": "red", "material": "metal", "size": "small"}
    assert graph.edges == (
        ActionEdge("cone", "slide", "cone", 0, 8, (0.5, 0.4)),
        ActionEdge("cone", "contain", "ball", 8, 16.5),
    )


@pytest.mark.parametrize("name", ["g.yaml", "deep/g.yml", "g.JSON"])
def test_round_trip(tmp_path: Path, graph: ActionGraph, name: str) -> None:
    path = write_action_graph(tmp_path / name, graph)
    assert read_action_graph(path) == graph
    odd = ActionGraph(
        (GraphObject("yes", CONE), GraphObject("7: é", CONE), GraphObject("x" * 200, CONE, (1e-7, 0.0, 1.0, 1.0))),
        (ActionEdge("yes", "no_op", "7: é", -1.25, 1e9),),
        1,
    )
    assert read_action_graph(write_action_graph(path, odd)) == odd
    empty = replace(odd, objects=(), edges=())
    assert read_action_graph(write_action_graph(path, empty)) == empty
    assert not list(path.parent.glob(".*"))


def test_yaml_has_a_line_per_object_and_action(tmp_path: Path, graph: ActionGraph) -> None:
    lines = write_action_graph(tmp_path / "g.yaml", graph).read_text().splitlines()
    assert len(lines) == 7
    assert lines[2] == "  cone: {shape: cone, color: gold, material: metal, size: large, box: [0.2, 0.3, 0.22, 0.27]}"
    assert lines[6] == "  - {subject: cone, action: contain, object: ball, start: 8.0, end: 16.5}"
    json_file = write_action_graph(tmp_path / "g.json", graph)
    assert json.loads(json_file.read_text()) == graph.to_dict()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("g.yaml", "length: 3\nobjects: {a: [}\n", r"g\.yaml, line 2: "),
        ("g.yaml", TEXT.replace("  ball:", "  cone:"), r"g\.yaml, line 4: 'cone' is given twice"),
        ("g.yaml", TEXT.replace("size: small", "color: blue"), r"line 4: 'color' is given twice"),
        ("g.yaml", TEXT.replace("end: 8", "stop: 8"), r"g\.yaml: action 1: There is no key 'stop'"),
        ("g.yaml", TEXT.replace("length", "length:"), r"g\.yaml: .*no key 'length:'.*mean 'length'"),
        ("g.yaml", "", r"g\.yaml: The action graph is None"),
        ("g.yaml", "!!python/object/apply:os.getcwd []", r"g\.yaml, line 1: could not determine a constructor"),
        ("g.json", '{"length": 3,\n"objects": ]', r"g\.json, line 2: "),
        ("g.json", '{"length": 3, "length": 4}', r"g\.json: 'length' is given twice"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(GraphError, match=message):
        read_action_graph(tmp_path / name)


def test_other_endings_and_missing_files(tmp_path: Path, graph: ActionGraph) -> None:
    with pytest.raises(FileNotFoundError, match=r"no file .*g\.yaml; expected an action graph"):
        read_action_graph(tmp_path / "g.yaml")
    for use in (read_action_graph, lambda path: write_action_graph(path, graph)):
        with pytest.raises(GraphError, match=r"g\.txt is no action graph by its name; expected one of \.yaml"):
            use(tmp_path / "g.txt")
    (tmp_path / "g.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(GraphError, match=r"g\.yaml: it begins as UTF-16-LE"):
        read_action_graph(tmp_path / "g.yaml")
