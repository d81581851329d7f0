"""Base of skeleton datasets that are read from files once and then from a store."""

from abc import abstractmethod
from functools import cached_property
from pathlib import Path

from mutoscope.data.motion.store import MotionStore, open_store
from mutoscope.data.motion.windows import MotionDataModule


class StoredMotionDataModule(MotionDataModule):
    """A subclass sets ``cache_dir``, writes the store in ``prepare_data`` and takes its clips from it."""

    cache_dir: Path

    @property
    @abstractmethod
    def sources(self) -> str:
        """Fingerprint of the recordings and of how they are prepared, before they are split and cut."""

    @abstractmethod
    def report(self) -> None:
        """Log what was found, what was left out and what is missing, once the windows are cut."""

    def setup(self, stage: str | None = None) -> None:
        """Cut windows, see :class:`MotionDataModule`, and report once on rank 0.

        Raises:
            FileNotFoundError: if ``prepare_data()`` was not called.
            ValueError: if a class has no training window left.
        """
        if self._windows:
            return
        super().setup(stage)
        if self._rank()[0] == 0:
            self.report()

    @property
    def left_out(self) -> str:
        if not (skipped := self.store.skipped):
            return ""
        report = self.store_path / "skipped.txt"
        return f" {len(skipped)} recordings could not be used, see {report}; the first: {skipped[0].detail}"

    @property
    def store_path(self) -> Path:
        return self.cache_dir / f"{self.registered_name}-{self.skeleton.name}-{self.sources}"

    @cached_property
    def store(self) -> MotionStore:
        return open_store(self.store_path, self.sources)
