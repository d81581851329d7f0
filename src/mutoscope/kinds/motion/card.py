"""What the card of an exported model says about motion."""

from mutoscope.kinds.base import CardText
from mutoscope.structures import DatasetInfo


def motion_card(info: DatasetInfo, name: str, evaluate: str) -> CardText:
    """Classes, skeleton and commands for the folder ``name``."""
    skeleton = info.need_skeleton()
    classes = "\n".join(f"{label}. {action}" for label, action in enumerate(info.classes))
    return CardText(
        tag="motion-generation",
        clips=f"{info.length} frames at {info.fps:g} fps, coordinates in {info.units}",
        facts={"Skeleton": f"{skeleton.name}, {skeleton.num_joints} joints"},
        body=f"""## Classes

{classes}

## Use

```bash
mutoscope generate checkpoint={name} out=samples label=0 n=4
{evaluate}
```

```python
import mutoscope as ms

model = ms.load("{name}")
generated = model.generate(ms.classes({info.classes[0]!r}, n=4), seed=0)
generated.joints  # [n, t, v, c] in {info.units}
generated.save("samples")
```
""",
    )
