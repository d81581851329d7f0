"""What GLASS's settings need beside them: a file, or one another. Imports no torch, so that it is told soon."""

from collections.abc import Collection, Mapping
from typing import Any

from mutoscope.models.idle import Idle, refuse_typed
from mutoscope.models.perceptual_files import BACKBONES, find_perceptual

#: each half and the setting that only the other one reads
_HALVES = {"global_motion": "local_motion", "local_motion": "global_motion"}


def check(settings: Mapping[str, Any], typed: Collection[str] = ()) -> None:
    """Whether what was typed means something, and the weights of the perceptual network are there.

    Args:
        settings: the constructor's, from a config; what is not given has its default.
        typed: places below the model's node that somebody typed.

    Raises:
        ConfigError: for what was typed and means nothing because of another setting.
        MissingWeightsError: saying where weights are looked for, and what does without.
    """
    refuse_typed(settings, idle(settings), typed)
    perceptual = settings.get("perceptual", "vgg19")
    if perceptual in BACKBONES:
        find_perceptual(perceptual, settings.get("perceptual_weights"))


def idle(settings: Mapping[str, Any]) -> Idle:
    """Which settings nothing reads, and why; of a model with these."""
    found: dict[str, str] = {}
    trained = settings.get("trained", "both")
    if (still := _HALVES.get(trained)) is not None:
        why = f"model.trained={trained} leaves {still} as it is; leave it out, or train both."
        weights = f"{still.removesuffix('motion')}weights"
        found |= dict.fromkeys((weights, f"optimizers.{still}", f"schedulers.{still}"), why)
    quantiser = ((settings.get("local_motion") or {}).get("actions") or {}).get("quantiser", "vq")
    if quantiser != "gumbel":
        found["temperature"] = (
            f"model.local_motion.actions.quantiser={quantiser} has none; leave it out, or choose gumbel."
        )
    else:
        why = "model.local_motion.actions.quantiser=gumbel has no codes that are lost; leave it out."
        found |= dict.fromkeys(("restart_codes", "quantised", "local_motion.actions.normalised"), why)
    if not ((settings.get("local_motion") or {}).get("decoder") or {}).get("carry", False):
        found["local_motion.decoder.reach"] = (
            "model.local_motion.decoder.carry=false moves no pixels; leave it out, or set carry=true."
        )
    if settings.get("perceptual", "vgg19") == "none":
        why = "model.perceptual=none compares no pictures by a published network; leave it out, or choose one."
        found |= dict.fromkeys(("perceptual_weights", "global_weights.recb_vgg", "local_weights.vgg"), why)
    return found
