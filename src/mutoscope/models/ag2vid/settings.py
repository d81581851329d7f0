"""The settings of AG2Vid, and which of them go together."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from mutoscope.models.ag2vid.conditions import LEARNED, idle
from mutoscope.models.ag2vid.discriminators import DiscriminatorSettings
from mutoscope.models.ag2vid.frames import FrameSettings
from mutoscope.models.ag2vid.losses import AdversarialKind, LossWeights
from mutoscope.models.idle import refuse_changed
from mutoscope.models.perceptual_files import BACKBONES

LayoutName = Literal["gcn", "rnn", "rule", "random", "ground_truth", "copy"]
#: layouts that do not learn
UNLEARNED: tuple[LayoutName, ...] = ("rule", "copy", "random", "ground_truth")

Perceptual = Literal["vgg19", "squeezenet", "discriminator", "none"]


@dataclass(frozen=True, kw_only=True)
class LayoutSettings:
    """Where objects are, and how that is learned; the appearance network is built as the learned layout ``gcn`` is.

    Args:
        name: ``gcn`` (the paper's), ``rnn``, ``rule``, ``random``, ``copy`` or ``ground_truth``.
        rivals: learned layouts trained beside it on the same clips, for comparison.
        layers: graph convolutions of layout and appearance networks; stacked recurrent layers of ``rnn``.
        clip_progress, only_actions: see :class:`~mutoscope.models.ag2vid.layout.LayoutNetwork`.
        truncate: back-propagate through so many steps at most; ``None`` through all.
        beta: see :func:`~mutoscope.models.ag2vid.layout.layout_loss`.
        geometry_gain: of the initial weights that read boxes, destinations and clocks; see
            :meth:`~mutoscope.models.ag2vid.layout.LayoutNetwork.emphasise`.

    Raises:
        ValueError: for rivals that do not learn, or settings of learning where no layout learns.
    """

    name: LayoutName = "gcn"
    rivals: Sequence[LayoutName] = ()
    layers: int = 3
    clip_progress: bool = False
    only_actions: bool = False
    truncate: int | None = None
    beta: float = 1.0
    geometry_gain: float = 1.0

    def __post_init__(self) -> None:
        if unknown := [name for name in self.rivals if name not in LEARNED]:
            raise ValueError(
                f"rivals names '{unknown[0]}', which does not learn; layouts that do: {', '.join(LEARNED)}."
            )
        if self.name in self.rivals:
            raise ValueError(f"rivals names '{self.name}', the layout itself; name others, or none.")
        if not self.learns and (self.truncate is not None or self.beta != 1.0):
            raise ValueError(
                f"truncate and beta are for layouts that learn, but '{self.name}' does not; leave them out."
            )

    @property
    def learns(self) -> bool:
        """Whether any layout does."""
        return self.name in LEARNED or bool(self.rivals)


@dataclass(frozen=True, kw_only=True)
class FrameTraining(FrameSettings):
    """The networks that make frames, and how they are trained.

    Args:
        flow, spade, attribute_width, segmap_channels, follow_boxes, carry_objects, align_corners: see
            :class:`FrameSettings`.
        appearance_boxes: see :class:`~mutoscope.models.ag2vid.generator.Generator`.
        previous: whether training frames continue true (``given``, as released) or ``generated`` frames.
        per_frame: batch statistics of single given frames, one frame after the other, as released.
        truncate: gradients of generated frames go back so many frames at most.
        perceptual: whose features compare frames beside the discriminator's: ``vgg19`` (the paper's), ``squeezenet``,
            ``discriminator`` (its alone) or ``none``.
        perceptual_weights: a file with the weights of that network; torchvision's cache by default.
        checkpoint_activations: compute the largest activations again in the backward pass instead of keeping them.
        channels_last: memory format of the frame networks and the discriminator.

    Raises:
        ValueError: for settings that do not exist or contradict each other.
    """

    appearance_boxes: Literal["internal", "layout"] = "internal"
    previous: Literal["given", "generated"] = "given"
    per_frame: bool = False
    truncate: int | None = None
    perceptual: Perceptual = "vgg19"
    perceptual_weights: str | None = None
    checkpoint_activations: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        choices = {
            "previous": ("given", "generated"),
            "appearance_boxes": ("internal", "layout"),
            "perceptual": get_args(Perceptual),
        }
        for name, known in choices.items():
            if (value := getattr(self, name)) not in known:
                raise ValueError(f"{name} is '{value}', expected one of {', '.join(known)}.")
        if self.carry_objects and self.previous == "generated":
            raise ValueError(
                "previous=generated makes frames from generated ones, but carry_objects makes all of them from the "
                "first; leave previous=given."
            )
        if self.per_frame and self.previous == "generated":
            raise ValueError("per_frame is for given frames; generated ones always come one by one. Leave it out.")
        if self.truncate is not None and self.previous == "given":
            raise ValueError("truncate is for generated frames, but previous=given; leave it out.")
        if self.perceptual_weights is not None and self.perceptual not in BACKBONES:
            raise ValueError(
                f"perceptual_weights is a file for {' or '.join(BACKBONES)}, but perceptual={self.perceptual} needs "
                "none; leave it out."
            )


@dataclass(frozen=True, kw_only=True)
class DiscriminatorTraining(DiscriminatorSettings):
    """The discriminator, and what it is trained with.

    Args:
        graph_layers, width, layers, scales, carry_state: see :class:`DiscriminatorSettings`.
        loss: which adversarial loss.
    """

    loss: AdversarialKind = "hinge"


def check_together(
    layout: LayoutSettings,
    frames: FrameTraining | None,
    discriminator: DiscriminatorTraining | None,
    weights: LossWeights,
) -> None:
    """Whether parts go together.

    Raises:
        ValueError: for parts that contradict each other, with nothing to train, or with settings that nothing reads.
    """
    if frames is not None and frames.perceptual == "discriminator" and discriminator is None:
        raise ValueError(
            "frames.perceptual=discriminator compares frames in the discriminator's features, but there is none; use "
            "vgg19, squeezenet or none."
        )
    if frames is None and not layout.learns:
        raise ValueError(
            f"There are no frames and the layout '{layout.name}' does not learn, so there is nothing to train; choose "
            f"one that does: {', '.join(LEARNED)}."
        )
    parts = {"layout": layout, "frames": frames, "discriminator": discriminator, "weights": weights}
    refuse_unread({name: None if part is None else asdict(part) for name, part in parts.items()})


def refuse_unread(settings: Mapping[str, Any]) -> None:
    """Whether nothing differs from its default that no part of such a model reads.

    Args:
        settings: of the constructor, parts as mappings.

    Raises:
        ConfigError: naming the setting, and the one that makes it mean nothing.
    """
    usual = {"discriminator": asdict(DiscriminatorTraining()), "weights": asdict(LossWeights())}
    # nothing of frames: checkpoints of models that only warp them hold weights of what would draw
    refuse_changed(settings, usual, idle(settings))
