"""What the settings of AG2Vid may be, and which of them go together."""

from collections.abc import Sequence
from typing import Literal, get_args

from mutoscope.models.ag2vid.generator import LEARNED, UNLEARNED

Perceptual = Literal["vgg19", "squeezenet", "discriminator", "none"]
#: what needs no file of weights, for messages
WITHOUT_FILE = "model.perceptual=discriminator and model.perceptual=none need"


def check_choices(
    layout: str,
    rivals: Sequence[str],
    frames: bool,
    previous: str,
    perceptual: str,
    discriminator: bool,
    carry_objects: bool,
) -> None:
    """Raise ``ValueError`` for settings that do not exist or contradict each other.

    Args: as :class:`~mutoscope.models.ag2vid.module.AG2Vid` takes them.
    """
    if previous not in ("given", "generated"):
        raise ValueError(f"previous is '{previous}', expected given or generated.")
    if carry_objects and previous == "generated":
        raise ValueError(
            "previous=generated makes frames from generated ones, but carry_objects makes all of them from the first; "
            "leave previous=given."
        )
    if perceptual not in get_args(Perceptual):
        raise ValueError(f"perceptual is '{perceptual}', expected one of {', '.join(get_args(Perceptual))}.")
    if perceptual == "discriminator" and not discriminator:
        raise ValueError(
            "perceptual=discriminator compares frames in the discriminator's features, but discriminator is false; "
            "use vgg19, squeezenet or none."
        )
    if unknown := [name for name in rivals if name not in LEARNED]:
        raise ValueError(f"rivals names '{unknown[0]}', which does not learn; layouts that do: {', '.join(LEARNED)}.")
    if layout in rivals:
        raise ValueError(f"rivals names '{layout}', the layout itself; name others, or none.")
    if layout in UNLEARNED and not rivals and not frames:
        raise ValueError(
            f"frames is false and the layout '{layout}' does not learn, so there is nothing to train; choose one that "
            f"does: {', '.join(LEARNED)}."
        )
