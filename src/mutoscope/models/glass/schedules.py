"""What changes while GLASS trains: clip length, teacher forcing, temperature (spec section 6)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class LinearSchedule:
    """From one value to another in a straight line.

    Args:
        start: until ``begin``.
        end: from ``begin + lasts`` on.
        begin: iteration at which it starts to move.
        lasts: iterations of the way.
    """

    start: float
    end: float
    begin: int = 0
    lasts: int = 1

    def __post_init__(self) -> None:
        if self.begin < 0 or self.lasts < 1:
            raise ValueError(f"A schedule begins at {self.begin} and lasts {self.lasts}; expected >= 0 and >= 1.")

    def at(self, iteration: int) -> float:
        """The value at an iteration, counted from 0."""
        share = min(max((iteration - self.begin) / self.lasts, 0.0), 1.0)
        return self.start + share * (self.end - self.start)

    def whole_at(self, iteration: int) -> int:
        """The value where only whole numbers are possible: as many whole steps from the start as fit."""
        if iteration >= self.begin + self.lasts:
            return int(self.end)
        share = max((iteration - self.begin) / self.lasts, 0.0)
        steps = int(share * abs(self.end - self.start))
        return int(self.start) + (steps if self.end > self.start else -steps)
