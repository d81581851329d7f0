"""Checkpoints of the original AG2Vid code, in and out (spec section 10).

A released file is a dictionary of which ``model_state`` (both graph networks and the frame generator) and
``d_img_state`` (the discriminator) are read. ``gans_model_state`` holds copies of the latter and of VGG19, and the
optimisers' moments cannot be told apart, so both stay behind. Sizes are told from the tensors' shapes; a
``run_args.json`` beside the file tells the few settings that leave no trace in them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

from torch import Tensor, nn

from mutoscope.formats.plain_files import parse_json, read_bytes, shown
from mutoscope.formats.state_dicts import named_tensors, read_plain
from mutoscope.models.ag2vid.discriminators import ActionDiscriminator
from mutoscope.models.ag2vid.frames import FrameGeneratingFunction
from mutoscope.models.ag2vid.layout import LayoutGCN
from mutoscope.models.ag2vid.reference.critic import critic_from_reference, critic_keys, export_critic
from mutoscope.models.ag2vid.reference.frames import FRAMES_PREFIX, export_frames, frames_from_reference, frames_keys
from mutoscope.models.ag2vid.reference.layout import (
    APPEARANCE_PREFIX,
    LAYOUT_PREFIX,
    export_layout,
    layout_from_reference,
    layout_keys,
)
from mutoscope.nn.patchgan import PatchGAN
from mutoscope.nn.spade import Upsampling
from mutoscope.structures.vocabulary import CATER_VOCABULARY, ActionVocabulary

State = Mapping[str, Tensor]
MODEL, CRITIC, ARGUMENTS = "model_state", "d_img_state", "run_args.json"


@dataclass(frozen=True)
class ReferenceFile:
    """What is read of a checkpoint.

    Args:
        model: ``model_state``.
        critic: ``d_img_state``, or ``None`` where the file has none.
        arguments: the flags of the run, empty where there is no ``run_args.json``.
        vocabulary: names and ids in a form that differs between data sets, of the file or of the flags.
        iterations: mini-batches trained on, where the file tells.
        others: names of the file's entries that are left aside.
    """

    model: State
    critic: State | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)
    vocabulary: Any = None
    iterations: int = 0
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReferenceNetworks:
    """The networks of a checkpoint, filled.

    Args:
        layout: where objects are (``acts_to_boxes``).
        appearance: what they look like there (``acts_to_objs``).
        frames: the frame generator (``layout_to_video``).
        critic: the discriminator, or ``None`` where the file has none.
        upsampling: of the SPADE generator.
    """

    layout: LayoutGCN
    appearance: LayoutGCN
    frames: FrameGeneratingFunction
    critic: ActionDiscriminator | None
    upsampling: Upsampling

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of every attribute."""
        return tuple(table.num_embeddings for table in self.frames.attributes.tables)  # type: ignore[misc]

    def settings(self) -> dict[str, Any]:
        """What rebuilds the networks, in plain numbers and strings, under the names of AG2Vid's own settings."""
        frames, edges = self.frames, self.layout.edges
        discriminator: dict[str, Any] | None = None
        if self.critic is not None:
            patches = self.critic.patches[0]
            assert isinstance(patches, PatchGAN)
            discriminator = {
                "graph_layers": len(self.critic.graph_convolutions),
                "width": patches.first.out_channels,
                "layers": self.critic.n_layers,
                "scales": len(self.critic.patches),
                "carry_state": self.critic.carry_state,
            }
        return {
            "width": edges.actions.embedding_dim,
            "graph_hidden": self.layout.box[0].out_features,
            "layout": {"layers": len(self.layout.convolutions), "only_actions": self.layout.edges.only_actions},
            "frames": {
                "flow": {
                    "width": frames.flow.first.conv.out_channels,
                    "halvings": len(frames.flow.down),
                    "blocks": len(frames.flow.residual),
                    "multiplier": frames.flow.multiplier,
                },
                "spade": {
                    "width": frames.generator.first.out_channels // 16,
                    "hidden": frames.generator.hidden,
                    "upsampling": self.upsampling,
                },
                "attribute_width": frames.attributes.width // len(frames.attributes.tables),
                "segmap_channels": frames.fuse.conv.out_channels,
                "align_corners": frames.align_corners,
            },
            "discriminator": discriminator,
        }

    def weights(self) -> dict[str, Tensor]:
        """All tensors under the names of AG2Vid's own state; the networks share them."""
        parts: dict[str, nn.Module | None] = {
            "_generator.layouts.gcn": self.layout,
            "_generator.appearance": self.appearance,
            "_generator.frames": self.frames,
            "discriminator": self.critic,
        }
        return {
            f"{part}.{name}": tensor
            for part, network in parts.items()
            if network is not None
            for name, tensor in network.state_dict().items()
        }

    def vocabulary(self, given: ActionVocabulary | None = None) -> ActionVocabulary:
        """The vocabulary whose ids the tables' rows are: ``given``, or CATER's.

        Raises:
            ValueError: if it has other numbers of values, actions or predicates than the tables have rows.
        """
        vocabulary = given or CATER_VOCABULARY
        edges = self.layout.edges
        found = (self.sizes, edges.actions.num_embeddings, edges.predicates.num_embeddings)
        expected = (vocabulary.sizes, len(vocabulary.actions), len(vocabulary.predicates))
        if found != expected:
            raise ValueError(
                f"The checkpoint's tables have {found[0]} attribute values, {found[1]} actions and {found[2]} "
                f"predicates, but {'the vocabulary given' if given else 'that of CATER'} has {expected[0]}, "
                f"{expected[1]} and {expected[2]}; name the vocabulary that it was trained with."
            )
        return vocabulary


def read_reference(path: str | Path) -> ReferenceFile:
    """Read a checkpoint of the original to the CPU without unpickling code, and the ``run_args.json`` beside it.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if the file cannot be read as plain tensors, or is no checkpoint of AG2Vid.
    """
    path = Path(path)
    content = read_plain(path)
    if not isinstance(content, dict) or MODEL not in content:
        raise ValueError(f"'{path}' is no checkpoint of the original AG2Vid, which is a dictionary with a '{MODEL}'.")
    critic, counters = content.get(CRITIC), content.get("counters")
    arguments = _arguments(path.with_name(ARGUMENTS))
    iterations = counters.get("t") if isinstance(counters, dict) else None
    return ReferenceFile(
        named_tensors(content[MODEL], f"'{MODEL}' of '{path}'"),
        None if critic is None else named_tensors(critic, f"'{CRITIC}' of '{path}'"),
        arguments,
        content.get("vocab", arguments.get("vocab")),
        iterations if isinstance(iterations, int) else 0,
        tuple(str(name) for name in content if name not in (MODEL, CRITIC, "vocab", "counters")),
    )


def _arguments(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        return {}
    try:
        arguments = parse_json(read_bytes(path).decode("utf-8-sig"), f"'{path}'")
    except ValueError as error:
        raise ValueError(f"'{path}' is no JSON; repair it or move it away. ({error})") from error
    if not isinstance(arguments, dict):
        raise ValueError(f"'{path}' holds no flags; expected a JSON object. Repair it or move it away.")
    return arguments


def networks_from_reference(file: ReferenceFile, *, align_corners: bool = False) -> ReferenceNetworks:
    """Build and fill the networks of a checkpoint.

    Args:
        file: of :func:`read_reference`.
        align_corners: of the warp; the original was trained without.

    Raises:
        ValueError: if entries are missing, left over or do not fit together, or the run's flags ask for parts that do
            not exist here.
    """
    flags = file.arguments
    upsampling = flags.get("num_upsampling_layers", "normal")
    if upsampling not in get_args(Upsampling):
        raise ValueError(
            f"{ARGUMENTS} has num_upsampling_layers '{upsampling}'; expected one of {', '.join(get_args(Upsampling))}."
        )
    if flags.get("flow_deconv"):
        raise ValueError(f"{ARGUMENTS} asks for flow_deconv; flow networks with transposed convolutions do not exist.")
    if (pooling := flags.get("gconv_pooling", "avg")) != "avg":
        raise ValueError(f"{ARGUMENTS} has gconv_pooling '{pooling}'; graph convolutions average here, expected avg.")
    prefixes = (LAYOUT_PREFIX, APPEARANCE_PREFIX, FRAMES_PREFIX)
    strangers = sorted(key for key in file.model if not key.startswith(prefixes))
    if strangers:
        raise ValueError(
            f"'{MODEL}' holds {len(strangers)} entries that belong to no network, such as '{strangers[0]}'; "
            f"expected names that begin with {', '.join(prefixes)}."
        )
    multiplier = flags.get("flow_multiplier", 20.0)
    if not isinstance(multiplier, int | float) or not 0 < multiplier < 1e6:
        raise ValueError(f"{ARGUMENTS} has flow_multiplier {shown(multiplier)}; expected pixels, above 0.")
    only_actions = bool(flags.get("only_temporal", False))
    frames = frames_from_reference(
        file.model,
        FRAMES_PREFIX,
        upsampling=upsampling,
        flow_multiplier=float(multiplier),
        align_corners=align_corners,
    )
    layout = layout_from_reference(file.model, LAYOUT_PREFIX, only_actions=only_actions)
    appearance = layout_from_reference(file.model, APPEARANCE_PREFIX, only_actions=only_actions)
    critic = None if file.critic is None else critic_from_reference(file.critic)
    most = len(frames.generator.blocks) > 7
    networks = ReferenceNetworks(layout, appearance, frames, critic, "most" if most else upsampling)
    _check_agreement(networks)
    return networks


def _check_agreement(networks: ReferenceNetworks) -> None:
    """Whether all networks were made for the same objects and with the same width."""
    for name in ("layout", "appearance", "critic"):
        network = getattr(networks, name)
        if network is None:
            continue
        sizes = tuple(table.num_embeddings for table in network.attributes.tables)
        if sizes != networks.sizes:
            raise ValueError(
                f"The {name} network has attributes of {sizes} values, the frame generator of {networks.sizes}; "
                "they come from different runs."
            )
    described = networks.appearance.edges.actions.embedding_dim
    if described != networks.frames.width:
        raise ValueError(
            f"The appearance network describes objects by {described} numbers, the frame generator expects "
            f"{networks.frames.width}; they come from different runs."
        )


def export_reference(networks: ReferenceNetworks) -> dict[str, dict[str, Tensor]]:
    """``model_state`` and, where there is a discriminator, ``d_img_state`` (copies)."""
    exported = {
        MODEL: {
            **export_layout(networks.layout, LAYOUT_PREFIX),
            **export_layout(networks.appearance, APPEARANCE_PREFIX),
            **export_frames(networks.frames, FRAMES_PREFIX),
        }
    }
    if networks.critic is not None:
        predicates = networks.layout.edges.predicates.num_embeddings
        exported[CRITIC] = export_critic(networks.critic, predicates)
    return exported


def key_map_report(networks: ReferenceNetworks) -> str:
    """The key map as lines ``theirs [shape] -> ours``, one for every tensor of the original."""
    state = export_reference(networks)
    graph = layout_keys(len(networks.layout.attributes.tables), len(networks.layout.convolutions))
    names = {f"{LAYOUT_PREFIX}{theirs}": f"layout.{ours}" for theirs, ours in graph.items()}
    names |= {f"{APPEARANCE_PREFIX}{theirs}": f"appearance.{ours}" for theirs, ours in graph.items()}
    for ours, parts in frames_keys(networks.frames).items():
        names |= {f"{FRAMES_PREFIX}{theirs}": f"frames.{ours}" for theirs in parts}
    lines = [f"{key} {list(x.shape)} -> {names[key]}" for key, x in state[MODEL].items()]
    if networks.critic is not None:
        own = {theirs: f"critic.{ours}" for ours, theirs in critic_keys(networks.critic).items()}
        lines += [f"{key} {list(x.shape)} -> {own.get(key, 'nothing')}" for key, x in state[CRITIC].items()]
    return "\n".join(lines)
