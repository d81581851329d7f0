"""The original AG2Vid's layout networks: names in its checkpoints, and its padded batches as graphs.

Its checkpoints hold two copies of the network under ``model_state``: ``acts_to_boxes.module.`` makes the layout,
``acts_to_objs.module.`` the descriptors for the frames (spec section 10).
"""

import re
from collections.abc import Mapping, Sequence

import torch
from einops import rearrange
from torch import Tensor

from mutoscope.models.ag2vid.layout import LayoutGCN
from mutoscope.structures.clocked import ClockedGraph

State = Mapping[str, Tensor]

LAYOUT_PREFIX, APPEARANCE_PREFIX = "acts_to_boxes.module.", "acts_to_objs.module."
_LINEAR = ("weight", "bias")


def attribute_keys(attributes: int, ours: str = "attributes.") -> dict[str, str]:
    """The original's name -> ours for an embedding of so many attributes.

    Args:
        attributes: number of attributes; the mixing layer exists for more than one.
        ours: where the embedding stands in our network.
    """
    keys = {f"attribute_embedding.att_emb_{k}.weight": f"{ours}tables.{k}.weight" for k in range(attributes)}
    if attributes > 1:
        keys |= {f"attribute_embedding.attribute_fc_gen.{leaf}": f"{ours}mix.{leaf}" for leaf in _LINEAR}
    return keys


def convolution_keys(layers: int, ours: str = "convolutions.") -> dict[str, str]:
    """The original's name -> ours for a stack of graph convolutions."""
    return {
        f"gconvs.{layer}.{theirs}.{place}.{leaf}": f"{ours}{layer}.{name}.{place}.{leaf}"
        for layer in range(layers)
        for theirs, name in (("net1", "message"), ("net2", "update"))
        for place in (0, 2)
        for leaf in _LINEAR
    }


def layout_keys(attributes: int, layers: int) -> dict[str, str]:
    """The original's name -> ours for every tensor of a layout network with so many attributes and convolutions."""
    return {
        **attribute_keys(attributes),
        "pred_embeddings.weight": "edges.predicates.weight",
        "acts_embeddings.weight": "edges.actions.weight",
        **convolution_keys(layers),
        **{f"box_net.{place}.{leaf}": f"box.{place}.{leaf}" for place in (0, 2) for leaf in _LINEAR},
        **{f"obj_vecs_net.{place}.weight": f"nodes.{place}.weight" for place in (0, 2)},
    }


def convert_layout(state: State, prefix: str = "") -> dict[str, Tensor]:
    """Entries of a checkpoint of the original under our names.

    Args:
        state: names with tensors; those without the prefix are left aside.
        prefix: of the copy that is wanted, ``LAYOUT_PREFIX`` or ``APPEARANCE_PREFIX`` in a whole ``model_state``.

    Raises:
        ValueError: if entries under the prefix are missing or left over; all of them are named.
    """
    own = {key.removeprefix(prefix): x for key, x in state.items() if key.startswith(prefix)}
    keys = layout_keys(
        len(_numbers(own, r"attribute_embedding\.att_emb_(\d+)\.weight")),
        len(_numbers(own, r"gconvs\.(\d+)\.net1\.0\.weight")),
    )
    problems = [f"'{prefix}{key}' is missing" for key in sorted(keys.keys() - own.keys())]
    problems += [f"'{prefix}{key}' belongs to no part of it" for key in sorted(own.keys() - keys.keys())]
    if problems:
        raise ValueError(f"This checkpoint does not hold one of AG2Vid's layout networks: {'; '.join(problems)}.")
    return {ours: own[theirs] for theirs, ours in keys.items()}


def export_layout(network: LayoutGCN, prefix: str = "") -> dict[str, Tensor]:
    """A network's state under the original's names (copies)."""
    state = network.state_dict()
    keys = layout_keys(len(network.attributes.tables), len(network.convolutions))
    return {prefix + theirs: state[ours].clone() for theirs, ours in keys.items()}


def layout_from_reference(
    state: State,
    prefix: str = "",
    *,
    padding_action: int | None = None,
    clip_progress: bool = False,
    only_actions: bool = False,
) -> LayoutGCN:
    """Build and fill a layout network from a checkpoint of the original; sizes are told from the shapes.

    Args:
        state, prefix: see :func:`convert_layout`.
        padding_action: id of edges that are never active; the last one unless given, as in both vocabularies.
        clip_progress, only_actions: see :class:`~mutoscope.models.ag2vid.layout.LayoutGCN`.

    Raises:
        ValueError: if entries are missing, left over, or do not fit together.
    """
    converted = convert_layout(state, prefix)
    actions = converted["edges.actions.weight"]
    tables = [x for key, x in converted.items() if key.startswith("attributes.tables.")]
    network = LayoutGCN(
        [len(table) for table in tables],
        num_predicates=len(converted["edges.predicates.weight"]),
        num_actions=len(actions),
        padding_action=len(actions) - 1 if padding_action is None else padding_action,
        width=actions.shape[1],
        hidden=len(converted["box.0.weight"]),
        layers=len({key.split(".")[1] for key in converted if key.startswith("convolutions.")}),
        clip_progress=clip_progress,
        only_actions=only_actions,
    )
    expected = network.state_dict()
    problems = [
        f"'{key}' has shape {list(x.shape)} where {list(expected[key].shape)} is expected"
        for key, x in converted.items()
        if x.shape != expected[key].shape
    ]
    if problems:
        raise ValueError(f"The tensors of the layout network do not fit together: {'; '.join(problems)}.")
    network.load_state_dict(converted)
    return network


def unpad(
    objs: Tensor, boxes: Tensor, triplets: Tensor, actions: Tensor, *, padding_predicate: int, padding_action: int
) -> tuple[ClockedGraph, Tensor]:
    """The original's padded batch as one graph.

    Padding nodes stay, as nodes without edges, so that row ``b * o + i`` is node ``i`` of clip ``b``; padding edges go.

    Args:
        objs: ``[b, o, k]`` int64 attribute ids.
        boxes: ``[b, t, o, 4]``.
        triplets: ``[b, t, m, 3]`` int64 relations (subject, predicate, object) of every frame.
        actions: ``[b, a, 7]`` (subject, action, object, progress at the first frame and past the last, destination).
        padding_predicate, padding_action: ids of padding edges.

    Returns:
        The graph and the boxes ``[b * o, t, 4]``. Relations are ``[m, 3]`` where all frames have the same.

    Raises:
        ValueError: if a clip has more relations in one frame than in another.
    """
    clips, count = objs.shape[:2]
    first_node = torch.arange(clips) * count
    present = triplets[..., 1] != padding_predicate
    if not torch.equal(present, present[:, :1].expand_as(present)):
        raise ValueError("A clip has more spatial relations in one frame than in another; give as many in all.")
    shifted = triplets + torch.stack([first_node, torch.zeros_like(first_node), first_node], 1)[:, None, None]
    relations = shifted.transpose(0, 1)[:, present[:, 0]]
    acting = actions[..., 1].long() != padding_action
    subject, object = ((actions[..., column].long() + first_node[:, None])[acting] for column in (0, 2))
    rows = actions[acting]
    graph = ClockedGraph(
        attributes=objs.flatten(0, 1),
        clip=torch.arange(clips).repeat_interleave(count),
        relations=relations[0] if bool((relations == relations[:1]).all()) else relations,
        subject=subject,
        action=rows[:, 1].long(),
        object=object,
        progress=rows[:, 3:5],
        destination=rows[:, 5:7],
        num_clips=clips,
    )
    return graph, rearrange(boxes, "b t o d -> (b o) t d")


def _numbers(keys: Sequence[str] | Mapping[str, Tensor], pattern: str) -> set[int]:
    return {int(match[1]) for key in keys if (match := re.fullmatch(pattern, key))}
