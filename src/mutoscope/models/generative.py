"""Base of models that generate: a generator, its average, and what they may be asked."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol, runtime_checkable

from torch import Tensor, nn

from mutoscope.models.base import IterationModule, OptimizerFactory, SchedulerFactory
from mutoscope.models.ema import GeneratorEMA
from mutoscope.structures import DatasetInfo, Sample


class GenerativeModule(IterationModule):
    """Base of all generative models: an :class:`IterationModule` with a generator, its average, and ``generate``.

    Args:
        ema_half_life: of the generator's average, in samples; ``None`` keeps no average.
        info, optimizers, schedulers, micro_batches, clip_norm, compile_networks, seed: see :class:`IterationModule`.
    """

    #: whether ``generate`` of a model of motion also takes class weights ``[b, classes]``
    takes_mixtures: ClassVar[bool] = False
    #: choices of config groups by which its evaluation differs from that of its kind, e.g. its paper's metrics
    groups: ClassVar[Mapping[str, str]] = {}

    def __init__(
        self,
        info: DatasetInfo,
        *,
        optimizers: Mapping[str, OptimizerFactory],
        schedulers: Mapping[str, SchedulerFactory] | None = None,
        ema_half_life: float | None = None,
        micro_batches: int = 1,
        clip_norm: float | None = None,
        compile_networks: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            info,
            optimizers=optimizers,
            schedulers=schedulers,
            micro_batches=micro_batches,
            clip_norm=clip_norm,
            compile_networks=compile_networks,
            seed=seed,
        )
        self.ema_half_life = ema_half_life
        self.ema: GeneratorEMA | None = None

    @property
    @abstractmethod
    def generator(self) -> nn.Module:
        """The network whose average is kept and which generates."""

    @abstractmethod
    def generate(self, batch: Any, *args: Any, **kwargs: Any) -> Sample:
        """Generate for the conditions in ``batch`` with the averaged weights; the result is in dataset units."""

    def ready(self) -> None:
        if self.ema_half_life is not None:
            self.ema = GeneratorEMA(self.generator, self.ema_half_life)
        super().ready()

    @property
    def averaged(self) -> nn.Module:
        """The generator to show and to measure: the average where one is kept, else the network itself."""
        return self.generator if self.ema is None else self.ema.network

    def finish_iteration(self, batch: Any) -> None:
        before = self.samples_seen
        super().finish_iteration(batch)
        if self.ema is not None:
            self.ema.update(self.generator, self.samples_seen - before, self.samples_before + self.samples_seen)


@runtime_checkable
class Attentive(Protocol):
    """A model of motion whose frames attend to past ones, and which can say to which."""

    def attention(
        self, batch: Any, *, seed: int = 0, length: int | None = None, truncation: float | None = None
    ) -> Tensor:
        """``[b, t, t]`` for the sequences that ``generate`` makes of the same arguments.

        Row = frame that attends, column = frame attended to, zero for later frames; only ratios within a row matter.
        """
