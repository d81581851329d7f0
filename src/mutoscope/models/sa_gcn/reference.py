"""Checkpoints of the original SA-GCN program, in and out (specification 11).

:func:`~mutoscope.formats.state_dicts.read_state_dict` reads their files. State dictionaries of its three networks are
understood by key and shape: all sizes are told from the shapes, every entry is read and every parameter is written.
What the original never computes with (the layer norms of its attention layers, and the clip critic's second head where
no auxiliary loss uses it) has no place here and is written as a constant.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mutoscope.formats.state_dicts import read_state_dict
from mutoscope.models.originals import Original, OriginalData, motion_info, skeleton_told
from mutoscope.models.sa_gcn.discriminators import ClipCritic, FrameCritic
from mutoscope.models.sa_gcn.generator import Generator, variant_options
from mutoscope.structures import H36M15, Skeleton

State = Mapping[str, Tensor]
Network = Generator | ClipCritic | FrameCritic
#: past frames of the released program, which leave no trace in its files
_RELEASED_KEPT = 5


@dataclass(frozen=True)
class KeyPair:
    """One tensor under both names.

    Args:
        ours: key in the state dictionary of this package's network.
        theirs: key in the original's checkpoint.
        kernel: dimensions of size one that end its shape there, and that we leave out.
    """

    ours: str
    theirs: str
    kernel: int = 0

    def read(self, x: Tensor) -> Tensor:
        return x.flatten(x.ndim - self.kernel - 1) if self.kernel else x

    def write(self, x: Tensor) -> Tensor:
        return x[(..., *(None,) * self.kernel)]


def _layer(ours: str, theirs: str, kernel: int = 0) -> list[KeyPair]:
    return [KeyPair(f"{ours}.weight", f"{theirs}.weight", kernel), KeyPair(f"{ours}.bias", f"{theirs}.bias")]


def key_map(network: Network) -> list[KeyPair]:
    """Every tensor of a network's state under our name and the original's.

    Raises:
        ValueError: for a generator of another variant than ``reference``.
    """
    if isinstance(network, Generator):
        return _generator_keys(network)
    if isinstance(network, ClipCritic):
        return _clip_critic_keys(network)
    return [
        *_layer("before.0", "block1.0", 1),
        *_layer("before.2", "block1.2", 1),
        *_layer("shortcut", "linear1"),
        *_layer("after.0", "block2.0", 1),
        *_layer("after.2", "block2.2", 1),
        *_layer("each", "linear2"),
        *_layer("head", "linear3"),
    ]


def _clip_critic_keys(network: ClipCritic) -> list[KeyPair]:
    return [
        *_layer("before.0", "block1.0", 1),
        *_layer("before.2", "block1.2", 1),
        *_layer("after.0", "block2.0", 1),
        *_layer("after.2", "block2.2", 1),
        *_layer("over_time", "linear1"),
        *_layer("head", "linear2"),
        *(_layer("classifier", "linear3") if network.classifier is not None else []),
    ]


def _generator_keys(network: Generator) -> list[KeyPair]:
    if network.options != variant_options("reference", kept=network.options.kept):
        raise ValueError("Checkpoints of the original hold generators of variant='reference' alone; this is another.")
    pairs = _layer("embedding", "w1", 1) + _layer("projection", "w2", 1)
    for leaf in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"):
        pairs.append(KeyPair(f"recurrent.{leaf}", f"rnn.{leaf}"))
    for ours, theirs in (("sequence_attention", "attn_seq_1"), ("pose_attention", "attn_seq_2")):
        pairs.append(KeyPair(f"{ours}.weight", f"{theirs}.gamma"))
        for part, letter in (("query", "w_q"), ("key", "w_k"), ("value", "w_v"), ("out", "linear2")):
            pairs += _layer(f"{ours}.{part}", f"{theirs}.{letter}")
    for block in (0, 1):
        for place in (0, 2):
            pairs += _layer(f"trunk.{block}.branch.{place}", f"block{block + 1}.{place}", 1)
    pairs += _layer("trunk.0.shortcut", "linear1", 1) + _layer("to_pose", "linear")
    for number in range(len(network.stack.layers)):
        pairs += _layer(f"stack.layers.{number}.linear", f"gc{number + 1}.conv", 2)
        pairs += _layer(f"stack.layers.{number}.nodes", f"gc{number + 1}.w")
    for number in network.stack.sources:
        pairs += _layer(f"stack.skips.{number}", f"w_g{number // 2}", 2)
    return [*pairs, *_layer("stack.head", "w_output", 2)]


def _idle(network: Network) -> dict[str, Tensor]:
    """Entries of a checkpoint that nothing here computes with, as they are written."""
    if isinstance(network, ClipCritic) and network.classifier is None:
        like = network.head.weight.detach()
        return {
            "linear3.weight": like.new_zeros(network.classes, network.length),
            "linear3.bias": like.new_zeros(network.classes),
        }
    if not isinstance(network, Generator):
        return {}
    entries: dict[str, Tensor] = {}
    for ours, theirs in ((network.sequence_attention, "attn_seq_1"), (network.pose_attention, "attn_seq_2")):
        like = ours.out.bias.detach()
        entries |= {f"{theirs}.layer_norm.weight": torch.ones_like(like)}
        entries |= {f"{theirs}.layer_norm.bias": torch.zeros_like(like)}
    return entries


def export_reference(network: Network) -> dict[str, Tensor]:
    """A network's state in the original's names and layouts (copies).

    Raises:
        ValueError: for a generator of another variant than ``reference``.
    """
    state = network.state_dict()
    ours = {p.theirs: p.write(state[p.ours]).clone(memory_format=torch.contiguous_format) for p in key_map(network)}
    return ours | _idle(network)


def load_reference(network: Network, state: State) -> None:
    """Fill a network from the original's state dictionary, in place.

    Raises:
        ValueError: if an entry is missing, left over, or of another shape; all of them are named.
    """
    pairs = {pair.theirs: pair for pair in key_map(network)}
    idle = _idle(network)
    expected = export_reference(network)
    problems = [f"{key} is missing" for key in sorted(pairs.keys() - state.keys())]
    problems += [f"{key} belongs to no part of the network" for key in sorted(state.keys() - expected.keys())]
    problems += [
        f"{key} has shape {list(state[key].shape)} where {list(expected[key].shape)} is expected"
        for key in sorted(expected.keys() & state.keys())
        if state[key].shape != expected[key].shape
    ]
    if problems:
        raise ValueError(f"This checkpoint does not fit the {type(network).__name__}: {'; '.join(problems)}.")
    network.load_state_dict({pairs[key].ours: pairs[key].read(x) for key, x in state.items() if key not in idle})


def generator_from_reference(state: State, *, skeleton: Skeleton = H36M15, heads: int = 3, kept: int = 5) -> Generator:
    """Build and fill a generator of variant ``reference`` from the original's state dictionary.

    Args:
        state: entries under the original's names.
        skeleton: the file holds no graph; the released one is of Human3.6M's 15 joints.
        heads, kept: not in the file either; as released.

    Raises:
        ValueError: if sizes cannot be told or do not fit.
    """
    embedding, classes = _shape(state, "w1.weight", 2)
    projection, inputs = _shape(state, "w2.weight", 2)
    nodes, features = _shape(state, "gc1.w.weight", 1)[0], _shape(state, "linear.weight", 1)[0]
    joints = skeleton.num_joints
    if nodes % joints or features % joints:
        raise ValueError(
            f"The checkpoint has {nodes} nodes and {features} coordinates per frame, which are no multiples of the "
            f"{joints} joints of skeleton '{skeleton.name}'; name another skeleton."
        )
    network = Generator(
        skeleton,
        features // joints,
        classes,
        length=nodes // joints,
        options=variant_options("reference", kept=kept),
        noise=inputs - embedding,
        embedding=embedding,
        projection=projection,
        hidden=_shape(state, "rnn.weight_hh_l0", 2)[1],
        widths=tuple(_shape(state, f"{key}.weight", 1)[0] for key in ("block1.0", "block1.2", "block2.0")),  # type: ignore[arg-type]
        graph_widths=[_shape(state, key, 1)[0] for key in _stack(state)],
        heads=heads,
    )
    load_reference(network, state)
    return network


def clip_critic_from_reference(state: State, *, channels: int = 2) -> ClipCritic:
    """Build and fill a clip critic; its second head comes along where the file has one.

    Args:
        state: entries under the original's names.
        channels: coordinates per joint.

    Raises:
        ValueError: if sizes cannot be told or do not fit.
    """
    network = ClipCritic(
        _joints(state, channels),
        channels,
        _classes(state),
        length=_shape(state, "linear2.weight", 2)[1],
        widths=_critic_widths(state),
        classifier="linear3.weight" in state,
    )
    load_reference(network, state)
    return network


def frame_critic_from_reference(state: State, *, channels: int = 2) -> FrameCritic:
    """Build and fill a frame critic; arguments and errors as in :func:`clip_critic_from_reference`."""
    network = FrameCritic(
        _joints(state, channels),
        channels,
        _classes(state),
        frames=_shape(state, "linear3.weight", 2)[1],
        widths=_critic_widths(state),
    )
    load_reference(network, state)
    return network


def _shape(state: State, key: str, dimensions: int) -> tuple[int, ...]:
    if key not in state or state[key].ndim < dimensions:
        raise ValueError(f"The checkpoint has no entry '{key}' of the right shape; is it one of the original SA-GCN's?")
    return tuple(state[key].shape[:dimensions])


def _joints(state: State, channels: int) -> int:
    features = _shape(state, "block1.0.weight", 2)[1]
    if features % channels:
        raise ValueError(f"The checkpoint has {features} coordinates per frame, no multiple of channels={channels}.")
    return features // channels


def _classes(state: State) -> int:
    return _shape(state, "block2.0.weight", 2)[1] - _shape(state, "block1.2.weight", 1)[0]


def _critic_widths(state: State) -> tuple[int, int, int, int]:
    first, second, third, fourth = (
        _shape(state, f"{key}.weight", 1)[0] for key in ("block1.0", "block1.2", "block2.0", "block2.2")
    )
    return first, second, third, fourth


def read_original(path: Path, data: OriginalData) -> Original:
    """A generator's file, and those of critics that ``original.files.clip_critic`` and ``.frame_critic`` name.

    Raises as :meth:`~mutoscope.models.generative.GenerativeModule.from_original` does.
    """
    skeleton = skeleton_told(data) or H36M15
    kept = _RELEASED_KEPT if data.told.kept is None else data.told.kept
    state = read_state_dict(path)
    generator = generator_from_reference(state, skeleton=skeleton, kept=kept)
    info = motion_info(
        data,
        path,
        skeleton=skeleton,
        channels=generator.channels,
        classes=generator.classes,
        length=generator.length,
    )
    parts: dict[str, Network] = {"_generator": generator}
    settings: dict[str, Any] = {
        "graph": {"variant": "reference", "kept": kept},
        "generator": {
            "noise": generator.noise,
            "embedding": generator.embedding.out_features,
            "projection": generator.projection.out_features,
            "hidden": generator.hidden,
            "widths": [_shape(state, f"{key}.weight", 1)[0] for key in ("block1.0", "block1.2", "block2.0")],
            "graph_widths": [_shape(state, key, 1)[0] for key in _stack(state)],
        },
    }
    if (file := data.told.files.get("clip_critic")) is not None:
        theirs = read_state_dict(file)
        parts["clip_critic"] = critic = clip_critic_from_reference(theirs, channels=generator.channels)
        settings["clip_critic"] = {"widths": list(_critic_widths(theirs))}
        settings["class_weight"] = 0.0 if critic.classifier is None else 1.0
        _check_critic(critic.classes, generator.classes, file, path)
    if (file := data.told.files.get("frame_critic")) is not None:
        theirs = read_state_dict(file)
        parts["frame_critic"] = frames = frame_critic_from_reference(theirs, channels=generator.channels)
        settings["frame_critic"] = {"widths": list(_critic_widths(theirs)), "frames": frames.frames}
        _check_critic(frames.classes, generator.classes, file, path)
    lines = [f"{pair.theirs} -> {part}.{pair.ours}" for part, network in parts.items() for pair in key_map(network)]
    return Original(
        info,
        settings,
        {f"{part}.{key}": x for part, network in parts.items() for key, x in network.state_dict().items()},
        "\n".join(lines),
        lacking=tuple(name for name in ("clip_critic", "frame_critic") if name not in parts),
    )


def _stack(state: State) -> list[str]:
    count = sum(key.startswith("gc") and key.endswith(".conv.weight") for key in state)
    return [f"gc{number + 1}.conv.weight" for number in range(count)]


def _check_critic(classes: int, made: int, file: str, path: Path) -> None:
    if classes != made:
        raise ValueError(f"{file} judges {classes} classes, {path} makes {made}; they come from different runs.")
