"""Base of models that generate: a generator, its average, and what they may be asked."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Unpack, runtime_checkable

import torch
from torch import Tensor, nn
from typing_extensions import TypeVar

from mutoscope.models.base import IterationModule, TrainingSettings
from mutoscope.models.ema import GeneratorEMA
from mutoscope.models.originals import Original, OriginalData
from mutoscope.structures import ActionGraphBatch, ActionGraphSample, DatasetInfo, MotionBatch, MotionSample, Sample

#: what a model is asked with, and what it answers; a model of which neither is known may be asked with anything
AskedT = TypeVar("AskedT", default=Any)
SampleT = TypeVar("SampleT", bound=Sample, default=Any)


class GenerativeSettings(TrainingSettings, total=False):
    """What every generative model lets be set of its training; :class:`GenerativeModule` says what it means."""

    ema_half_life: float | None


class GenerativeModule(IterationModule, Generic[AskedT, SampleT]):
    """Base of all generative models: an :class:`IterationModule` with a generator, its average, and ``generate``.

    Args:
        ema_half_life: of the generator's average, in samples; ``None`` keeps no average.
        info, optimizers, schedulers, micro_batches, clip_norm, compile_networks, seed: see :class:`IterationModule`.
    """

    #: whether ``generate`` of a model of motion also takes class weights ``[b, classes]``
    takes_mixtures: ClassVar[bool] = False
    #: choices of config groups by which its evaluation differs from that of its kind, e.g. its paper's metrics
    groups: ClassVar[Mapping[str, str]] = {}
    #: parts that are trained and exported apart, and what the names of their weights begin with
    exported_apart: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self, info: DatasetInfo, *, ema_half_life: float | None = None, **training: Unpack[TrainingSettings]
    ) -> None:
        super().__init__(info, **training)
        self.ema_half_life = ema_half_life
        self.ema: GeneratorEMA | None = None

    @classmethod
    def from_original(cls, path: Path, data: OriginalData) -> Original:
        """A checkpoint of the model's original code; a model that reads none leaves this as it is.

        Args:
            path: of the file.
            data: what a person tells of the data it was trained on.

        Raises:
            FileNotFoundError: if there is no such file.
            ValueError: if it is no checkpoint of the original.
            ConfigError: for what neither the file nor a person says, and for what contradicts the file.
        """
        raise NotImplementedError(f"{cls.__name__} reads no checkpoints of other programs.")

    @property
    @abstractmethod
    def generator(self) -> nn.Module:
        """The network whose average is kept and which generates."""

    @abstractmethod
    def generate(self, batch: AskedT, *, seed: int = 0) -> SampleT:
        """Generate for the conditions in ``batch`` with the averaged weights; the result is in dataset units.

        Args:
            batch: what is asked for.
            seed: of everything random.
        """

    def ready(self) -> None:
        if self.ema_half_life is not None:
            self.ema = GeneratorEMA(self.generator, self.ema_half_life)
        super().ready()

    @property
    def averaged(self) -> nn.Module:
        """The generator to show and to measure: the average where one is kept, else the network itself."""
        return self.generator if self.ema is None else self.ema.network

    @contextmanager
    def sampling(self) -> Iterator[nn.Module]:
        """The generator to show and to measure, in evaluation mode and without gradients; training goes on after it."""
        network = self.averaged.eval()
        try:
            with torch.inference_mode():
                yield network
        finally:
            if self.training:
                self.generator.train()

    def finish_iteration(self, batch: Any) -> None:
        before = self.samples_seen
        super().finish_iteration(batch)
        if self.ema is not None:
            self.ema.update(self.generator, self.samples_seen - before, self.samples_before + self.samples_seen)


class GeneratesMotion(Protocol):
    """What all models of motion can be asked, beside what a :class:`GenerativeModule` can."""

    def generate(
        self,
        batch: MotionBatch | Tensor,
        *,
        seed: int = 0,
        length: int | None = None,
        truncation: float | None = None,
        batch_size: int = 256,
    ) -> MotionSample:
        """Sequences for the classes of real clips or for labels ``[b]``; noise is scaled by ``truncation``."""


class GeneratesFromGraphs(Protocol):
    """What all models of video from action graphs can be asked, beside what a :class:`GenerativeModule` can."""

    def generate(
        self,
        batch: ActionGraphBatch,
        *,
        seed: int = 0,
        length: int | None = None,
        layout: Any = None,
        batch_size: int = 16,
    ) -> ActionGraphSample:
        """Videos for action graphs, first frames and first boxes, laid out by ``layout`` or by the model itself."""


@runtime_checkable
class Attentive(Protocol):
    """A model of motion whose frames attend to past ones, and which can say to which."""

    def attention(
        self, batch: Any, *, seed: int = 0, length: int | None = None, truncation: float | None = None
    ) -> Tensor:
        """``[b, t, t]`` for the sequences that ``generate`` makes of the same arguments.

        Row = frame that attends, column = frame attended to, zero for later frames; only ratios within a row matter.
        """
