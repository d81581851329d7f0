"""What tables of motion say of their columns."""

import pytest

from mutoscope.kinds.motion_report import _meaning
from mutoscope.metrics import FootSkate, Jerk, RecognitionAccuracy


@pytest.mark.parametrize(("units", "word"), [("m", "metres"), ("px", "pixels"), ("cm", "cm")])
def test_lengths_are_in_the_units_of_the_data(units: str, word: str) -> None:
    assert _meaning(FootSkate, units).endswith(f"; {word} per second")
    assert _meaning(Jerk, units).endswith(f"; {word} per second cubed")
    assert _meaning(RecognitionAccuracy, units) == RecognitionAccuracy.meaning
