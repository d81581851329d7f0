"""``generate`` for video: action graphs and a first frame in; clips with and without boxes out."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mutoscope.config.assembly import prepared, same_data
from mutoscope.config.foreign import taken_dataset
from mutoscope.data.sampling import clips_of
from mutoscope.formats.graph_files import read_action_graph, write_action_graph
from mutoscope.formats.pictures import PictureError, read_picture
from mutoscope.kinds.action_graph.media import save_comparison, save_variants
from mutoscope.models.generative import GenerativeModule
from mutoscope.render.sheet import save_png
from mutoscope.runtime.console import say
from mutoscope.runtime.errors import ConfigError
from mutoscope.runtime.files import replacing
from mutoscope.structures import ActionGraph, ActionGraphBatch, ActionGraphSample, DatasetInfo
from mutoscope.structures.plain import located
from mutoscope.training.trainer import place


@dataclass(frozen=True)
class Variant:
    """One video that is asked for."""

    name: str
    graph: ActionGraph


def generate_video(
    config: Mapping[str, Any], model: GenerativeModule, trained_config: Mapping[str, Any]
) -> ActionGraphSample:
    """Generate a clip for every graph and every shift asked for, all from the same first frame.

    Writes to ``out``, for each: ``<name>.mp4``, ``<name>_boxes.mp4``, ``<name>_graph.png``, ``<name>.yaml`` (the graph)
    and ``<name>_layout.npy`` ``[n, t, 4]``; ``first_frame.png``; and, where there are several, ``side_by_side.mp4``.
    Prompts and pictures that lie in ``out`` themselves are not written over.
    With ``clip=<number>`` and no prompt the graph is the clip's own, and the true clip stands beside.

    Args:
        config: resolved, plain.
        model: trained on action graphs.
        trained_config: of its training, whose dataset ``clip`` counts in.

    Raises:
        ConfigError: nothing to start from, or wishes that exclude each other.
        GraphError: a prompt that the model cannot follow.
    """
    info, out = model.info, Path(config["out"])
    _check(config)
    prompts = _listed(config["prompt"])
    if not prompts and config["clip"] is None:
        raise ConfigError(
            "This model makes video from action graphs: give prompt=graph.yaml and first_frame=frame.png, or "
            "clip=<number> to start from a validation clip of its dataset."
        )
    if (config["first_frame"] is None) == (config["clip"] is None):
        raise ConfigError("Give one first frame: first_frame=frame.png, or clip=<number>.")
    true_clip: ActionGraphBatch | None = None
    if config["clip"] is not None:
        true_clip = _validation_clip(config, model, trained_config)
        assert true_clip.frames is not None
        first_frame = true_clip.frames[0, 0]
    else:
        first_frame = read_first_frame(Path(config["first_frame"]), info.need_frame_size())
    variants = _variants(prompts, true_clip, config, info)
    batch = ActionGraphBatch.cat([ask(v.graph, first_frame, info, _longest(variants), v.name) for v in variants])
    model.to(place(config["accelerator"]))
    sample: ActionGraphSample = model.generate(batch, seed=config["seed"])
    sample = replace(sample, fake=sample.fake.cpu(), boxes=sample.boxes.cpu(), asked=batch, real=None)
    out.mkdir(parents=True, exist_ok=True)
    # what somebody wrote into this folder themselves, and now asks with, stays as it is
    given = {Path(path).resolve() for path in [*prompts, *_listed(config["first_frame"])]}
    if (out / "first_frame.png").resolve() not in given:
        save_png(out / "first_frame.png", first_frame.permute(1, 2, 0).numpy())
    for number, variant in enumerate(variants):
        if (out / f"{variant.name}.yaml").resolve() not in given:
            write_action_graph(out / f"{variant.name}.yaml", variant.graph)
        boxes = sample.boxes[batch.graph.nodes_of(number), : variant.graph.length]
        with replacing(out / f"{variant.name}_layout.npy") as temporary, temporary.open("wb") as file:
            np.save(file, boxes.numpy(), allow_pickle=False)
    if not sample.drawn:
        say("This model lays out boxes and draws no frames (model.frames=null); videos show boxes on the first frame.")
    paths = save_variants(out, sample, [variant.graph for variant in variants], gif=config["gif"])
    if true_clip is not None and not prompts and variants[0].graph.length == true_clip.length:
        own: ActionGraphSample = model.generate(true_clip, seed=config["seed"])
        own = replace(own, fake=own.fake.cpu(), boxes=own.boxes.cpu(), asked=true_clip, real=true_clip.frames)
        paths += save_comparison(out, own, names=[f"clip{config['clip']}_compared"])
    say(f"Wrote {len(variants)} clip(s) of {sample.fake.shape[1]} frames to {out}: {', '.join(p.name for p in paths)}.")
    return sample


def read_first_frame(path: Path, size: tuple[int, int]) -> Tensor:
    """A picture as ``[3, h, w]`` uint8 of the model's size (bilinear, as training frames are resized).

    Raises:
        ConfigError: no such file, or no picture.
    """
    try:
        shown = read_picture(path)
    except FileNotFoundError:
        raise ConfigError(f"There is no picture '{path}'; first_frame= names the frame to start from.") from None
    except PictureError as error:
        raise ConfigError(str(error)) from error
    resized = Image.fromarray(shown).resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()


def ask(graph: ActionGraph, first_frame: Tensor, info: DatasetInfo, length: int, name: str) -> ActionGraphBatch:
    """A graph and a first frame ``[3, h, w]`` as a batch of one clip of ``length`` frames."""
    vocabulary = info.need_vocabulary()
    graph = graph.with_length(length)
    boxes = graph.boxes(vocabulary)[:, None].expand(-1, length, -1)
    return ActionGraphBatch(graph.clocked(vocabulary), boxes, first_frame.expand(1, length, -1, -1, -1), (name,))


def _check(config: Mapping[str, Any]) -> None:
    if config["label"] not in ("all", -1):
        raise ConfigError(
            f"label is {config['label']}, but label= is for models of motion; what happens in a video, an action graph "
            "says: prompt=graph.yaml."
        )
    for key in ("n", "mix", "between", "attention", "trajectories"):
        if config[key]:
            raise ConfigError(f"{key}= is for models of motion; this one makes video from action graphs: prompt=.")
    if config["length"] is not None and not _is_number(config["length"], int):
        raise ConfigError(f"length is {config['length']}, expected a whole number of frames.")
    for shift in _listed(config["shift"]):
        if not _is_number(shift, int | float):
            raise ConfigError(f"shift is {shift}, expected frames by which actions are put off: a number or several.")


def _is_number(value: Any, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool) and math.isfinite(value)


def _variants(
    prompts: list[str], true_clip: ActionGraphBatch | None, config: Mapping[str, Any], info: DatasetInfo
) -> list[Variant]:
    vocabulary = info.need_vocabulary()
    if prompts:
        names = _unique([Path(prompt).stem for prompt in prompts])
        graphs = [Variant(name, read_action_graph(Path(prompt))) for name, prompt in zip(names, prompts, strict=True)]
    else:
        assert true_clip is not None
        own = ActionGraph.from_clocked(true_clip.graph, 0, true_clip.boxes, vocabulary, true_clip.length)
        graphs = [Variant(f"clip{config['clip']}", own)]
    if config["length"] is not None:
        graphs = [replace(v, graph=v.graph.with_length(config["length"])) for v in graphs]
    for variant in graphs:
        with located(f"prompt '{variant.name}'"):
            variant.graph.validate(vocabulary)
        if variant.graph.length < 2:
            raise ConfigError(f"'{variant.name}' asks for {variant.graph.length} frame(s); ask for at least 2.")
    shifts = _listed(config["shift"])
    if not shifts:
        return graphs
    return [Variant(f"{v.name}_shift{shift:g}", v.graph.shift(float(shift))) for v in graphs for shift in shifts]


def _validation_clip(
    config: Mapping[str, Any], model: GenerativeModule, trained_config: Mapping[str, Any]
) -> ActionGraphBatch:
    datamodule = prepared(taken_dataset(trained_config["dataset"], config["dataset"] or {}, config["checkpoint"]))
    same_data(datamodule.info, model.info, f"checkpoint {config['checkpoint']}")
    count = len(datamodule.dataset("val"))
    number = config["clip"]
    if not _is_number(number, int) or not 0 <= number < count:
        raise ConfigError(f"clip is {number}; the validation split of '{model.info.name}' has clips 0 to {count - 1}.")
    batch: ActionGraphBatch = clips_of(datamodule, "val").select([number])
    return batch


def _longest(variants: list[Variant]) -> int:
    return max(variant.graph.length for variant in variants)


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]


def _unique(names: list[str]) -> list[str]:
    return [name if names.count(name) == 1 else f"{name}_{i}" for i, name in enumerate(names, start=1)]
