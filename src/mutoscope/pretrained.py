"""``export``: from a checkpoint to a folder that anyone can read: config, weights without code, and a card."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from mutoscope.assembly import load_model
from mutoscope.checkpoint import EXPORT_CONFIG, EXPORT_FORMAT, EXPORT_WEIGHTS
from mutoscope.config import ConfigError
from mutoscope.console import say
from mutoscope.facts import run_facts
from mutoscope.models.base import GenerativeModule

#: what must be said wherever something made from a dataset is shown
ACKNOWLEDGEMENTS = {
    "cmu_mocap": "The data used in this project was obtained from mocap.cs.cmu.edu. "
    "The database was created with funding from NSF EIA-0196217."
}


def export(checkpoint: Path, out: Path) -> Path:
    """Write a trained model as a folder that ``evaluate`` and ``generate`` take as ``checkpoint=``.

    ``config.json`` holds the model's and the dataset's settings, the description of the data and the versions,
    ``model.safetensors`` the averaged generator (under the names of the plain one) and the rest of the model, and
    ``README.md`` is a card for people. Optimisers stay behind: the folder cannot be trained on. It generates bit by bit
    what the checkpoint generates.

    Args:
        checkpoint: of a generative model.
        out: the folder to make; complete once it exists.

    Returns:
        ``out``.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        ConfigError: if it holds no generative model, or ``out`` exists.
    """
    if out.exists():
        raise ConfigError(f"{out} exists already; remove it or choose another out=<folder>.")
    model, trained = load_model(checkpoint)
    averaged = model.ema is not None
    model.generator.load_state_dict(model.averaged.state_dict())
    model.ema = None
    # tensors that share memory or are views cannot be written
    weights = {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}
    config = {
        "format": EXPORT_FORMAT,
        "model": {**trained["model"], "ema_half_life": None},
        "dataset": {name: _portable(value) for name, value in trained["dataset"].items()},
        "info": model.info.to_dict(),
        "iterations": model.iterations,
        "samples_seen": model.samples_seen,
        "versions": run_facts()["versions"],
    }
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        (temporary / EXPORT_CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
        save_file(weights, temporary / EXPORT_WEIGHTS, metadata={"format": "pt"})
        (temporary / "README.md").write_text(_card(model, config, out.name, averaged), encoding="utf-8")
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    say(f"Wrote {out}: {EXPORT_CONFIG}, {EXPORT_WEIGHTS}, README.md.")
    return out


def _portable(value: Any) -> Any:
    """Settings that name a place on this machine mean nothing elsewhere."""
    return None if isinstance(value, str) and (os.sep in value or value.startswith((".", "~"))) else value


def _card(model: GenerativeModule, config: Mapping[str, Any], name: str, averaged: bool) -> str:
    info = model.info
    kind = type(model).__name__
    parameters = sum(p.numel() for p in model.generator.parameters())
    facts = {
        "Dataset": info.name,
        "Clips": f"{info.length} frames at {info.fps:g} fps, coordinates in {info.units}",
        "Iterations": f"{model.iterations:,} mini-batches, {model.samples_seen:,} clips seen",
        "Generator": f"{parameters:,} parameters" + (", averaged over training" if averaged else ""),
        "Versions": ", ".join(f"{package} {number}" for package, number in config["versions"].items()),
    }
    if info.skeleton is not None:
        facts["Skeleton"] = f"{info.skeleton.name}, {info.skeleton.num_joints} joints"
    table = "\n".join(f"| {key} | {value} |" for key, value in facts.items())
    classes = "\n".join(f"{label}. {action}" for label, action in enumerate(info.classes))
    card = f"""---
library_name: mutoscope
tags: [motion-generation, {kind}]
---
# {kind} on {info.name}

| | |
|---|---|
{table}

## Classes

{classes}

## Use

```bash
mutoscope generate checkpoint={name} out=samples label=0 n=4
mutoscope evaluate checkpoint={name}
```

```python
from pathlib import Path

import torch
from mutoscope.assembly import load_model

model, _ = load_model(Path("{name}"))
sample = model.generate(torch.tensor([0] * 4), seed=0)
sample.fake  # [n, t, v, c] in {info.units}
```
"""
    thanks = ACKNOWLEDGEMENTS.get(info.name)
    return card + (f"\n## Data\n\n{thanks}\n" if thanks else "")
