"""``generate`` for video: action graphs and a first frame in, clips out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from mutoscope.config.assembly import prepared, same_data
from mutoscope.config.foreign import taken_dataset
from mutoscope.data.sampling import clips_of
from mutoscope.formats.graph_files import read_action_graph
from mutoscope.kinds.action_graph.generated import GeneratedVideo, Variant
from mutoscope.kinds.action_graph.pictures import first_frame_of
from mutoscope.kinds.action_graph.settings import ActionGraphRequest
from mutoscope.kinds.task import LoadedModel
from mutoscope.models.generative import GenerativeModule
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import ActionGraph, ActionGraphBatch, ActionGraphSample, DatasetInfo
from mutoscope.structures.plain import located


def generate_video(model: LoadedModel, request: ActionGraphRequest, seed: int) -> GeneratedVideo:
    """Generate a clip for every graph and every shift asked for, all from the same first frame.

    With ``clip=<number>`` and no prompt the graph is the clip's own, and the true clip stands beside.

    Args:
        model: of video from action graphs.
        request: what is asked for.
        seed: of noise.

    Raises:
        ConfigError: nothing to start from, or wishes that exclude each other.
        GraphError: a prompt that the model cannot follow.
    """
    info, module = model.info, model.module
    prompts = _listed(request.prompt)
    _check(request, prompts)
    true_clip: ActionGraphBatch | None = None
    if request.clip is not None:
        true_clip = _validation_clip(model, request.clip, request.dataset or {})
        assert true_clip.frames is not None
        first_frame = true_clip.frames[0, 0]
    else:
        assert request.first_frame is not None
        first_frame = first_frame_of(request.first_frame, info.need_frame_size())
    variants = _variants(prompts, true_clip, request, info)
    batch = ActionGraphBatch.cat([ask(v.graph, first_frame, info, _longest(variants), v.name) for v in variants])
    compared = None
    if true_clip is not None and not prompts and variants[0].graph.length == true_clip.length:
        compared = _made(module, true_clip, seed, true_clip.frames)
    return GeneratedVideo(
        sample=_made(module, batch, seed, None),
        variants=variants,
        first_frame=first_frame,
        compared=compared,
        given=frozenset(Path(one).resolve() for one in [*prompts, request.first_frame] if isinstance(one, str | Path)),
    )


def _made(module: GenerativeModule, batch: ActionGraphBatch, seed: int, real: Tensor | None) -> ActionGraphSample:
    sample: ActionGraphSample = module.generate(batch, seed=seed)
    return replace(sample, fake=sample.fake.cpu(), boxes=sample.boxes.cpu(), asked=batch, real=real)


def ask(graph: ActionGraph, first_frame: Tensor, info: DatasetInfo, length: int, name: str) -> ActionGraphBatch:
    """A graph and a first frame ``[3, h, w]`` as a batch of one clip of ``length`` frames."""
    vocabulary = info.need_vocabulary()
    graph = graph.with_length(length)
    boxes = graph.boxes(vocabulary)[:, None].expand(-1, length, -1)
    return ActionGraphBatch(graph.clocked(vocabulary), boxes, first_frame.expand(1, length, -1, -1, -1), (name,))


def _check(request: ActionGraphRequest, prompts: Sequence[Any]) -> None:
    request.check()
    if not prompts and request.clip is None:
        raise ConfigError(
            "This model makes video from action graphs: give prompt=graph.yaml and first_frame=frame.png, or "
            "clip=<number> to start from a validation clip of its dataset."
        )
    if (request.first_frame is None) == (request.clip is None):
        raise ConfigError("Give one first frame: first_frame=frame.png, or clip=<number>.")


def _variants(
    prompts: list[Any], true_clip: ActionGraphBatch | None, request: ActionGraphRequest, info: DatasetInfo
) -> list[Variant]:
    vocabulary = info.need_vocabulary()
    if prompts:
        names = _unique(["graph" if isinstance(one, ActionGraph) else Path(one).stem for one in prompts])
        graphs = [
            Variant(name, one if isinstance(one, ActionGraph) else read_action_graph(Path(one)))
            for name, one in zip(names, prompts, strict=True)
        ]
    else:
        assert true_clip is not None
        own = ActionGraph.from_clocked(true_clip.graph, 0, true_clip.boxes, vocabulary, true_clip.length)
        graphs = [Variant(f"clip{request.clip}", own)]
    if request.length is not None:
        graphs = [replace(v, graph=v.graph.with_length(request.length)) for v in graphs]
    for variant in graphs:
        with located(f"prompt '{variant.name}'"):
            variant.graph.validate(vocabulary)
        if variant.graph.length < 2:
            raise ConfigError(f"'{variant.name}' asks for {variant.graph.length} frame(s); ask for at least 2.")
    shifts = _listed(request.shift)
    if not shifts:
        return graphs
    return [Variant(f"{v.name}_shift{shift:g}", v.graph.shift(float(shift))) for v in graphs for shift in shifts]


def _validation_clip(model: LoadedModel, number: int, dataset: Mapping[str, Any]) -> ActionGraphBatch:
    datamodule = prepared(taken_dataset(model.trained_on, dataset, str(model.path)))
    same_data(datamodule.info, model.info, f"checkpoint {model.path}")
    count = len(datamodule.dataset("val"))
    if not 0 <= number < count:
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
