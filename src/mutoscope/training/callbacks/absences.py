"""What a training does without rather than end: a number or a picture that could not be made."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pytorch_lightning import Trainer
from torch import nn

from mutoscope.metrics.common import TooFewSamplesError
from mutoscope.training.loggers import NoteLogger


def reason_of(error: Exception) -> str:
    """Why something is absent, in one line: the error's own sentence, with its class where it was not foreseen."""
    text = " ".join(str(error).split()) or "without a message"
    return text if isinstance(error, TooFewSamplesError) else f"{type(error).__name__}: {text}"


def note(trainer: Trainer, step: int, sentences: Iterable[str]) -> None:
    """Keep sentences in the run's logs that can."""
    for logger in trainer.loggers:
        if isinstance(logger, NoteLogger):
            for sentence in sentences:
                logger.log_note(sentence, step=step)


@contextmanager
def as_before(module: nn.Module) -> Iterator[None]:
    """Parts of a network that are put into evaluation mode inside are put back, also after an error."""
    before = [(part, part.training) for part in module.modules()]
    try:
        yield
    finally:
        for part, training in before:
            part.training = training
