"""What AG2Vid's settings need beside them: a file, or one another. Imports no torch, so that it is told soon."""

from collections.abc import Collection, Mapping
from typing import Any

from mutoscope.models.idle import Idle, refuse_typed
from mutoscope.models.perceptual_files import BACKBONES, find_perceptual

#: layouts that learn
LEARNED = ("gcn", "rnn")
#: where the setting of the perceptual network stands, and the values that need no file
WITHOUT_FILE = ("model.frames", ("discriminator", "none"))
#: of settings that a config may leave out
_PERCEPTUAL, _LAYOUT = "vgg19", "gcn"


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
    frames = settings.get("frames", {})
    if frames is not None and (perceptual := frames.get("perceptual", _PERCEPTUAL)) in BACKBONES:
        find_perceptual(perceptual, frames.get("perceptual_weights"), *WITHOUT_FILE)


def idle(settings: Mapping[str, Any]) -> Idle:
    """Which settings nothing reads, and why; of a model with these."""
    layout, weights = settings.get("layout") or {}, settings.get("weights") or {}
    frames, judged = settings.get("frames", {}), settings.get("discriminator", {}) is not None
    found: dict[str, str] = {}
    if layout.get("name", _LAYOUT) not in LEARNED and not layout.get("rivals"):
        why = f"model.layout.name={layout['name']} does not learn; leave it out, or choose a layout that does."
        found |= dict.fromkeys(("weights.layout", *_of_training("layout")), why)
    if frames is None:
        why = "model.frames=null makes no frames to learn from or to judge; leave it out, or frames in."
        terms = ("adversarial", "feature_matching", "perceptual", "flow", "pixel")
        parts = (*_of_training("generator"), *_of_training("discriminator"))
        return found | dict.fromkeys(("discriminator", *(f"weights.{term}" for term in terms), *parts), why)
    perceptual = frames.get("perceptual", _PERCEPTUAL)
    if perceptual not in BACKBONES:
        found["weights.perceptual"] = (
            f"model.frames.perceptual={perceptual} compares no frames by a published network; leave it out, or choose "
            f"{' or '.join(BACKBONES)}."
        )
    if not judged:
        why = "model.discriminator=null leaves out what it is for; leave it out as well, or the discriminator in."
        places = ("weights.adversarial", "weights.feature_matching", *_of_training("discriminator"))
        found |= dict.fromkeys(places, why)
    if not draws(judged, perceptual, weights.get("pixel", 0.0)):
        why = (
            "nothing is drawn where no loss would teach it: model.discriminator=null, model.frames.perceptual=none and "
            "model.weights.pixel=0 only warp frames; leave it out, or switch one of these on."
        )
        found |= dict.fromkeys(("frames.spade", "frames.segmap_channels"), why)
    return found


def draws(judged: bool, perceptual: str, pixel: float) -> bool:
    """Whether a loss teaches what is drawn over warped frames: otherwise frames are the previous ones, warped."""
    return judged or perceptual != "none" or pixel > 0


def _of_training(network: str) -> tuple[str, str]:
    return f"optimizers.{network}", f"schedulers.{network}"
