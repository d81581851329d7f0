"""The discriminator in checkpoints of the original AG2Vid code (``d_img_state``; spec section 10)."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mutoscope.models.ag2vid.discriminators import ActionDiscriminator, DiscriminatorSettings

#: a table that the original keeps but never reads
UNUSED = "pred_embeddings.weight"


def critic_keys(critic: ActionDiscriminator) -> dict[str, str]:
    """Our name of every tensor of the discriminator's state -> the original's.

    Raises:
        ValueError: if the discriminator does not look at actions; the original always does.
    """
    if not critic.use_actions:
        raise ValueError("The original has no discriminator that does not look at actions.")
    tables = len(critic.attributes.tables)
    keys = {f"attributes.tables.{i}.weight": f"attribute_embedding.att_emb_{i}.weight" for i in range(tables)}
    if tables > 1:
        keys |= {f"attributes.mix.{x}": f"attribute_embedding.attribute_fc_gen.{x}" for x in ("weight", "bias")}
    keys["actions.weight"] = "acts_embeddings.weight"
    for layer in (0, 2):
        keys[f"start.{layer}.weight"] = f"pre_obj_vecs_net.{layer}.weight"
        keys[f"place.{layer}.weight"] = f"obj_vecs_net.{layer}.weight"
    for i in range(len(critic.graph_convolutions)):
        for ours, theirs in (("message", "net1"), ("update", "net2")):
            keys |= {
                f"graph_convolutions.{i}.{ours}.{layer}.{x}": f"gconvs.{i}.{theirs}.{layer}.{x}"
                for layer in (0, 2)
                for x in ("weight", "bias")
            }
    keys |= {f"fuse.{x}": f"fc_objs_vecs.{x}" for x in ("weight", "bias")}
    for scale in range(len(critic.patches)):
        ours, theirs = f"patches.{scale}", f"discriminator_{scale}"
        hidden = critic.n_layers - 1
        for x in ("weight", "bias"):
            keys[f"{ours}.first.{x}"] = f"{theirs}.model0.0.{x}"
            keys[f"{ours}.last.{x}"] = f"{theirs}.model{hidden + 1}.0.{x}"
        for i in range(hidden):
            weight, norm = f"{ours}.hidden.{i}.parametrizations.weight", f"{theirs}.model{i + 1}.0.0.weight"
            keys[f"{weight}.original"] = f"{norm}_orig"
            keys[f"{weight}.0._u"], keys[f"{weight}.0._v"] = f"{norm}_u", f"{norm}_v"
    return keys


def convert_critic(state: Mapping[str, Tensor], critic: ActionDiscriminator) -> dict[str, Tensor]:
    """``d_img_state`` under the names of ``critic``; every entry is read and every tensor found.

    Raises:
        ValueError: if entries are missing, superfluous or of another shape.
    """
    keys, own = critic_keys(critic), critic.state_dict()
    missing = set(keys.values()) - set(state)
    superfluous = set(state) - set(keys.values()) - {UNUSED}
    if missing or superfluous:
        odd = ", ".join(sorted(missing or superfluous)[:3])
        what = "lacks" if missing else "also holds"
        raise ValueError(
            f"The discriminator's state {what} {len(missing or superfluous)} tensors ({odd}, ...); expected those of "
            "the original AG2Vid's image and action discriminator."
        )
    for ours, theirs in keys.items():
        if state[theirs].shape != own[ours].shape:
            raise ValueError(
                f"'{theirs}' has shape {tuple(state[theirs].shape)}, but these settings need {tuple(own[ours].shape)}."
            )
    return {ours: state[theirs] for ours, theirs in keys.items()}


def export_critic(critic: ActionDiscriminator, num_predicates: int) -> dict[str, Tensor]:
    """The state as the original stores it; the table it never reads is zero."""
    own = critic.state_dict()
    state = {theirs: own[ours].clone() for ours, theirs in critic_keys(critic).items()}
    return {**state, UNUSED: torch.zeros(num_predicates, critic.actions.embedding_dim)}


def critic_from_reference(state: Mapping[str, Tensor], carry_state: bool = True) -> ActionDiscriminator:
    """The discriminator of a checkpoint; its sizes are read from the tensors' shapes.

    Args:
        state: ``d_img_state``.
        carry_state: see :class:`ActionDiscriminator`; the original carries it.

    Raises:
        ValueError: if the state is not that of the original's discriminator.
    """
    tables = _count(state, r"attribute_embedding\.att_emb_(\d+)\.weight")
    try:
        num_actions, width = state["acts_embeddings.weight"].shape
        hidden = len(state["gconvs.0.net1.0.weight"])
        ndf = len(state["discriminator_0.model0.0.weight"])
    except KeyError as error:
        raise ValueError(
            f"The discriminator's state lacks {error}; expected that of the original AG2Vid's discriminator."
        ) from error
    critic = ActionDiscriminator(
        [len(state[f"attribute_embedding.att_emb_{i}.weight"]) for i in range(tables)],
        num_actions,
        DiscriminatorSettings(
            graph_layers=_count(state, r"gconvs\.(\d+)\.net1\.0\.weight"),
            width=ndf,
            layers=_count(state, r"discriminator_0\.model(\d+)\.0\.0\.weight_orig") + 1,
            scales=_count(state, r"discriminator_(\d+)\.model0\.0\.weight"),
            carry_state=carry_state,
        ),
        width=width,
        hidden=hidden,
    )
    critic.load_state_dict(convert_critic(state, critic))
    return critic


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    return len({match[1] for key in state if (match := re.fullmatch(pattern, key))})
