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
from pathlib import Path

import torch
from mutoscope.config.assembly import load_model

model, _ = load_model(Path("{name}"))
sample = model.generate(torch.tensor([0] * 4), seed=0)
sample.fake  # [n, t, v, c] in {info.units}
```
""",
    )
