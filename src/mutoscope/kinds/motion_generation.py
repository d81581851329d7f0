"""``generate`` for motion: classes in; joints, videos and a contact sheet out."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mutoscope.config import ConfigError
from mutoscope.console import say
from mutoscope.engine import place
from mutoscope.formats.files import replacing
from mutoscope.models.base import GenerativeModule
from mutoscope.render.sheet import save_motion_gallery
from mutoscope.structures import DatasetInfo, MotionSample


def generate_motion(config: Mapping[str, Any], model: GenerativeModule) -> MotionSample:
    """Generate ``n`` sequences for each class asked for.

    Writes ``joints.npy`` ``[n, t, v, c]`` in dataset units, ``labels.npy`` ``[n]``, ``info.json`` (classes, skeleton,
    fps, units), one MP4 per class and ``sheet.png`` to ``out``.

    Args:
        config: resolved, plain.
        model: trained on motion.

    Returns:
        What was generated.

    Raises:
        ConfigError: for a class that does not exist or a count below one.
    """
    if given := [key for key in ("prompt", "first_frame", "clip", "shift") if config[key] is not None]:
        raise ConfigError(f"{given[0]}= is for models of video; this one makes motion: label=<class> n=<count>.")
    labels = _labels(config["label"], model.info)
    if not isinstance(config["n"], int) or config["n"] < 1:
        raise ConfigError(f"n is {config['n']}, expected the number of sequences per class, at least 1.")
    wanted = torch.tensor(labels).repeat_interleave(config["n"])
    sample: MotionSample = model.to(place(config["accelerator"])).generate(
        wanted, seed=config["seed"], length=config["length"], truncation=config["truncation"]
    )  # type: ignore[assignment]
    out = Path(config["out"])
    out.mkdir(parents=True, exist_ok=True)
    fake = sample.fake.cpu().numpy()
    _save(out / "joints.npy", fake)
    _save(out / "labels.npy", wanted.numpy())
    with replacing(out / "info.json") as temporary:
        temporary.write_text(json.dumps(sample.info.to_dict(), indent=2), encoding="utf-8")
    paths = save_motion_gallery(out, fake, wanted.numpy(), sample.info, gif=config["gif"])
    say(
        f"Wrote {len(fake)} sequences of {fake.shape[1]} frames to {out}: joints.npy, labels.npy, info.json, "
        + ", ".join(p.name for p in paths)
        + "."
    )
    return sample


def _labels(asked: Any, info: DatasetInfo) -> list[int]:
    if asked == "all" or asked == -1:
        return list(range(info.num_classes))
    names = asked if isinstance(asked, list) else [asked]
    if not names:
        raise ConfigError(f"label is empty; name classes among {', '.join(info.classes)}, or all.")
    try:
        return [info.label(name) for name in names]
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _save(path: Path, array: "np.ndarray[Any, Any]") -> None:
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)
