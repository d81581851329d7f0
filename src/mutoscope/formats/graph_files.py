"""Action graphs in files that people write: YAML, or JSON of the same form.

.. code-block:: yaml

    length: 32  # frames to generate
    objects:
      cone: {shape: cone, color: gold, material: metal, size: large, box: [0.2, 0.3, 0.22, 0.27]}
      ball: {shape: sphere, color: red, material: rubber, size: small, box: [0.6, 0.5, 0.09, 0.12]}
    actions:
      - {subject: cone, action: slide, start: 0, end: 8, destination: [0.5, 0.4]}
      - {subject: cone, action: contain, object: ball, start: 8, end: 16}

Boxes are (x0, y0, width, height) in the first frame and destinations the (x, y) where the top-left corner of the
subject's box ends up, both as fractions of the frame; ``start`` and ``end`` are frames.
"""

import json
from pathlib import Path

import yaml

from mutoscope.formats.plain_files import MAX_BYTES, PlainFileError, parse_json, parse_yaml
from mutoscope.formats.text import TextError, read_text
from mutoscope.runtime.files import replacing
from mutoscope.structures.action_graph import ActionGraph, GraphError

_YAML, _JSON = (".yaml", ".yml"), (".json",)


def read_action_graph(path: str | Path) -> ActionGraph:
    """Read a graph; its words and times are checked by :meth:`ActionGraph.validate`.

    Raises:
        FileNotFoundError: if there is no such file.
        GraphError: naming the file, and the line where the text itself is broken: no YAML or JSON, a key twice,
            unknown or missing keys, values of the wrong kind.
    """
    path = Path(path)
    # a JSON file is read as JSON, so that its errors speak of JSON
    parse = parse_json if _is_json(path) else parse_yaml
    missing = f"There is no file {path}; expected an action graph (.yaml or .json) there."
    try:
        values = parse(read_text(path, limit=MAX_BYTES, missing=missing), str(path))
    except (PlainFileError, TextError) as error:
        raise GraphError(str(error)) from None
    try:
        return ActionGraph.from_dict(values)
    except GraphError as error:
        raise GraphError(f"{path}: {error}") from None


def write_action_graph(path: str | Path, graph: ActionGraph) -> Path:
    """Write a graph as YAML (one line per object and action) or JSON, by the ending of ``path``; atomically.

    Raises:
        GraphError: an ending other than .yaml, .yml or .json.
    """
    path = Path(path)
    text = (
        json.dumps(graph.to_dict(), indent=2, ensure_ascii=False) + "\n" if _is_json(path) else action_graph_yaml(graph)
    )
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return path


def _is_json(path: Path) -> bool:
    if path.suffix.lower() not in (*_YAML, *_JSON):
        raise GraphError(f"{path} is no action graph by its name; expected one of {', '.join((*_YAML, *_JSON))}.")
    return path.suffix.lower() in _JSON


def action_graph_yaml(graph: ActionGraph) -> str:
    """A graph as YAML, one line per object and action."""
    values = graph.to_dict()
    objects = [f"  {_flow(name)}: {_flow(fields)}\n" for name, fields in values["objects"].items()]
    actions = [f"  - {_flow(fields)}\n" for fields in values["actions"]]
    return "".join(
        [
            f"length: {values['length']}\n",
            "objects:\n" if objects else "objects: {}\n",
            *objects,
            "actions:\n" if actions else "actions: []\n",
            *actions,
        ]
    )


def _flow(value: object) -> str:
    """A value on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, width=float("inf"), allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")
