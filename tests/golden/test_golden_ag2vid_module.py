"""Replay the recorded run of the original AG2Vid through the model that ``export format=ag2vid`` makes of it."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mutoscope.config.nodes import build
from mutoscope.models.ag2vid.module import AG2Vid
from mutoscope.models.ag2vid.reference.checkpoint import ReferenceFile, networks_from_reference
from mutoscope.models.ag2vid.reference.layout import unpad
from mutoscope.structures import ActionVocabulary, DatasetInfo, Normaliser
from mutoscope.structures.vocabulary import IN_IMAGE, PADDING


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    folder = metafunc.config.golden_dir / "ag2vid"
    files = sorted(folder.glob("full_model*.safetensors"))
    absent = pytest.param(None, marks=pytest.mark.skip(reason=f"There are no golden tensors in '{folder}'."))
    metafunc.parametrize("golden_file", files or [absent], ids=[path.stem for path in files] or ["absent"])


def numbered(name: str, count: int) -> tuple[str, ...]:
    return tuple(f"{name}_{i}" for i in range(count))


@torch.no_grad()
def test_golden_ag2vid_module(golden_file: Path) -> None:
    with safe_open(golden_file, "pt") as file:
        config = json.loads(file.metadata()["config"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    weights = {key.removeprefix("weights/"): x for key, x in tensors.items() if key.startswith("weights/")}
    networks = networks_from_reference(ReferenceFile(weights, arguments=config))
    images = tensors["in/imgs"].float()
    vocabulary = ActionVocabulary(
        attributes=tuple((f"attribute_{k}", numbered("value", size)) for k, size in enumerate(networks.sizes)),
        actions=(*numbered("action", config["num_actions"] - 1), PADDING),
        predicates=(IN_IMAGE, *numbered("predicate", config["num_predicates"] - 2), PADDING),
    )
    assert networks.vocabulary(vocabulary) is vocabulary
    info = DatasetInfo(
        name="recorded",
        kind="action_graph",
        classes=vocabulary.action_names,
        fps=8.0,
        length=images.shape[1],
        channels=3,
        normaliser=Normaliser((0.0,) * 3, (1.0,) * 3),
        frame_size=(images.shape[3], images.shape[4]),
        vocabulary=vocabulary,
    )
    factories = dict.fromkeys(("layout", "generator"), partial(torch.optim.Adam, lr=1e-4))
    node = {"_target_": "mutoscope.models.ag2vid.module.AG2Vid", **networks.settings()}
    model: AG2Vid = build(node, "model", info=info, optimizers=factories)
    model.load_state_dict(networks.weights())
    graph, boxes = unpad(
        tensors["in/objs"],
        tensors["in/boxes_gt"],
        tensors["in/triplets"],
        tensors["in/actions"],
        padding_predicate=config["predicate_padding"],
        padding_action=config["action_padding"],
    )
    made = model.eval().generator(graph, boxes[:, 0], images[:, 0], images.shape[1])
    by_clip = made.boxes.unflatten(0, (len(images), -1)).transpose(1, 2)
    torch.testing.assert_close(by_clip, tensors["out/pred/boxes"].float(), atol=1e-3, rtol=1e-3)
    step = config.get("subsample", 1)
    name = "out/pred/imgs_sub" if "out/pred/imgs_sub" in tensors else "out/pred/imgs"
    every = step if name.endswith("_sub") else 1
    # a roll-out feeds its rounding errors to its next step
    torch.testing.assert_close(made.frames[..., ::every, ::every], tensors[name].float(), atol=1e-3, rtol=1e-3)
