"""GLASS's training, told once (paper section 3; schedules and details as released, spec section 6)."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal, Unpack, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from mutoscope.models.base import keep_only
from mutoscope.models.generative import GenerativeSettings
from mutoscope.models.glass import conditions
from mutoscope.models.glass.actions import Actions
from mutoscope.models.glass.drawing import Drawing
from mutoscope.models.glass.global_motion import GlobalMotionOutput, GlobalMotionSettings
from mutoscope.models.glass.halves import HALVES, StartFrom, load_half, prefix_of
from mutoscope.models.glass.local_motion import LocalMotionOutput, LocalMotionSettings
from mutoscope.models.glass.losses import (
    GlobalMotionWeights,
    LocalMotionWeights,
    global_motion_losses,
    local_motion_losses,
    weighted,
)
from mutoscope.models.glass.network import GlassNetwork, Settings
from mutoscope.models.glass.reference import read_original
from mutoscope.models.glass.restarts import CodeRestarts
from mutoscope.models.glass.schedules import LinearSchedule
from mutoscope.models.glass.session import to_unit
from mutoscope.models.originals import Original, OriginalData
from mutoscope.models.perceptual import load_perceptual
from mutoscope.nn.perceptual import FrozenFeatures
from mutoscope.structures import DatasetInfo, VideoBatch

Perceptual = Literal["vgg19", "squeezenet", "none"]
#: which half learns: one of them may have been trained before
Trained = Literal["both", "global_motion", "local_motion"]
#: what takes the place of infinite gradients
_HUGE = 1e5


@dataclass
class _Part:
    """What the two steps of one mini-batch, or a part of it, hand to each other.

    Args:
        frames: ``[b, t, 3, h, w]`` in [-1, 1].
        found: set by the step of global motion analysis, before its weights move.
        drawn: the actions, set by the step of local motion analysis.
    """

    frames: Tensor
    found: GlobalMotionOutput | None = None
    drawn: Actions | None = None


class Glass(Drawing):
    """Davtyan and Favaro, "Controllable Video Generation through Global and Local Motion Dynamics", ECCV 2022.

    Every iteration moves global motion analysis; when its pretraining is over, also local motion analysis, on what
    the former found before it moved. No gradient flows between the halves, so that two optimisers do what the
    original's single one does.

    Args:
        info: frame size and clip length of the data.
        optimizers: factories named ``global_motion`` and ``local_motion``.
        global_motion, local_motion: widths and variants of the networks.
        global_weights, local_weights: of the losses.
        length: frames of a clip that are used; clips are loaded at the dataset's length.
        teacher_forced: steps that see the real foreground; later ones see what was drawn.
        temperature: of the Gumbel-softmax variant.
        quantised: ours, not the paper's: how much of what the recurrent network is told of an action is the nearest
            code, 0 to 1; the rest is the direction that was found. Always all by default. Of the vector quantiser only.
        pretraining: iterations of global motion analysis alone.
        decay_untrained: let the weight decay shrink local motion analysis during pretraining as released, where its
            losses were multiplied by 0 and Adam saw nothing else; it starts from nearly nothing then.
        restart_codes: iterations after which a code that was not used moves to where there are actions; ours, never by
            default. Of the vector quantiser only.
        trained: ``both`` halves, or one of them while the other stays as it is.
        perceptual: whose features compare pictures: ``vgg19`` (the paper's), ``squeezenet``, or ``none``.
        perceptual_weights: a file with the weights of that network; torchvision's cache by default.
        start_from: by half, an exported half, or any run, checkpoint or export of GLASS, whose weights it begins with
            instead of random ones; what a resumed run had learned wins.
        schedulers, ema_half_life, micro_batches, clip_norm, compile_networks, seed: see :class:`GenerativeModule`.

    Raises:
        ValueError: for settings that contradict each other or do not fit the data.
    """

    exported_apart: ClassVar[Mapping[str, str]] = {half: prefix_of(half) for half in HALVES}

    @classmethod
    def check_settings(cls, settings: Mapping[str, Any]) -> None:
        """See :func:`mutoscope.models.glass.conditions.check`."""
        conditions.check(settings)

    @classmethod
    def from_original(cls, path: Path, data: OriginalData) -> Original:
        return read_original(path, data)

    def __init__(
        self,
        info: DatasetInfo,
        *,
        global_motion: GlobalMotionSettings = GlobalMotionSettings(),
        local_motion: LocalMotionSettings = LocalMotionSettings(),
        global_weights: GlobalMotionWeights = GlobalMotionWeights(),
        local_weights: LocalMotionWeights = LocalMotionWeights(),
        length: LinearSchedule = LinearSchedule(6, 12, 50_000, 30_000),
        teacher_forced: LinearSchedule = LinearSchedule(5, 1, 0, 25_000),
        temperature: LinearSchedule = LinearSchedule(1.0, 0.4, 3_000, 30_000),
        quantised: LinearSchedule = LinearSchedule(1.0, 1.0, 0, 1),
        pretraining: int = 3_000,
        decay_untrained: bool = False,
        restart_codes: int | None = None,
        trained: Trained = "both",
        perceptual: Perceptual = "vgg19",
        perceptual_weights: str | None = None,
        start_from: StartFrom | None = None,
        **training: Unpack[GenerativeSettings],
    ) -> None:
        for name, value, choices in (("perceptual", perceptual, Perceptual), ("trained", trained, Trained)):
            if value not in get_args(choices):
                raise ValueError(f"{name} is '{value}', expected one of {', '.join(get_args(choices))}.")
        halves = ("global_motion", "local_motion") if trained == "both" else (trained,)
        keep_only(training, halves)
        super().__init__(info, **training)
        if (longest := int(max(length.start, length.end))) > info.length:
            raise ValueError(
                f"Clips of up to {longest} frames are to be used, but the dataset's have {info.length}; set "
                f"dataset.length={longest}, or model.length.start and model.length.end."
            )
        if min(length.start, length.end) < 2 or min(teacher_forced.start, teacher_forced.end) < 1:
            raise ValueError(
                f"Clips have {length.start:g} to {length.end:g} frames and {teacher_forced.start:g} to "
                f"{teacher_forced.end:g} teacher-forced steps; expected at least 2 frames and 1 step."
            )
        self.network = GlassNetwork(Settings(global_motion, local_motion), info.need_frame_size())
        self.global_weights, self.local_weights = global_weights, local_weights
        if not all(0 <= share <= 1 for share in (quantised.start, quantised.end)):
            raise ValueError(
                f"quantised goes from {quantised.start:g} to {quantised.end:g}, expected shares between 0 and 1."
            )
        if (trimmed := global_motion.trimmed) is not None and (trained == "both" or trimmed <= 0):
            raise ValueError(
                f"global_motion.trimmed is {trimmed:g} with trained={trained}; expected a difference above 0, and "
                "halves that are trained one after the other: local motion analysis would learn from masks as they "
                "are, and draw with trimmed ones."
            )
        self.length, self.teacher_forced, self.temperature = length, teacher_forced, temperature
        self.quantised = quantised
        self.pretraining, self.decay_untrained, self.trained = pretraining, decay_untrained, trained
        self.restarts: CodeRestarts | None = None
        if restart_codes is not None:
            if restart_codes < 1 or local_motion.actions.quantiser != "vq":
                raise ValueError(
                    f"restart_codes is {restart_codes} with quantiser={local_motion.actions.quantiser}; expected at "
                    "least 1 iteration, and vq."
                )
            self.restarts = CodeRestarts(local_motion.actions.codes, restart_codes)
        self.perceptual, self.perceptual_weights = perceptual, perceptual_weights
        self.start_from: StartFrom = start_from or {}
        #: loaded when training starts: a trained model generates without them
        self.features: FrozenFeatures | None = None
        self.ready()

    @property
    def generator(self) -> GlassNetwork:
        return self.network

    def networks(self) -> Mapping[str, Sequence[nn.Module]]:
        halves: dict[str, Sequence[nn.Module]] = {}
        if self.trained != "local_motion":
            halves["global_motion"] = [self.network.global_motion]
        if self.trained != "global_motion":
            halves["local_motion"] = [self.network.local_motion]
        return halves

    def setup(self, stage: str) -> None:
        """Load the network behind the perceptual losses.

        Raises:
            MissingWeightsError: if its weights are neither at the given path nor in torchvision's cache.
        """
        if stage == "fit" and self.perceptual != "none":
            self.features = load_perceptual(self.perceptual, self.perceptual_weights)

    def on_fit_start(self) -> None:
        """Begin with the halves that were trained before, unless a run is resumed.

        Raises:
            CheckpointError, ValueError: for a half that cannot be read, or is none.
        """
        if self.iterations:
            return
        for half in HALVES:
            if (path := self.start_from.get(half)) is not None:
                load_half(getattr(self.network, half), half, Path(path).expanduser())
        if self.ema is not None:
            self.ema.network.load_state_dict(self.network.state_dict())

    # --- training -----------------------------------------------------------------------------------------------------

    def training_step(self, batch: VideoBatch, batch_idx: int) -> None:
        frames = to_unit(batch.frames[:, : self.length.whole_at(self.iterations)])
        parts = [_Part(part) for (part,) in self.parts(frames)]
        if self.trained == "local_motion":
            self._look(parts)
        else:
            losses = [partial(self._global_loss, part) for part in parts]
            self.latest["loss/global_motion"] = self.update("global_motion", losses)
        if self.trained == "global_motion":
            return
        if self.trained == "local_motion" or self.iterations >= self.pretraining:
            losses = [partial(self._local_loss, part) for part in parts]
            self.latest["loss/local_motion"] = self.update("local_motion", losses)
            if self.restarts is not None:
                seen = [part.drawn for part in parts if part.drawn is not None]
                index, projected = (torch.cat([getattr(x, n).detach() for x in seen]) for n in ("index", "projected"))
                codes = self.network.local_motion.actions.codes
                self.restarts(codes, index, projected, self._momentum_of(codes))
        elif self.decay_untrained:
            self.update("local_motion", [self._nothing])

    def _momentum_of(self, codes: Tensor) -> Tensor | None:
        """What optimisers like Adam, or plain descent with momentum, remember of the codes' direction."""
        optimizer = self._wrapped_optimizers()[self.optimizer_names.index("local_motion")].optimizer
        state = optimizer.state.get(codes, {})
        return state.get("exp_avg", state.get("momentum_buffer"))

    def _look(self, parts: Sequence[_Part]) -> None:
        """What global motion analysis finds when it is not trained: with its running statistics."""
        with torch.no_grad():
            self.network.global_motion.eval()
            for part in parts:
                part.found = self.network.global_motion(part.frames)
            self.network.global_motion.train(self.training)

    def _global_loss(self, part: _Part) -> Tensor:
        part.found = found = self.network.global_motion(part.frames)
        losses = global_motion_losses(found, self.global_weights, self.features)
        self._note(losses)
        self.latest |= {
            "health/mask_size": found.masks.detach().mean(),
            "health/foreground_shift": found.foreground_shifts.detach().abs().mean(),
            "health/background_shift": found.background_shifts.detach().abs().mean(),
        }
        return weighted(losses, self.global_weights)

    def _local_loss(self, part: _Part) -> Tensor:
        assert part.found is not None
        steps = part.frames.shape[1] - 1
        teacher_forced = min(self.teacher_forced.whole_at(self.iterations), steps)
        at = self.iterations
        drawn = self.network.draw(part.found, teacher_forced, self.temperature.at(at), self.quantised.at(at))
        losses = local_motion_losses(drawn, self.local_weights, self.features)
        self._note(losses)
        self.latest["health/actions_used"] = self._perplexity(drawn)
        part.drawn = drawn.actions
        return weighted(losses, self.local_weights)

    def _nothing(self) -> Tensor:
        """A loss whose gradients are 0, and there."""
        return torch.stack([(0.0 * p).sum() for p in self.network.local_motion.parameters()]).sum()

    def _note(self, losses: Mapping[str, Tensor]) -> None:
        self.latest |= {f"loss/{name}": loss.detach() for name, loss in losses.items()}

    def _perplexity(self, drawn: LocalMotionOutput) -> Tensor:
        """How many actions are in use, from 1 to K: the exponential of the entropy of their shares."""
        codes = self.network.settings.local_motion.actions.codes
        shares = F.one_hot(drawn.actions.index, codes).float().mean(0)
        return torch.special.entr(shares).sum().exp()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        """Replace what is not finite among the gradients, as released, and log how many numbers that were."""
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        self.latest["health/gradients_replaced"] = torch.stack([(~x.isfinite()).sum() for x in gradients]).sum()
        for gradient in gradients:
            gradient.nan_to_num_(nan=0.0, posinf=_HUGE, neginf=-_HUGE)
        super().on_before_optimizer_step(optimizer)

    def finish_iteration(self, batch: VideoBatch) -> None:
        with warnings.catch_warnings():
            # in pretraining the schedule of local motion analysis goes on while its optimiser waits
            warnings.filterwarnings("ignore", message=r"Detected call of `lr_scheduler\.step\(\)` before")
            super().finish_iteration(batch)
