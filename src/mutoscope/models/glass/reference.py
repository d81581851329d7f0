"""Checkpoints of the original GLASS code: their keys, and the settings that their shapes tell (spec section 12)."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mutoscope.formats.state_dicts import named_tensors, read_plain
from mutoscope.models.glass.actions import ActionSettings
from mutoscope.models.glass.decoder import DecoderSettings
from mutoscope.models.glass.dynamics import Conditioning, DynamicsSettings
from mutoscope.models.glass.global_motion import (
    GlobalMotionSettings,
    InpaintingSettings,
    MaskSettings,
    ShiftSettings,
)
from mutoscope.models.glass.local_motion import EncoderSettings, LocalMotionSettings
from mutoscope.models.glass.network import GlassNetwork, Settings
from mutoscope.models.originals import Original, OriginalData
from mutoscope.structures import DatasetInfo

_LMA = "local_action_separator."
#: where the original's networks stand in ours
PREFIXES = {
    "masking_network.backbone.": "global_motion.mask.",
    "inpainting_network.": "global_motion.inpainting.",
    "foreground_transform_predictor.motion_predictor.": "global_motion.foreground_shift.",
    "background_shift_predictor.motion_predictor.": "global_motion.background_shift.",
    f"{_LMA}representation_network.backbone.": "local_motion.encoder.",
    f"{_LMA}state_compressor.0.": "local_motion.compress.",
    f"{_LMA}action_network.": "local_motion.actions.",
    f"{_LMA}dynamics_network.": "local_motion.dynamics.",
    f"{_LMA}rendering_network.backbone.": "local_motion.decoder.",
}
#: the original holds these and never reads them
UNUSED = re.compile(rf"{re.escape(_LMA)}action_network\.mapping\.")
#: the original's four convolutions in the order of ours
_GATES = ("input_gate", "forget_gate", "output_gate", "cell_gate")

#: of W-Sprites, where nobody says what a checkpoint was trained on
_LENGTH, _FPS = 12, 10.0

_RESIDUAL = (
    (r"conv1\.(.+)", r"first.\1"),
    (r"bn1\.(.+)", r"first_norm.\1"),
    (r"conv2\.(.+)", r"second.\1"),
    (r"bn2\.(.+)", r"second_norm.\1"),
    (r"downsample\.0\.(.+)", r"skip.\1"),
    (r"downsample\.2\.(.+)", r"skip_norm.\1"),
    (r"(conv|norm)\.(.+)", r"\1.\2"),
)
_SAME = ((r"conv1\.(.+)", r"conv.\1"), (r"bn1\.(.+)", r"norm.\1"), (r"(conv|norm)\.(.+)", r"\1.\2"))


def _inside(old: str, new: str, rules: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Rules for the keys of a block whose own key is ``old``; groups of ``old`` come first."""
    shift = re.compile(old).groups
    moved = [(a, re.sub(r"\\(\d)", lambda m: f"\\{int(m[1]) + shift}", b)) for a, b in rules]
    return [(f"{old}\\.{a}", f"{new}.{b}") for a, b in moved]


def _renaming(depth: int) -> dict[str, list[tuple[str, str]]]:
    """By prefix of ours: patterns of the original's keys below it, and what they are called here."""
    stem = [(r"conv1\.(.+)", r"stem.\1"), (r"bn1\.(.+)", r"stem_norm.\1")]
    shift = [
        *_inside(r"([0-4])", r"convolutions.\1", _SAME),
        *((rf"{i}\.(.+)", rf"{name}.\1") for i, name in ((7, "first"), (8, "first_norm"), (10, "second"))),
        (r"11\.(.+)", r"second_norm.\1"),
        (r"13\.(.+)", r"last.\1"),
    ]
    return {
        "global_motion.mask.": [
            *stem,
            (rf"residuals\.{depth + 6}\.(weight|bias)", r"head.\1"),
            *_inside(r"residuals\.(\d+)", r"blocks.\1", _RESIDUAL),
        ],
        "global_motion.inpainting.": _inside(r"inpainting_network_(down|up)\.(\d)", r"\1.\2", _SAME),
        "global_motion.foreground_shift.": shift,
        "global_motion.background_shift.": shift,
        "local_motion.encoder.": [*stem, *_inside(r"residuals\.(\d+)", r"blocks.\1", _RESIDUAL)],
        "local_motion.compress.": [(r"(weight|bias)", r"\1")],
        "local_motion.actions.": [
            *_inside(r"residuals\.(\d)", r"features.\1", _RESIDUAL),
            (r"projections\.(\d)\.(.+)", r"chain.\1.bilinear.\2"),
            (r"affines\.(\d)\.(.+)", r"chain.\1.affine.\2"),
            (r"bns_acts\.(\d)\.0\.(.+)", r"chain_norms.\1.\2"),
            (r"final_mlp\.(.+)", r"project.\1"),
            (r"action_codes_quantizer\.embedding\.weight", r"quantiser.codes"),
        ],
        "local_motion.dynamics.": [
            (r"recurrent_layers_blocks\.(\d)\.0\.gates\.(.+)", r"lstms.\1.gates.\2"),
            (r"recurrent_layers_blocks\.(\d)\.0\.initial_hidden_state", r"lstms.\1.initial_hidden"),
            (r"recurrent_layers_blocks\.(\d)\.0\.initial_hidden_cell_state", r"lstms.\1.initial_cell"),
            (r"recurrent_layers_blocks\.(\d)\.1\.(.+)", r"lstm_norms.\1.\2"),
            *_inside(r"non_recurrent_blocks\.1", r"up", _SAME),
            *(
                rule
                for i, name in ((0, "down"), (2, "out"))
                for rule in (
                    (rf"non_recurrent_blocks\.{i}\.weight", f"{name}.conv.weight"),
                    (rf"non_recurrent_blocks\.{i}\.affine\.(.+)", rf"{name}.conv.style.\1"),
                    *_inside(rf"non_recurrent_blocks\.{i}", name, _SAME),
                )
            ),
            (r"la_projection\.(.+)", r"embed_action.\1"),
            (r"ga_projection\.(.+)", r"embed_shift.\1"),
        ],
        "local_motion.decoder.": [
            *_inside(r"upsample_blocks\.0\.(\d)", r"to_quarter.\1", _RESIDUAL),
            *_inside(r"upsample_blocks\.1\.(\d)", r"to_half.\1", _RESIDUAL),
            *_inside(r"upsample_blocks\.2", r"to_full", _SAME),
            *(
                (rf"final_blocks\.{i}\.conv\.(.+)", rf"{name}_head.\1")
                for i, name in enumerate(("quarter", "half", "full"))
            ),
        ],
    }


def _joined_gates(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Four convolutions of a cell become one."""
    joined = {}
    for key, value in state.items():
        match = re.fullmatch(r"(.*\.0)\.cell\.(\w+_gate)\.(weight|bias)", key)
        if match is None:
            joined[key] = value
        elif match[2] == _GATES[0]:
            joined[f"{match[1]}.gates.{match[3]}"] = torch.cat(
                [state[f"{match[1]}.cell.{gate}.{match[3]}"] for gate in _GATES]
            )
    return joined


@dataclass(frozen=True)
class RenamedKeys:
    """A state dictionary in our names.

    Args:
        state: tensors by our keys.
        key_map: our key -> the original's (one of four where gates were joined).
        left: the original's keys without a place here.
    """

    state: dict[str, Tensor]
    key_map: dict[str, str]
    left: tuple[str, ...]


def renamed(state: Mapping[str, Tensor]) -> RenamedKeys:
    """The original's tensors, of the whole model or of some of its networks, under our keys."""
    state = {key.removeprefix("module."): value for key, value in state.items()}
    joined = _joined_gates({key: value for key, value in state.items() if not UNUSED.match(key)})
    tables = _renaming(_mask_depth(state))
    found, key_map, left = {}, {}, [key for key in state if UNUSED.match(key)]
    for key, value in joined.items():
        name = _our_name(key, tables)
        if name is None:
            left.append(key)
        else:
            found[name], key_map[name] = value, key
    return RenamedKeys(found, key_map, tuple(left))


def _our_name(key: str, tables: Mapping[str, list[tuple[str, str]]]) -> str | None:
    for prefix, ours in PREFIXES.items():
        if key.startswith(prefix):
            rest = key.removeprefix(prefix)
            for pattern, name in tables[ours]:
                if match := re.fullmatch(pattern, rest):
                    return ours + match.expand(name)
    return None


def _mask_depth(state: Mapping[str, Tensor]) -> int:
    """Residual blocks at a quarter of the resolution; the head is the last of the original's list."""
    numbers = [int(m[1]) for key in state if (m := re.match(r"masking_network\.backbone\.residuals\.(\d+)\.", key))]
    return max(numbers, default=15) - 6


Shapes = Mapping[str, Any]


def _shape(state: Shapes, key: str) -> tuple[int, ...]:
    if key not in state:
        raise ValueError(f"The checkpoint lacks '{key}', so it is no whole GLASS model.")
    return tuple(state[key].shape)


def mask_settings(state: Shapes, at: str = "global_motion.mask.") -> MaskSettings:
    """Of the tensors below ``at``, as all functions of this kind."""
    return MaskSettings(
        stem=_shape(state, f"{at}stem.weight")[0],
        trunk=_shape(state, f"{at}blocks.0.first.weight")[0],
        up=_shape(state, f"{at}head.weight")[1],
        depth=len({key.removeprefix(at).split(".")[1] for key in state if key.startswith(f"{at}blocks.")}) - 6,
    )


def inpainting_settings(state: Shapes, at: str = "global_motion.inpainting.") -> InpaintingSettings:
    return InpaintingSettings(*(_shape(state, f"{at}down.{i}.conv.weight")[0] for i in (0, 1, 3)))


def shift_settings(state: Shapes, at: str = "global_motion.foreground_shift.") -> ShiftSettings:
    a, b, c, d = (_shape(state, f"{at}convolutions.{i}.conv.weight")[0] for i in (0, 1, 3, 4))
    return ShiftSettings((a, b, c, d), (_shape(state, f"{at}first.weight")[0], _shape(state, f"{at}second.weight")[0]))


def encoder_settings(state: Shapes, at: str = "local_motion.encoder.") -> EncoderSettings:
    return EncoderSettings(
        half=_shape(state, f"{at}stem.weight")[0],
        quarter=_shape(state, f"{at}blocks.1.first.weight")[0],
        eighth=_shape(state, f"{at}blocks.3.first.weight")[0],
        state=_shape(state, f"{at}blocks.5.first.weight")[0] - 1,
    )


def action_settings(state: Shapes, at: str = "local_motion.actions.") -> ActionSettings:
    codes, code_size = _shape(state, f"{at}quantiser.codes")
    return ActionSettings(
        codes=codes,
        code_size=code_size,
        quantiser="vq" if f"{at}project.0.weight" in state else "gumbel",
        directions="bilinear" if f"{at}chain.0.affine.weight" in state else "plain",
    )


def dynamics_settings(state: Shapes, at: str = "local_motion.dynamics.") -> DynamicsSettings:
    compressed, width = _shape(state, f"{at}embed_shift.weight")[0], _shape(state, f"{at}lstms.0.initial_hidden")[0]
    noise = _shape(state, f"{at}out.conv.weight")[1] - width
    conditioning: Conditioning = "concatenated"
    if f"{at}out.conv.style.weight" in state:
        conditioning = "joint" if _shape(state, f"{at}out.conv.style.weight")[1] == 2 * compressed else "modulated"
    else:
        noise -= compressed
    return DynamicsSettings(compressed, width, noise, conditioning)


def decoder_settings(state: Shapes, at: str = "local_motion.decoder.") -> DecoderSettings:
    quarter, half, full = (_shape(state, f"{at}{part}_head.weight") for part in ("quarter", "half", "full"))
    return DecoderSettings(quarter[1], half[1], full[1])


def settings_from(state: Shapes) -> tuple[Settings, tuple[int, int]]:
    """Settings and frame size of a model whose tensors, under our keys, have these shapes.

    Raises:
        ValueError: naming a tensor that is missing.
    """
    settings = Settings(
        GlobalMotionSettings(mask_settings(state), inpainting_settings(state), shift_settings(state)),
        LocalMotionSettings(
            encoder_settings(state), action_settings(state), dynamics_settings(state), decoder_settings(state)
        ),
    )
    _, height, width = _shape(state, "local_motion.dynamics.lstms.0.initial_hidden")
    return settings, (8 * height, 8 * width)


def network_from_reference(state: Mapping[str, Tensor]) -> tuple[GlassNetwork, RenamedKeys]:
    """The original's network, from its state dictionary.

    Raises:
        ValueError: if tensors are missing, left over or of the wrong shape.
    """
    keys = renamed(state)
    if unknown := [key for key in keys.left if not UNUSED.match(key)]:
        raise ValueError(f"The checkpoint holds '{unknown[0]}', which no GLASS model has.")
    settings, frame_size = settings_from(keys.state)
    with torch.device("meta"):
        network = GlassNetwork(settings, frame_size)
    wanted = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    given = {key: tuple(value.shape) for key, value in keys.state.items()}
    for key in wanted | given:
        if wanted.get(key) != given.get(key):
            found = f"has shape {given[key]}" if key in given else "is missing"
            expected = f"expected {wanted[key]}" if key in wanted else "which has no place in such a model"
            raise ValueError(f"The checkpoint does not fit GLASS: '{keys.key_map.get(key, key)}' {found}, {expected}.")
    network.load_state_dict(keys.state, assign=True)
    return network.requires_grad_(True), keys


def read_original(path: Path, data: OriginalData) -> Original:
    """A checkpoint ``{model, optimizer, lr_scheduler, global_step}``, or the state dictionary in it, as the model.

    Raises:
        FileNotFoundError, ValueError: if there is no such file, or it holds no GLASS model.
    """
    content = read_plain(path)
    whole = isinstance(content, dict) and isinstance(content.get("model"), dict)
    network, keys = network_from_reference(named_tensors(content["model"] if whole else content, f"'{path}'"))
    told, known = data.told, data.info()
    length = told.length or (known.length if known else _LENGTH)
    info = DatasetInfo(
        name=told.name or data.name or "original",
        kind="video",
        classes=told.classes or (known.classes if known else ()),
        fps=told.fps or (known.fps if known else _FPS),
        length=length,
        channels=3,
        frame_size=network.frame_size,
        units="px",
    )
    settings = network.settings
    return Original(
        info,
        {
            "global_motion": _plain(asdict(settings.global_motion)),
            "local_motion": _plain(asdict(settings.local_motion)),
            "length": {"start": min(6, length), "end": length, "begin": 50_000, "lasts": 30_000},
        },
        {f"network.{key}": value for key, value in network.state_dict().items()},
        "\n".join([*(f"{a} -> network.{b}" for b, a in keys.key_map.items()), *(f"{a} -> nothing" for a in keys.left)]),
        iterations=int(content["global_step"]) if whole and isinstance(content.get("global_step"), int) else 0,
        others=tuple(key for key in content if key not in ("model", "global_step")) if whole else (),
    )


def _plain(node: Any) -> Any:
    """Settings as files hold them."""
    if isinstance(node, dict):
        return {key: _plain(value) for key, value in node.items()}
    return list(node) if isinstance(node, tuple) else node
