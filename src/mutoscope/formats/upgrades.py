"""Configs of checkpoints, exports and runs that were made when parts of the house, or settings, had other names."""

from collections.abc import Callable, Mapping
from typing import Any

#: modules that have moved, old name -> new name; a ``_target_`` inside one of them moves with it
MOVED = {
    "mutoscope.callbacks": "mutoscope.training.callbacks",
    "mutoscope.engine": "mutoscope.training.trainer",
    "mutoscope.loggers": "mutoscope.training.loggers",
    "mutoscope.sweeps": "mutoscope.cli.sweeps",
    "mutoscope.weights": "mutoscope.evaluators.published",
}

#: settings that have moved into nodes, by ``_target_``: old name -> new place
SETTINGS = {
    "mutoscope.models.ag2vid.module.AG2Vid": {
        "rivals": "layout.rivals",
        "graph_layers": "layout.layers",
        "clip_progress": "layout.clip_progress",
        "only_actions": "layout.only_actions",
        "layout_truncate": "layout.truncate",
        "layout_beta": "layout.beta",
        "geometry_gain": "layout.geometry_gain",
        "flow_width": "frames.flow.width",
        "flow_halvings": "frames.flow.halvings",
        "flow_blocks": "frames.flow.blocks",
        "flow_multiplier": "frames.flow.multiplier",
        "ngf": "frames.spade.width",
        "spade_hidden": "frames.spade.hidden",
        "upsampling": "frames.spade.upsampling",
        "attribute_width": "frames.attribute_width",
        "segmap_channels": "frames.segmap_channels",
        "follow_boxes": "frames.follow_boxes",
        "carry_objects": "frames.carry_objects",
        "align_corners": "frames.align_corners",
        "appearance_boxes": "frames.appearance_boxes",
        "previous": "frames.previous",
        "per_frame": "frames.per_frame",
        "frames_truncate": "frames.truncate",
        "perceptual": "frames.perceptual",
        "perceptual_weights": "frames.perceptual_weights",
        "checkpoint_activations": "frames.checkpoint_activations",
        "channels_last": "frames.channels_last",
        "discriminator_graph_layers": "discriminator.graph_layers",
        "discriminator_width": "discriminator.width",
        "discriminator_layers": "discriminator.layers",
        "discriminator_scales": "discriminator.scales",
        "carry_state": "discriminator.carry_state",
        "adversarial": "discriminator.loss",
    },
    "mutoscope.models.sa_gcn.module.SAGCN": {
        "variant": "graph.variant",
        "layer": "graph.layer",
        "kept": "graph.kept",
        "self_loop": "graph.self_loop",
        "node_mixing": "graph.node_mixing",
        "activation": "graph.activation",
        "coordinates": "graph.coordinates",
        "random_start": "graph.random_start",
        "kernel": "graph.kernel",
        "noise": "generator.noise",
        "embedding": "generator.embedding",
        "projection": "generator.projection",
        "hidden": "generator.hidden",
        "widths": "generator.widths",
        "graph_widths": "generator.graph_widths",
        "heads": "generator.heads",
        "clip_widths": "clip_critic.widths",
        "critic_streams": "clip_critic.streams",
        "frame_widths": "frame_critic.widths",
        "frames": "frame_critic.frames",
        "frames_in_order": "frame_critic.in_order",
    },
    "mutoscope.models.kinetic_gan.module.KineticGAN": {"batches_per_epoch": "restart_every"},
}


def upgraded(config: Any) -> Any:
    """A copy of a plain config, or of any part of one, in which targets and settings have their names of today."""
    if isinstance(config, Mapping):
        node = {key: _moved(value) if key == "_target_" else upgraded(value) for key, value in config.items()}
        target = node.get("_target_")
        return _settled(node, target) if isinstance(target, str) and target in SETTINGS else node
    if isinstance(config, list | tuple):
        return [upgraded(value) for value in config]
    return config


def _moved(target: Any) -> Any:
    if isinstance(target, str):
        for old, new in MOVED.items():
            if target.startswith(f"{old}."):
                return new + target.removeprefix(old)
    return target


def _settled(node: dict[str, Any], target: str) -> dict[str, Any]:
    """Settings where they belong today; what cannot be placed stays, for whoever checks settings to refuse."""
    before = _SWITCHES.get(target)
    if before is not None:
        before(node)
    moved: set[str] = set()
    for old, place in SETTINGS[target].items():
        if old in node and not isinstance(node[old], Mapping):
            value = node.pop(old)
            if not _put(node, place.split("."), value):
                node[old] = value
            moved.add(old)
    for parts in (_MEANINGLESS if moved else {}, _UNREAD):
        if (after := parts.get(target)) is not None:
            after(node)
    return node


def _put(node: dict[str, Any], place: list[str], value: Any) -> bool:
    """Whether a setting could be put there: not below one that is a value, and not in place of one that is set."""
    *way, last = place
    for key in way:
        inner = node.setdefault(key, {})
        if inner is None:
            # of a part that is switched off
            return True
        if not isinstance(inner, dict):
            return False
        node = inner
    if last in node:
        return False
    node[last] = value
    return True


def _ag2vid_switches(node: dict[str, Any]) -> None:
    """The layout was a name; frames and discriminator were true or false."""
    if isinstance(node.get("layout"), str):
        node["layout"] = {"name": node["layout"]}
    for part in ("frames", "discriminator"):
        if node.get(part) is True:
            node[part] = {}
        elif node.get(part) is False:
            node[part] = None
    if node.get("weights", {}) is None:
        del node["weights"]


def _ag2vid_meaningless(node: dict[str, Any]) -> None:
    """Settings that were read only beside others go back to their defaults where they were not read."""
    layout, frames = node.get("layout"), node.get("frames")
    if isinstance(layout, dict) and layout.get("name", "gcn") not in ("gcn", "rnn") and not layout.get("rivals"):
        layout.pop("truncate", None)
        layout.pop("beta", None)
    if isinstance(frames, dict):
        frames.pop("truncate" if frames.get("previous", "given") == "given" else "per_frame", None)
        if frames.get("perceptual", "vgg19") in ("discriminator", "none"):
            frames.pop("perceptual_weights", None)


def _ag2vid_unread(node: dict[str, Any]) -> None:
    """A discriminator beside layouts alone, and weights of losses that there are not, were left aside."""
    layout, frames = node.get("layout"), node.get("frames", {})
    if frames is None and "discriminator" in node:
        node["discriminator"] = None
    unread: set[str] = set()
    if isinstance(layout, dict) and layout.get("name", "gcn") not in ("gcn", "rnn") and not layout.get("rivals"):
        unread |= {"layout"}
    if frames is None:
        unread |= {"flow", "pixel"}
    if frames is None or node.get("discriminator", {}) is None:
        unread |= {"adversarial", "feature_matching"}
    if frames is None or (isinstance(frames, dict) and frames.get("perceptual", "vgg19") in ("discriminator", "none")):
        unread |= {"perceptual"}
    if isinstance(weights := node.get("weights"), dict):
        node["weights"] = {name: weight for name, weight in weights.items() if name not in unread}


def _kinetic_gan_switches(node: dict[str, Any]) -> None:
    """The batches of an epoch counted where the schedule began anew with each."""
    if node.pop("schedule", "epoch") == "run":
        node.pop("batches_per_epoch", None)


_SWITCHES: dict[str, Callable[[dict[str, Any]], None]] = {
    "mutoscope.models.ag2vid.module.AG2Vid": _ag2vid_switches,
    "mutoscope.models.kinetic_gan.module.KineticGAN": _kinetic_gan_switches,
}
#: of settings of a file whose places are those of today
_UNREAD: dict[str, Callable[[dict[str, Any]], None]] = {"mutoscope.models.ag2vid.module.AG2Vid": _ag2vid_unread}
_MEANINGLESS: dict[str, Callable[[dict[str, Any]], None]] = {
    "mutoscope.models.ag2vid.module.AG2Vid": _ag2vid_meaningless,
}
