"""What tables say of their columns."""

import pytest

from mutoscope.kinds.tables import metric_column
from mutoscope.metrics import FootSkate, FrameError, Jerk
from mutoscope.structures import NTU25


@pytest.mark.parametrize(("units", "word"), [("m", "metres"), ("px", "pixels"), ("cm", "cm")])
def test_lengths_are_in_the_units_of_the_data(units: str, word: str) -> None:
    assert metric_column("skate", FootSkate(NTU25, 30.0), units).explain.endswith(f"; {word} per second")
    assert metric_column("jerk", Jerk(30.0), units).explain.endswith(f"; {word} per second cubed")
    assert metric_column("error", FrameError(), units).explain == FrameError().meaning
