"""Replay the recorded runs of the original AG2Vid's frame generator: pasting, warp, flow, SPADE, the whole.

Every file of a known kind is replayed; sizes are read from the file or from the shapes of its weights, and a recorded
output that no replay reads is a failure.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import torch
from recorded import Recorded
from torch import Tensor
from torch.nn import functional as F

from mutoscope.models.ag2vid.flow import FlowNetwork, FlowSettings
from mutoscope.models.ag2vid.frames import FrameGeneratingFunction, Frames
from mutoscope.models.ag2vid.layout import Layout
from mutoscope.models.ag2vid.pasting import LayoutMasks, object_masks, paste
from mutoscope.models.ag2vid.reference.frames import (
    FRAMES_PREFIX,
    Keys,
    convert,
    flow_keys,
    frames_from_reference,
    spade_keys,
)
from mutoscope.models.ag2vid.reference.layout import APPEARANCE_PREFIX, LAYOUT_PREFIX, layout_from_reference, unpad
from mutoscope.nn.spade import SpadeGenerator, SpadeSettings
from mutoscope.nn.warp import warp
from mutoscope.structures.clocked import ClockedGraph

ATOL = RTOL = 1e-4
#: a roll-out feeds its rounding errors to its next step
DEEP = 1e-3
CONFIDENT = 0.02


class Golden(Recorded):
    """A recorded run of the original."""

    outputs = ("out/", "extra/")

    def check(self, key: str, found: Tensor, tolerance: float = ATOL) -> None:
        """Compare one recorded output, if the file holds it, whole or as every k-th row and column."""
        steps = {"": 1, "_sub": self.config.get("subsample", 1), "_sub8": 8, "_sub3": 3}
        for suffix, step in steps.items():
            name = key + suffix
            if name not in self.tensors:
                continue
            self.unread.discard(name)
            torch.testing.assert_close(
                found[..., ::step, ::step] if step > 1 else found,
                self[name],
                atol=tolerance,
                rtol=max(RTOL, tolerance),
                check_dtype=False,
                msg=lambda text, name=name: f"{self.path.name}, {name}: {text}",
            )


def load(network: torch.nn.Module, weights: Mapping[str, Tensor], keys: Keys) -> None:
    network.load_state_dict(convert(weights, network, keys))
    network.eval()


def replay_paste(golden: Golden) -> None:
    boxes, vectors = golden["in/boxes"], golden["in/vecs"]
    real, clip = torch.ones(len(boxes), dtype=torch.bool), torch.zeros(len(boxes), dtype=torch.long)
    size = tuple(golden["out/map"].shape[-2:])
    golden.check("out/map", paste(vectors, *object_masks(boxes, real, (size[0], size[1])), clip, 1))
    for key in [key for key in golden.unread if key.startswith("out/unit_masks_")]:
        side = int(key.rpartition("_")[2])
        y, x = object_masks(boxes, real, (side, side))
        golden.check(key, y[:, :, None] * x[:, None, :])


def replay_warp(golden: Golden) -> None:
    image, flow = golden["in/image"], golden["in/flow"]
    still = torch.zeros_like(flow)
    aligned = golden.config["reference_align_corners"]
    golden.check("out/warped", warp(image, flow, align_corners=aligned))
    golden.check("out/warped_zero_flow", warp(image, still, align_corners=aligned))
    golden.check("extra/warped_aligned", warp(image, flow, align_corners=True))
    golden.check("extra/warped_aligned_zero_flow", warp(image, still, align_corners=True))


def replay_flow_net(golden: Golden) -> None:
    config, x = golden.config, golden["in/x"]
    assert not config["flow_deconv"], "Flow networks with transposed convolutions are not supported."
    network = FlowNetwork(
        (x.shape[1] - 3) // 2,
        FlowSettings(
            width=config["nff"],
            halvings=config["n_downsample_F"],
            blocks=config["n_blocks_F"],
            multiplier=config["flow_multiplier"],
        ),
    )
    load(network, golden.under("weights/"), flow_keys(network))
    down = network.encode(x)
    refined = network.refine(down)
    up = network.decode(refined)
    golden.check("out/down", down)
    golden.check("out/res", refined)
    golden.check("out/up", up)
    golden.check("out/flow", network(x))
    golden.check("out/weight", network.blend_weight(up))


def replay_spade_generator(golden: Golden) -> None:
    config, small = golden.config, golden["in/layout_small"]
    network = SpadeGenerator(
        small.shape[1], SpadeSettings(config["ngf"], config["spade_hidden"], config["num_upsampling_layers"])
    )
    load(network, golden.under("weights/"), spade_keys(network))
    seen: dict[str, Tensor] = {}

    def record(name: str) -> Callable[..., None]:
        return lambda module, inputs, output: seen.update({name: output})

    network.first.register_forward_hook(record("fc"))
    names = ("head_0", "G_middle_0", "G_middle_1", *(f"up_{i}" for i in range(5)))
    for block, name in zip(network.blocks, names, strict=False):
        block.register_forward_hook(record(name))
    seen["img"] = network(F.interpolate(small, scale_factor=config["layout_upsample"], mode="nearest"))
    for name, found in seen.items():
        golden.check(f"out/{name}", found)


def replay_full_model(golden: Golden) -> None:
    config, weights = golden.config, golden.under("weights/")
    assert not config["flow_deconv"], "Flow networks with transposed convolutions are not supported."
    options = {"padding_action": config["action_padding"], "only_actions": bool(config["only_temporal"])}
    layout_function = layout_from_reference(weights, LAYOUT_PREFIX, **options).eval()
    appearance_function = layout_from_reference(weights, APPEARANCE_PREFIX, **options).eval()
    generator = frames_from_reference(
        weights,
        FRAMES_PREFIX,
        upsampling=config["num_upsampling_layers"],
        flow_multiplier=config["flow_multiplier"],
    ).eval()
    graph, boxes = unpad(
        golden["in/objs"],
        golden["in/boxes_gt"],
        golden["in/triplets"],
        golden["in/actions"],
        padding_predicate=config["predicate_padding"],
        padding_action=config["action_padding"],
    )
    images = golden["in/imgs"]
    clips, length = images.shape[:2]

    def by_clip(nodes: Tensor) -> Tensor:
        return nodes.unflatten(0, (clips, -1)).transpose(1, 2)

    appearance: Layout = appearance_function(graph, boxes[:, 0], length)
    descriptors = appearance.need_descriptors()
    golden.check("out/appearance/internal_boxes", by_clip(appearance.boxes), DEEP)
    golden.check("out/appearance/obj_vecs", by_clip(descriptors), DEEP)
    predicted = layout_function(graph, boxes[:, 0], length).boxes

    def check(mode: str, made: Frames) -> None:
        # the original answers with the predicted layout also where frames were made from the given one
        golden.check(f"out/{mode}/boxes", by_clip(predicted), DEEP)
        golden.check(f"out/{mode}/imgs", made.frames, DEEP)
        golden.check(f"out/{mode}/flow", made.flow, DEEP)

    own = bool(config["bp_prev"])
    trained = generator(graph, boxes, descriptors, images, autoregressive=own)
    check("train", trained)
    check("train", generator(graph, boxes, descriptors, images, autoregressive=own, per_frame=not own))
    check("gtl", generator(graph, boxes, descriptors, images[:, :1], autoregressive=True))
    check("pred", generator(graph, predicted, descriptors, images[:, :1], autoregressive=True))
    previous = torch.cat([images[:, :1], trained.frames[:, :-1]], dim=1) if own else images[:, :-1]
    check_confidence(golden, previous, trained)
    check_first_step(golden, generator, graph, boxes, descriptors, trained)
    # what clocks and edges are is replayed with the layout functions
    golden.unread = {key for key in golden.unread if not key.startswith("out/actions/")}


def check_confidence(golden: Golden, previous: Tensor, made: Frames) -> None:
    """The original also tells where the flow left the image as it was; a flag may flip at the threshold."""
    error = (previous - made.warped).square().sum(dim=2, keepdim=True)
    for key in golden.unread & {"out/train/conf", "out/train/conf_sub"}:
        step = golden.config.get("subsample", 1) if key.endswith("_sub") else 1
        sure = error[..., ::step, ::step]
        differs = (sure < CONFIDENT) != golden[key].bool()
        assert not (differs & ((sure - CONFIDENT).abs() > DEEP)).any()
        golden.unread.discard(key)


def check_first_step(
    golden: Golden,
    generator: FrameGeneratingFunction,
    graph: ClockedGraph,
    boxes: Tensor,
    descriptors: Tensor,
    made: Frames,
) -> None:
    attributes = generator.attributes(graph.attributes)
    golden.check("out/step1/attr", attributes.unflatten(0, (graph.num_clips, -1)))
    golden.check("out/step1/warped", made.warped[:, 0])
    golden.check("out/step1/residual", made.residual[:, 0], DEEP)
    vectors = generator.object_vectors(graph, descriptors)
    size = (made.frames.shape[-2], made.frames.shape[-1])
    pair = generator.layout_pair(LayoutMasks.of(graph, boxes, size), vectors, made.warped[:, 0], 0, 1)
    golden.check("out/step1/fused", generator.fuse(pair), DEEP)
    for name, time in (("seg_prev", 0), ("seg_cur", 1)):
        masks = object_masks(boxes[:, time], graph.real, size)
        golden.check(f"out/step1/{name}", paste(vectors[:, time], *masks, graph.clip, graph.num_clips))


REPLAYS: dict[str, Callable[[Golden], None]] = {
    "paste": replay_paste,
    "warp": replay_warp,
    "flow_net": replay_flow_net,
    "spade_generator": replay_spade_generator,
    "full_model": replay_full_model,
}


def kind_of(name: str) -> str | None:
    return next((kind for kind in REPLAYS if name == kind or name.startswith(f"{kind}_")), None)


def files_to_replay(folder: Path) -> Iterator[Path]:
    yield from (path for path in sorted(folder.glob("*.safetensors")) if kind_of(path.stem))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "golden_file" in metafunc.fixturenames:
        folder = metafunc.config.golden_dir / "ag2vid"
        files = list(files_to_replay(folder))
        absent = pytest.param(None, marks=pytest.mark.skip(reason=f"There are no golden tensors in '{folder}'."))
        metafunc.parametrize("golden_file", files or [absent], ids=[path.stem for path in files] or ["absent"])


@torch.no_grad()
def test_golden_ag2vid_frames(golden_file: Path) -> None:
    kind = kind_of(golden_file.stem)
    assert kind is not None
    golden = Golden(golden_file)
    assert golden.unread, f"{golden_file.name} holds no outputs to compare."
    REPLAYS[kind](golden)
    assert not golden.unread, f"{golden_file.name} holds outputs that were not compared: {sorted(golden.unread)}."
