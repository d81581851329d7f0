"""What the card of an exported model says about video from action graphs."""

from mutoscope.formats.graph_files import action_graph_yaml
from mutoscope.kinds.base import CardText
from mutoscope.structures import ActionEdge, ActionGraph, ActionVocabulary, DatasetInfo, GraphObject

_HAND = "hand"


def action_graph_card(info: DatasetInfo, name: str, evaluate: str, *, drawn: bool = True) -> CardText:
    """The words a graph may use, one that works, and commands for the folder ``name``.

    Args:
        info: what the model was trained on.
        name: of the folder.
        evaluate: the command that measures the model.
        drawn: whether it makes frames; without frame networks it lays out boxes alone.
    """
    vocabulary = info.need_vocabulary()
    height, width = info.need_frame_size()
    words = "\n".join(
        f"- {attribute}: {', '.join(value for value in values if not value.startswith('__'))}"
        for attribute, values in vocabulary.attributes
    )
    shown = "fake  # [1, t, 3, h, w] uint8" if drawn else "boxes  # [n, t, 4] fractions of the frame"
    return CardText(
        tag="video-generation" if drawn else "layout-generation",
        clips=f"{info.length} frames of {width}x{height} pixels at {info.fps:g} fps",
        facts={
            "Actions": ", ".join(vocabulary.action_names),
            **({} if drawn else {"Makes": "layouts: boxes of all objects in all frames, no pictures"}),
        },
        body=f"""## Words

Objects have

{words}

Actions with a destination: {", ".join(action.strip("_") for action in vocabulary.destinations) or "none"}.

## Use

A graph in `graph.yaml`; boxes are (x0, y0, width, height) in the first frame, times are frames:

```yaml
{action_graph_yaml(example_graph(vocabulary, info.length))}```

```bash
mutoscope generate checkpoint={name} out=samples prompt=graph.yaml first_frame=frame.png
{evaluate}
```

```python
import mutoscope as ms

model = ms.load("{name}")
generated = model.generate(ms.prompt("graph.yaml", "frame.png"), seed=0)
generated.sample.{shown}
generated.save("samples")
```
""",
    )


def example_graph(vocabulary: ActionVocabulary, length: int) -> ActionGraph:
    """Two objects, the last of which is the hand where there is one, and one action."""
    objects = (
        GraphObject("first", _attributes(vocabulary, hand=False), (0.2, 0.3, 0.25, 0.25)),
        GraphObject("second", _attributes(vocabulary, hand=not vocabulary.image_node), (0.6, 0.5, 0.15, 0.15)),
    )
    with_place = vocabulary.destinations[:1]
    action = (with_place or [name for name in vocabulary.actions if not name.startswith("__")])[0].strip("_")
    if vocabulary.image_node:
        edge = ActionEdge("first", action, "first", 0, length / 2, (0.5, 0.4) if with_place else None)
    else:
        edge = ActionEdge("second", action, "first", 0, length / 2)
    return ActionGraph(objects, (edge,), length)


def _attributes(vocabulary: ActionVocabulary, *, hand: bool) -> dict[str, str]:
    found = {}
    for attribute, values in vocabulary.attributes:
        known = [value for value in values if not value.startswith("__")]
        others = [value for value in known if value != _HAND]
        found[attribute] = _HAND if hand and _HAND in known else (others or known)[0]
    return found
