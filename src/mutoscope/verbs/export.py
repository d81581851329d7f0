"""``export``: from a checkpoint to a folder that anyone can read: config, weights without code, and a card."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from mutoscope.config.assembly import load_model
from mutoscope.config.commands import LAYOUTS, OWN_FORMAT, ExportConfig
from mutoscope.config.foreign import is_place
from mutoscope.config.names import closest
from mutoscope.config.nodes import settings_from
from mutoscope.formats.about import ExportedConfig, TrainedConfig
from mutoscope.formats.missing import EXPORT_CONFIG, EXPORT_WEIGHTS, find_checkpoint
from mutoscope.formats.state_dicts import digest
from mutoscope.models.generative import GenerativeModule
from mutoscope.models.originals import Told
from mutoscope.models.registry import importers
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.provenance import run_facts
from mutoscope.verbs.card import card
from mutoscope.verbs.convert import convert
from mutoscope.verbs.export_data import export_dataset

_CARD, _KEY_MAP = "README.md", "key_map.txt"
#: the card of a part
_PART = """# {part} of a {model}

Weights of this part alone, for trainings to begin with; it generates nothing by itself.

```bash
mutoscope train ... model.start_from.{part}={out}
```
"""


def run_export(config: Mapping[str, Any], typed: Mapping[str, Any]) -> Path:
    """What ``mutoscope export`` does: write a model, or with ``format=pvg`` a data set of video.

    Args:
        config: resolved, plain.
        typed: settings of the data set that were typed one by one; an entry ``""`` holds the choice of the set itself.

    Returns:
        The folder made.

    Raises:
        ConfigError: for an unknown format, or a data set where the checkpoint knows its own.
    """
    asked = ExportConfig.parse(config)
    out, source, told = Path(asked.out), asked.format, settings_from(asked.original, Told, "original")
    if source in LAYOUTS:
        if "" not in typed:
            raise ConfigError(f"format={source} writes a data set; name it, e.g. dataset=wsprites.")
        if told.anything:
            raise ConfigError(f"format={source} writes a data set, no model; leave out original=.")
        return export_dataset(out, asked.dataset, asked.splits, asked.videos)
    assert asked.checkpoint is not None
    checkpoint = Path(asked.checkpoint)
    known = (OWN_FORMAT, *importers(), *LAYOUTS) if source != OWN_FORMAT else (OWN_FORMAT,)
    if source not in known:
        raise ConfigError(
            f"format is '{source}', expected {' or '.join(known)}; did you mean '{closest(source, known)}'?"
        )
    if source != OWN_FORMAT:
        return export_original(source, checkpoint, out, asked.dataset, typed, told)
    if typed or told.anything:
        raise ConfigError(
            f"{'dataset' if typed else 'original'} is for checkpoints of original code; those of Mutoscope know "
            f"theirs. Leave it out, or add format=<model>: {' or '.join(importers())}."
        )
    return export(checkpoint, out, asked.part)


def export(checkpoint: Path, out: Path, part: str | None = None) -> Path:
    """Write a trained model as a folder that ``evaluate`` and ``generate`` take as ``checkpoint=``.

    ``config.json`` holds the model's and the dataset's settings, the description of the data and the versions,
    ``model.safetensors`` the averaged generator (under the names of the plain one) and the rest of the model, and
    ``README.md`` is a card for people. Optimisers stay behind: the folder cannot be trained on. It generates bit by bit
    what the checkpoint generates.

    Args:
        checkpoint: of a generative model.
        out: the folder to make; complete once it exists.
        part: of a model whose parts are trained apart: its weights alone, for trainings to start from.

    Returns:
        ``out``.

    Raises:
        CheckpointError: if the checkpoint cannot be read.
        ConfigError: if it holds no generative model or has no such part, or ``out`` exists.
    """
    _check_free(out)
    model, trained = load_model(find_checkpoint(checkpoint))
    if part is not None and part not in model.exported_apart:
        parts = f"; its parts are {', '.join(model.exported_apart)}" if model.exported_apart else ", which has no parts"
        raise ConfigError(f"part is '{part}', but {checkpoint} holds a {type(model).__name__}{parts}.")
    averaged = model.ema is not None
    model.generator.load_state_dict(model.averaged.state_dict())
    model.ema = None
    return _write(out, model, trained, averaged=averaged, part=part)


def export_original(
    name: str,
    checkpoint: Path,
    out: Path,
    dataset: Mapping[str, Any],
    typed: Mapping[str, Any],
    told: Told,
) -> Path:
    """The same from a checkpoint of a model's original code; the folder also holds ``key_map.txt``.

    Args:
        name: of the model.
        checkpoint: as the original wrote it.
        out: the folder to make; complete once it exists.
        dataset, typed, told: see :func:`~mutoscope.verbs.convert.convert`, where errors are told too.
    """
    _check_free(out)
    converted = convert(name, checkpoint, dataset, typed, told)
    origin = f"{checkpoint.name}, a checkpoint of the original {type(converted.model).__name__} code"
    return _write(out, converted.model, converted.config, origin=origin, key_map=converted.key_map)


def _check_free(out: Path) -> None:
    if out.exists():
        raise ConfigError(f"{out} exists already; remove it or choose another out=<folder>.")


def _write(
    out: Path,
    model: GenerativeModule,
    trained: TrainedConfig,
    *,
    averaged: bool = False,
    origin: str | None = None,
    key_map: str | None = None,
    part: str | None = None,
) -> Path:
    prefix = "" if part is None else model.exported_apart[part]
    # tensors that share memory or are views cannot be written
    weights = {
        name: value.detach().clone().contiguous()
        for name, value in model.state_dict().items()
        if name.startswith(prefix)
    }
    config = ExportedConfig(
        model={**trained.model, "ema_half_life": None},
        # settings that name a place on this machine mean nothing elsewhere
        dataset={name: None if is_place(value) else value for name, value in trained.dataset.items()},
        info=model.info.to_dict(),
        iterations=model.iterations,
        samples_seen=model.samples_seen,
        sha256=digest(weights),
        versions=run_facts()["versions"],
        part=part,
        origin=origin,
    )
    texts = {_CARD: card(model, config, out.name, averaged)}
    if part is not None:
        texts[_CARD] = _PART.format(part=part, model=type(model).__name__, out=out.name)
    if key_map is not None:
        texts[_KEY_MAP] = key_map + "\n"
    texts[EXPORT_CONFIG] = json.dumps(config.content(), indent=2)
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    temporary.mkdir()
    try:
        for name, text in texts.items():
            (temporary / name).write_text(text, encoding="utf-8")
        save_file(weights, temporary / EXPORT_WEIGHTS, metadata={"format": "pt"})
        temporary.rename(out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    say(f"Wrote {out}: {', '.join(sorted([*texts, EXPORT_WEIGHTS]))}.")
    return out
