"""Checkpoints of the original Kinetic-GAN code, in and out.

Released files are plain state dictionaries, which :func:`~mutoscope.formats.state_dicts.read_state_dict` reads.
Everything but the clip length can be told from their shapes, so nothing is configured twice; conversion is strict,
every entry is read and every parameter is written.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from mutoscope.formats.state_dicts import read_state_dict
from mutoscope.models.kinetic_gan.discriminator import Discriminator
from mutoscope.models.kinetic_gan.generator import Generator
from mutoscope.models.kinetic_gan.pyramid import PYRAMIDS, GraphPyramid
from mutoscope.models.originals import Original, OriginalData, motion_info, skeleton_told
from mutoscope.runtime.errors import ConfigError
from mutoscope.structures import SKELETONS, Skeleton

State = Mapping[str, Tensor]
#: where a length is asked for before it is known
_ANY_LENGTH = 64


@dataclass(frozen=True)
class KeyPair:
    """One tensor under both names.

    Args:
        ours: key in the state dictionary of this package's network.
        theirs: key in the original's checkpoint.
        read: original layout -> ours.
        write: ours -> original layout.
    """

    ours: str
    theirs: str
    read: Callable[[Tensor], Tensor]
    write: Callable[[Tensor], Tensor]


def _same(x: Tensor) -> Tensor:
    return x


def _pair(ours: str, theirs: str) -> KeyPair:
    return KeyPair(ours, theirs, _same, _same)


def _kernel1x1(ours: str, theirs: str) -> KeyPair:
    return KeyPair(ours, theirs, lambda x: x[..., 0, 0], lambda x: x[..., None, None])


def _temporal(ours: str, theirs: str) -> KeyPair:
    return KeyPair(ours, theirs, lambda x: x[..., 0].transpose(1, 2), lambda x: x.transpose(1, 2)[..., None])


def _noise(ours: str, theirs: str) -> KeyPair:
    return KeyPair(ours, theirs, lambda x: x.reshape(-1), lambda x: x[None, :, None, None])


def _spreading(ours: str, theirs: str) -> KeyPair:
    return KeyPair(
        ours, theirs, lambda x: x[..., 0, 0].unflatten(0, (3, -1)), lambda x: x.flatten(0, 1)[..., None, None]
    )


def _gathering(ours: str, theirs: str) -> KeyPair:
    return KeyPair(
        ours,
        theirs,
        lambda x: rearrange(x, "(k c_out) c_in 1 1 -> c_out k c_in", k=3),
        lambda x: rearrange(x, "c_out k c_in -> (k c_out) c_in 1 1"),
    )


_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def key_map(network: Generator | Discriminator) -> list[KeyPair]:
    """Every tensor of a network's state under our name and the original's, in the original's order."""
    return _generator_keys(network) if isinstance(network, Generator) else _discriminator_keys(network)


def _generator_keys(network: Generator) -> list[KeyPair]:
    pairs = [
        _pair(f"mapping.{layer}.{leaf}", f"mlp.mlp.{layer}.{leaf}")
        for layer in range(0, len(network.mapping), 2)
        for leaf in ("weight", "bias")
    ]
    for number, block in enumerate(network.blocks):
        ours, theirs = f"blocks.{number}", f"st_gcn_networks.{number}"
        pairs.append(_spreading(f"{ours}.graph.weight", f"{theirs}.gcn.conv.weight"))
        pairs.append(_temporal(f"{ours}.temporal.weight", f"{theirs}.tcn.0.weight"))
        pairs.append(_pair(f"{ours}.temporal.bias", f"{theirs}.tcn.0.bias"))
        if block.norm is not None:
            pairs += [_pair(f"{ours}.norm.{leaf}", f"{theirs}.tcn.1.{leaf}") for leaf in _NORM]
        if block.skip is not None:
            pairs.append(_kernel1x1(f"{ours}.skip.weight", f"{theirs}.residual.0.weight"))
            pairs.append(_pair(f"{ours}.skip.bias", f"{theirs}.residual.0.bias"))
            pairs += [_pair(f"{ours}.skip.norm.{leaf}", f"{theirs}.residual.1.{leaf}") for leaf in _NORM]
        if block.noise_weight is not None:
            pairs.append(_noise(f"{ours}.noise_weight", f"{theirs}.noise.weight"))
    pairs += [_pair(f"blocks.{n}.graph.mask", f"edge_importance.{n}") for n in range(len(network.blocks))]
    return [*pairs, _pair("embedding.weight", "label_emb.weight")]


def _discriminator_keys(network: Discriminator) -> list[KeyPair]:
    pairs: list[KeyPair] = []
    for number, block in enumerate(network.blocks):
        ours, theirs = f"blocks.{number}", f"st_gcn_networks.{number}"
        pairs.append(_gathering(f"{ours}.graph.weight", f"{theirs}.gcn.conv.weight"))
        pairs.append(_temporal(f"{ours}.temporal.weight", f"{theirs}.tcn.weight"))
        pairs.append(_pair(f"{ours}.temporal.bias", f"{theirs}.tcn.bias"))
        if block.skip is not None:
            pairs.append(_kernel1x1(f"{ours}.skip.weight", f"{theirs}.residual.weight"))
            pairs.append(_pair(f"{ours}.skip.bias", f"{theirs}.residual.bias"))
    pairs += [_pair(f"blocks.{n}.graph.mask", f"edge_importance.{n}") for n in range(len(network.blocks))]
    pairs.append(_pair("embedding.weight", "label_emb.weight"))
    return [*pairs, *(_pair(f"head.{leaf}", f"fcn.{leaf}") for leaf in ("weight", "bias"))]


def key_map_report(network: Generator | Discriminator) -> str:
    """The key map as lines ``theirs [shape] -> ours [shape]``."""
    state = network.state_dict()
    return "\n".join(
        f"{pair.theirs} {list(pair.write(state[pair.ours]).shape)} -> {pair.ours} {list(state[pair.ours].shape)}"
        for pair in key_map(network)
    )


def export_reference(network: Generator | Discriminator) -> dict[str, Tensor]:
    """A network's state in the original's names and layouts (copies)."""
    state = network.state_dict()
    return {
        pair.theirs: pair.write(state[pair.ours]).clone(memory_format=torch.contiguous_format)
        for pair in key_map(network)
    }


def load_reference(network: Generator | Discriminator, state: State) -> None:
    """Fill a network from the original's state dictionary, in place.

    Raises:
        ValueError: if an entry is missing, left over, or of another shape; all of them are named.
    """
    pairs = {pair.theirs: pair for pair in key_map(network)}
    expected = export_reference(network)
    problems = [f"{key} is missing" for key in sorted(pairs.keys() - state.keys())]
    problems += [f"{key} belongs to no part of the network" for key in sorted(state.keys() - pairs.keys())]
    problems += [
        f"{key} has shape {list(state[key].shape)} where {list(expected[key].shape)} is expected"
        for key in sorted(pairs.keys() & state.keys())
        if state[key].shape != expected[key].shape
    ]
    if problems:
        raise ValueError(f"This checkpoint does not fit the {type(network).__name__}: {'; '.join(problems)}.")
    network.load_state_dict({pair.ours: pair.read(state[theirs]) for theirs, pair in pairs.items()}, strict=True)


def generator_from_reference(
    state: State, *, length: int, skeleton: Skeleton | GraphPyramid | None = None
) -> Generator:
    """Build and fill a generator from the original's state dictionary.

    Args:
        state: entries under the original's names.
        length: frames per clip; the file does not hold it, its name or config does.
        skeleton: needed unless the graph has the 25 joints of NTU or the 16 of Human3.6M.

    Raises:
        ValueError: if sizes cannot be told or do not fit.
    """
    _need_blocks(state, "generator", 7)
    classes = _get(state, "label_emb.weight").shape[0]
    first = _get(state, "st_gcn_networks.0.gcn.conv.weight")
    network = Generator(
        _skeleton(state, 6, skeleton),
        channels=_get(state, "st_gcn_networks.6.tcn.0.bias").shape[0],
        classes=classes,
        latent=first.shape[1] - classes,
        length=length,
        mapping_depth=len(_numbers(state, r"mlp\.mlp\.(\d+)\.weight")),
        widths=[_get(state, f"st_gcn_networks.{n}.tcn.0.bias").shape[0] for n in range(5)],
        norm_blocks=_numbers(state, r"st_gcn_networks\.(\d+)\.tcn\.1\.weight"),
        use_skip=bool(_numbers(state, r"st_gcn_networks\.(\d+)\.residual\.0\.weight")),
        use_noise=bool(_numbers(state, r"st_gcn_networks\.(\d+)\.noise\.weight")),
    )
    load_reference(network, state)
    return network


def discriminator_from_reference(state: State, *, skeleton: Skeleton | GraphPyramid | None = None) -> Discriminator:
    """Build and fill a critic from the original's state dictionary; see ``generator_from_reference``."""
    _need_blocks(state, "critic", 6)
    classes = _get(state, "label_emb.weight").shape[0]
    network = Discriminator(
        _skeleton(state, 0, skeleton),
        channels=_get(state, "st_gcn_networks.0.gcn.conv.weight").shape[1] - classes,
        classes=classes,
        latent=_get(state, "fcn.weight").shape[1],
        widths=[_get(state, f"st_gcn_networks.{n}.tcn.bias").shape[0] for n in reversed(range(5))],
        use_skip=bool(_numbers(state, r"st_gcn_networks\.(\d+)\.residual\.weight")),
    )
    load_reference(network, state)
    return network


def _get(state: State, key: str) -> Tensor:
    if key not in state:
        raise ValueError(f"The checkpoint has no entry '{key}'; is it one of the original Kinetic-GAN's?")
    return state[key]


def _numbers(state: State, pattern: str) -> list[int]:
    """The numbers that a pattern's group takes over all keys, increasing."""
    return sorted({int(match[1]) for key in state if (match := re.fullmatch(pattern, key))})


def _need_blocks(state: State, what: str, count: int) -> None:
    found = _numbers(state, r"st_gcn_networks\.(\d+)\.gcn\.conv\.weight")
    if found != list(range(count)):
        raise ValueError(f"A {what} of the original has blocks 0..{count - 1}, this checkpoint has {found or 'none'}.")


def _skeleton(state: State, finest: int, given: Skeleton | GraphPyramid | None) -> Skeleton | GraphPyramid:
    if given is not None:
        return given
    joints = _get(state, f"edge_importance.{finest}").shape[-1]
    fitting = [pyramid for pyramid in PYRAMIDS.values() if pyramid.num_joints == joints]
    if not fitting:
        raise ValueError(
            f"The checkpoint's graph has {joints} joints, which no released skeleton has; name a skeleton."
        )
    return fitting[0]


def read_original(path: Path, data: OriginalData) -> Original:
    """A generator's file, and a critic's where ``original.files.critic`` names one, as the model.

    Raises as :meth:`~mutoscope.models.generative.GenerativeModule.from_original` does.
    """
    state = read_state_dict(path)
    skeleton = skeleton_told(data)
    # the length changes no tensor
    network = generator_from_reference(state, length=_ANY_LENGTH, skeleton=skeleton)
    skeleton = skeleton or _of_pyramid(network.pyramid, path)
    info = motion_info(data, path, skeleton=skeleton, channels=network.channels, classes=network.classes)
    parts: dict[str, Generator | Discriminator] = {"_generator": network}
    settings: dict[str, Any] = {
        "latent": network.latent,
        "mapping_depth": len(_numbers(state, r"mlp\.mlp\.(\d+)\.weight")),
        "widths": [_get(state, f"st_gcn_networks.{n}.tcn.0.bias").shape[0] for n in range(5)],
        "last_width": _get(state, "st_gcn_networks.5.tcn.0.bias").shape[0],
        "norm_blocks": _numbers(state, r"st_gcn_networks\.(\d+)\.tcn\.1\.weight"),
        "use_skip": bool(_numbers(state, r"st_gcn_networks\.(\d+)\.residual\.0\.weight")),
        "use_noise": network.use_noise,
    }
    if (file := data.told.files.get("critic")) is not None:
        critic = discriminator_from_reference(theirs := read_state_dict(file), skeleton=skeleton)
        if (critic.channels, critic.classes) != (network.channels, network.classes):
            raise ValueError(f"{file} judges other motions than {path} makes; they come from different runs.")
        parts["critic"] = critic
        widths = [_get(theirs, f"st_gcn_networks.{n}.tcn.bias").shape[0] for n in reversed(range(5))]
        settings["critic_widths"] = widths
    return Original(
        info,
        settings,
        {f"{part}.{key}": x for part, network in parts.items() for key, x in network.state_dict().items()},
        "\n".join(key_map_report(network) for network in parts.values()),
        lacking=() if "critic" in parts else ("critic",),
    )


def _of_pyramid(pyramid: GraphPyramid, path: Path) -> Skeleton:
    named = [SKELETONS[name] for name in PYRAMIDS if name in SKELETONS and PYRAMIDS[name] is pyramid]
    if not named:
        raise ConfigError(f"{path} does not say which skeleton it moves; type original.skeleton=<name>.")
    return named[0]
