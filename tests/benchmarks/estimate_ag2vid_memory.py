"""How much GPU memory a training step of AG2Vid takes, estimated without a GPU.

    python tests/benchmarks/estimate_ag2vid_memory.py [--size 256] [--frames 16] [--batch 2]

Runs the generator's forward pass at the paper's widths on the ``meta`` device, which has shapes but no numbers. It adds
up what autograd keeps for the backward pass, activations as if in bfloat16; weights, gradients and Adam's moments
count in float32. Work space of convolutions and the allocator's waste are not in it. An estimate, no measurement.
"""

import argparse
from contextlib import nullcontext
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch import Tensor

from mutoscope.models.ag2vid.module import AG2Vid
from mutoscope.models.ag2vid.settings import FrameTraining
from mutoscope.structures import CATER_VOCABULARY, ActionGraphBatch, ClockedGraph, DatasetInfo, Normaliser

OBJECTS, ACTIONS = 9, 4


def clips(batch: int, frames: int, size: int) -> ActionGraphBatch:
    """Clips as large as CATER's."""
    nodes = batch * (OBJECTS + 1)
    things = torch.arange(nodes).view(batch, -1)
    attributes = torch.ones(batch, OBJECTS + 1, 4, dtype=torch.long)
    attributes[:, -1] = 0
    subject = things[:, :ACTIONS].flatten()
    last = things[:, -1:].expand(-1, OBJECTS)
    graph = ClockedGraph(
        attributes=attributes.flatten(0, 1),
        clip=torch.arange(batch).repeat_interleave(OBJECTS + 1),
        relations=torch.stack([things[:, :-1], torch.zeros_like(last), last], dim=-1).flatten(0, 1),
        subject=subject,
        action=torch.full_like(subject, 2),
        object=subject,
        progress=torch.tensor([[0.0, 1.0]]).repeat(len(subject), 1),
        destination=torch.rand(len(subject), 2),
        num_clips=batch,
    )
    video = torch.zeros(batch, frames, 3, size, size, dtype=torch.uint8)
    return ActionGraphBatch(graph, torch.rand(nodes, frames, 4), video, tuple(map(str, range(batch))))


def model(size: int, recomputed: bool) -> AG2Vid:
    info = DatasetInfo(
        "cater",
        "action_graph",
        CATER_VOCABULARY.action_names,
        8.0,
        16,
        3,
        normaliser=Normaliser((124.0, 116.0, 104.0), (58.0, 57.0, 57.0)),
        frame_size=(size, size),
        vocabulary=CATER_VOCABULARY,
    )
    adam = dict.fromkeys(("layout", "generator", "discriminator"), partial(torch.optim.Adam, lr=1e-4))
    return AG2Vid(
        info, optimizers=adam, frames=FrameTraining(perceptual="discriminator", checkpoint_activations=recomputed)
    )


def kept_for_backward(module: AG2Vid, batch: ActionGraphBatch) -> int:
    """Bytes that the generator's step keeps, each piece of memory counted once; weights are left out."""
    weights = {p.untyped_storage()._cdata for p in module.parameters()}
    kept: dict[int, tuple[Any, int]] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            # holding the storage keeps its address from being used again
            kept[storage._cdata] = (storage, storage.nbytes())
        return tensor

    # there is no autocast for tensors without numbers
    cast = mock.patch("torch.autocast", return_value=nullcontext())
    with cast, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        part = module._part(batch)
        loss = module._generator_loss(part)
    assert loss.requires_grad
    return sum(size for _, size in kept.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("size", 256), ("frames", 16), ("batch", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    asked = parser.parse_args()
    for recomputed in (False, True):
        module = model(asked.size, recomputed)
        count = sum(p.numel() for p in module.parameters())
        fixed = 4 * 4 * count
        module = module.to("meta")
        batch = clips(asked.batch, asked.frames, asked.size).to("meta")
        kept = kept_for_backward(module, batch) // 2  # bfloat16 takes half of the float32 that is counted
        print(
            f"{asked.size}x{asked.size}, {asked.frames} frames, batch {asked.batch}, bf16, checkpoint_activations="
            f"{str(recomputed).lower()}: {kept / 1e9:.1f} GB kept for the backward pass + {fixed / 1e9:.1f} GB of "
            f"weights, gradients and Adam ({count / 1e6:.1f} M parameters) = {(kept + fixed) / 1e9:.1f} GB (estimate)"
        )


if __name__ == "__main__":
    main()
