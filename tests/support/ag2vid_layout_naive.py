"""AG2Vid's layout network written the slow, plain way: the yardstick of the benchmark and a second opinion in tests.

One clip, one step after the other; edges that are not active are dropped by masks; embeddings and clocks are looked up
anew at every step; every pooled edge end is counted with a scatter. Keys are those of the original's checkpoints.
"""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from mutoscope.structures import ClockedGraph

State = Mapping[str, Tensor]


def naive_layout(
    state: State, graphs: list[ClockedGraph], first_boxes: list[Tensor], length: int, *, clip_progress: bool = False
) -> tuple[list[Tensor], list[Tensor]]:
    """Boxes ``[n, t, 4]`` and descriptors ``[n, t, e]`` of each clip."""
    boxes, descriptors = [], []
    for graph, first in zip(graphs, first_boxes, strict=True):
        clip_boxes, clip_descriptors = [first], [first.new_zeros(len(first), state["acts_embeddings.weight"].shape[1])]
        for step in range(1, length):
            delta, known = naive_step(state, graph, clip_boxes[-1], step, length, clip_progress)
            clip_boxes.append(clip_boxes[-1] + delta)
            clip_descriptors.append(known)
        boxes.append(torch.stack(clip_boxes, dim=1))
        descriptors.append(torch.stack(clip_descriptors, dim=1))
    return boxes, descriptors


def naive_step(
    state: State, graph: ClockedGraph, boxes: Tensor, step: int, length: int, clip_progress: bool
) -> tuple[Tensor, Tensor]:
    embedded = [
        state[f"attribute_embedding.att_emb_{k}.weight"][graph.attributes[:, k]]
        for k in range(graph.attributes.shape[1])
    ]
    x = torch.cat(embedded, dim=1)
    if len(embedded) > 1:
        x = linear(state, "attribute_embedding.attribute_fc_gen", x)
    x = F.relu(F.linear(torch.cat([x, boxes], dim=1), state["obj_vecs_net.0.weight"]))
    x = F.relu(F.linear(x, state["obj_vecs_net.2.weight"]))

    start, end = graph.progress[:, 0], graph.progress[:, 1]
    clock = step / length * (end - start + 1e-6) + start
    active = (clock >= 0) & (clock <= 1)
    if clip_progress:
        clock, active = clock.clamp(0, 1), torch.ones_like(active)
    acting = state["acts_embeddings.weight"][graph.action].clone()
    acting[:, -3:-1] = graph.destination
    acting[:, -1] = clock
    relations = graph.relations if graph.relations.ndim == 2 else graph.relations[step]
    u = torch.cat([state["pred_embeddings.weight"][relations[:, 1]], acting[active]])
    subject = torch.cat([relations[:, 0], graph.subject[active]])
    object = torch.cat([relations[:, 2], graph.object[active]])

    layer = 0
    while f"gconvs.{layer}.net1.0.weight" in state:
        x, u = naive_convolution(state, f"gconvs.{layer}", x, u, subject, object)
        layer += 1
    return linear(state, "box_net.2", F.relu(linear(state, "box_net.0", x))), x


def naive_convolution(
    state: State, name: str, x: Tensor, u: Tensor, subject: Tensor, object: Tensor
) -> tuple[Tensor, Tensor]:
    h = F.relu(linear(state, f"{name}.net1.0", torch.cat([x[subject], u, x[object]], dim=1)))
    h = F.relu(linear(state, f"{name}.net1.2", h))
    hidden = state[f"{name}.net2.0.weight"].shape[1]
    to_subject, to_object = h[:, :hidden], h[:, -hidden:]
    pooled = x.new_zeros(len(x), hidden)
    pooled = pooled.scatter_add(0, subject[:, None].expand_as(to_subject), to_subject)
    pooled = pooled.scatter_add(0, object[:, None].expand_as(to_object), to_object)
    count = x.new_zeros(len(x)).scatter_add(0, subject, x.new_ones(len(subject)))
    count = count.scatter_add(0, object, x.new_ones(len(object))).clamp(min=1)
    x = F.relu(linear(state, f"{name}.net2.0", pooled / count[:, None]))
    return F.relu(linear(state, f"{name}.net2.2", x)), h[:, hidden:-hidden]


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return F.linear(x, state[f"{name}.weight"], state[f"{name}.bias"])


def random_graph(
    clips: int, *, objects: int = 6, actions: int = 4, sizes: tuple[int, ...] = (6, 10, 3, 4), seed: int = 0
) -> ClockedGraph:
    """CATER-like graphs: objects tied to an image node, actions of one or two objects that start and end anywhere."""
    random = torch.Generator().manual_seed(seed)
    nodes = objects + 1
    attributes = torch.stack([1 + torch.randint(k - 1, (clips, nodes), generator=random) for k in sizes], dim=2)
    attributes[:, -1] = 0
    first = torch.arange(clips)[:, None] * nodes
    members, image = first + torch.arange(objects), (first + objects).expand(clips, objects)
    subject = first + torch.randint(objects, (clips, actions), generator=random)
    partner = first + torch.randint(objects, (clips, actions), generator=random)
    alone = torch.rand(clips, actions, generator=random) < 0.5
    start = torch.rand(clips * actions, generator=random) * 1.6 - 1.2
    return ClockedGraph(
        attributes=attributes.flatten(0, 1),
        clip=torch.arange(clips).repeat_interleave(nodes),
        relations=torch.stack([members, torch.zeros_like(members), image], dim=2).flatten(0, 1),
        subject=subject.flatten(),
        action=1 + torch.randint(5, (clips * actions,), generator=random),
        object=torch.where(alone, subject, partner).flatten(),
        progress=torch.stack([start, start + 1.6], dim=1),
        destination=torch.rand(clips * actions, 2, generator=random),
        num_clips=clips,
    )


def random_boxes(graph: ClockedGraph, length: int, seed: int = 0) -> Tensor:
    """``[n, t, 4]``."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand(graph.num_nodes, length, 4, generator=random) * torch.tensor([0.8, 0.8, 0.2, 0.2])


def parts(graph: ClockedGraph, boxes: Tensor) -> tuple[list[ClockedGraph], list[Tensor]]:
    """Every clip on its own."""
    clips = range(graph.num_clips)
    return [graph.select([clip]) for clip in clips], [boxes[graph.nodes_of(clip)] for clip in clips]
