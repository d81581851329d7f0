"""The frame generator in checkpoints of the original AG2Vid code (``layout_to_video``; spec section 10)."""

import re
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from mutoscope.models.ag2vid.flow import ConvNorm, FlowNetwork, FlowSettings
from mutoscope.models.ag2vid.frames import FrameGeneratingFunction, FrameSettings
from mutoscope.nn.spade import SpadeBlock, SpadeGenerator, SpadeSettings, Upsampling
from mutoscope.nn.spectral import SpectralConv2d

State = Mapping[str, Tensor]
#: our name of a tensor -> the original's; where there are several, ours is all of them along the first axis
Keys = dict[str, tuple[str, ...]]

FRAMES_PREFIX = "layout_to_video.module."
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def frames_keys(network: FrameGeneratingFunction) -> Keys:
    """Every tensor of a frame generating function, the original's names without prefix."""
    tables = len(network.attributes.tables)
    keys: Keys = {f"attributes.tables.{i}.weight": (f"attribute_embedding.att_emb_{i}.weight",) for i in range(tables)}
    if tables > 1:
        keys |= _plain("attributes.mix", "attribute_embedding.attribute_fc_gen")
    keys |= _conv_norm(network.fuse, "fuse", "conv_dim_in.0")
    keys |= _under(flow_keys(network.flow), "flow.", "flows_network.")
    return keys | _under(spade_keys(network.generator), "generator.", "netG.")


def flow_keys(network: FlowNetwork) -> Keys:
    """Every tensor of a flow network."""
    keys = _conv_norm(network.first, "first", "down_flow.0")
    for i, layer in enumerate(network.down):
        keys |= _conv_norm(layer, f"down.{i}", f"down_flow.{2 * i + 2}")
    for i, block in enumerate(network.residual):
        for part in (0, 1):
            keys |= _conv(getattr(block, f"conv_{part}"), f"residual.{i}.conv_{part}", f"res_flow.{i}.conv_{part}")
            keys |= _norm(f"residual.{i}.norm_{part}", f"res_flow.{i}.bn_{part}", affine=True)
    for i, layer in enumerate(network.up):
        keys |= _conv_norm(layer, f"up.{i}", f"up_flow.{3 * i + 1}")
    return keys | _plain("flow", "conv_flow.0") | _plain("weight", "conv_w.0")


def spade_keys(network: SpadeGenerator) -> Keys:
    """Every tensor of a SPADE generator."""
    keys = _plain("first", "fc") | _plain("last", "conv_img")
    for i, (block, theirs) in enumerate(zip(network.blocks, _block_names(), strict=False)):
        assert isinstance(block, SpadeBlock)
        norms = {"norm_0": "norm_0", "norm_1": "norm_1"}
        convs = {"conv_0": "conv_0", "conv_1": "conv_1"}
        if block.conv_skip is not None:
            norms["norm_skip"], convs["conv_skip"] = "norm_s", "conv_s"
        for ours, name in convs.items():
            keys |= _conv(getattr(block, ours), f"blocks.{i}.{ours}", f"{theirs}.{name}")
        for ours, name in norms.items():
            keys |= _norm(f"blocks.{i}.{ours}.norm", f"{theirs}.{name}.param_free_norm", affine=False)
            for leaf in ("weight", "bias"):
                both = (f"{theirs}.{name}.mlp_gamma.{leaf}", f"{theirs}.{name}.mlp_beta.{leaf}")
                keys[f"blocks.{i}.{ours}.modulation.{leaf}"] = both
        for leaf in ("weight", "bias"):
            keys[f"blocks.{i}.shared.{leaf}"] = tuple(f"{theirs}.{name}.mlp_shared.0.{leaf}" for name in norms.values())
    return keys


def _block_names() -> Iterator[str]:
    yield from ("head_0", "G_middle_0", "G_middle_1")
    yield from (f"up_{i}" for i in range(5))


def _plain(ours: str, theirs: str) -> Keys:
    return {f"{ours}.{leaf}": (f"{theirs}.{leaf}",) for leaf in ("weight", "bias")}


def _norm(ours: str, theirs: str, affine: bool) -> Keys:
    leaves = ("weight", "bias", *_STATISTICS) if affine else _STATISTICS
    return {f"{ours}.{leaf}": (f"{theirs}.{leaf}",) for leaf in leaves}


def _conv(conv: SpectralConv2d, ours: str, theirs: str) -> Keys:
    kernel = f"{ours}.parametrizations.weight"
    keys: Keys = {
        f"{kernel}.original": (f"{theirs}.weight_orig",),
        f"{kernel}.0._u": (f"{theirs}.weight_u",),
        f"{kernel}.0._v": (f"{theirs}.weight_v",),
    }
    return keys if conv.bias is None else keys | {f"{ours}.bias": (f"{theirs}.bias",)}


def _conv_norm(layer: nn.Module, ours: str, theirs: str) -> Keys:
    assert isinstance(layer, ConvNorm)
    return _conv(layer.conv, f"{ours}.conv", f"{theirs}.0") | _norm(f"{ours}.norm", f"{theirs}.1", affine=True)


def _under(keys: Keys, ours: str, theirs: str) -> Keys:
    return {ours + key: tuple(theirs + name for name in names) for key, names in keys.items()}


def convert(state: State, network: nn.Module, keys: Keys, prefix: str = "") -> dict[str, Tensor]:
    """Entries of a checkpoint of the original under our names.

    Args:
        state: names with tensors; those without the prefix are left aside.
        network: what they are for.
        keys: its tensors, from one of the functions above.
        prefix: of the original's names.

    Raises:
        ValueError: if entries under the prefix are missing, left over or of another shape; all of them are named.
    """
    expected = export(network, keys, prefix)
    given = {key: x for key, x in state.items() if key.startswith(prefix)}
    problems = [f"'{key}' is missing" for key in sorted(expected.keys() - given.keys())]
    problems += [f"'{key}' belongs to no part of it" for key in sorted(given.keys() - expected.keys())]
    problems += [
        f"'{key}' has shape {list(x.shape)} where {list(expected[key].shape)} is expected"
        for key, x in given.items()
        if key in expected and x.shape != expected[key].shape
    ]
    if problems:
        raise ValueError(f"This checkpoint does not fit the {type(network).__name__}: {'; '.join(problems)}.")
    return {ours: _joined([given[prefix + name] for name in names]) for ours, names in keys.items()}


def _joined(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors)


def export(network: nn.Module, keys: Keys, prefix: str = "") -> dict[str, Tensor]:
    """A network's state under the original's names (copies)."""
    state = network.state_dict()
    return {
        prefix + name: part.clone(memory_format=torch.contiguous_format)
        for ours, names in keys.items()
        for name, part in zip(names, state[ours].chunk(len(names)) if len(names) > 1 else [state[ours]], strict=True)
    }


def export_frames(network: FrameGeneratingFunction, prefix: str = "") -> dict[str, Tensor]:
    """A frame generating function's state under the original's names (copies)."""
    return export(network, frames_keys(network), prefix)


def frames_from_reference(
    state: State,
    prefix: str = "",
    *,
    upsampling: Upsampling = "normal",
    flow_multiplier: float = 20.0,
    align_corners: bool = False,
    recomputed: int = 0,
) -> FrameGeneratingFunction:
    """Build and fill a frame generating function; sizes are told from the shapes.

    Args:
        state, prefix: see :func:`convert`; ``FRAMES_PREFIX`` in a whole ``model_state``.
        upsampling: ``normal`` and ``more`` have the same tensors; ``most`` is told from them.
        flow_multiplier: of the flow network.
        align_corners: the original was trained without.
        recomputed: see :class:`~mutoscope.nn.spade.SpadeGenerator`.

    Raises:
        ValueError: if entries are missing, left over, or do not fit together.
    """
    tables = _count(state, prefix, r"attribute_embedding\.att_emb_(\d+)\.weight")
    sizes = [_shape(state, f"{prefix}attribute_embedding.att_emb_{i}.weight") for i in range(tables)]
    segmap, channels = _shape(state, f"{prefix}conv_dim_in.0.0.weight_orig")[:2]
    attribute_width = sizes[0][1] if sizes else 0
    width = (channels - 3) // 2 - tables * attribute_width
    if not sizes or width < 1:
        raise ValueError(
            f"A frame generator of the original has attribute tables narrower than half its {channels} input channels; "
            f"this checkpoint has {tables} tables of {attribute_width} columns."
        )
    network = FrameGeneratingFunction(
        [rows for rows, _ in sizes],
        FrameSettings(
            flow=FlowSettings(
                width=_shape(state, f"{prefix}flows_network.down_flow.0.0.weight_orig")[0],
                halvings=_count(state, prefix, r"flows_network\.up_flow\.(\d+)\.0\.weight_orig"),
                blocks=_count(state, prefix, r"flows_network\.res_flow\.(\d+)\.conv_0\.weight_orig"),
                multiplier=flow_multiplier,
            ),
            spade=SpadeSettings(
                width=_shape(state, f"{prefix}netG.fc.weight")[0] // 16,
                hidden=_shape(state, f"{prefix}netG.head_0.norm_0.mlp_shared.0.weight")[0],
                upsampling="most" if f"{prefix}netG.up_4.conv_0.weight_orig" in state else upsampling,
            ),
            attribute_width=attribute_width,
            segmap_channels=segmap,
            align_corners=align_corners,
        ),
        width=width,
        recomputed=recomputed,
    )
    network.load_state_dict(convert(state, network, frames_keys(network), prefix))
    return network


def _shape(state: State, key: str) -> torch.Size:
    if key not in state:
        raise ValueError(f"The checkpoint has no entry '{key}'; is it one of the original AG2Vid's?")
    return state[key].shape


def _count(state: State, prefix: str, pattern: str) -> int:
    return len({match[1] for key in state if (match := re.fullmatch(re.escape(prefix) + pattern, key))})
