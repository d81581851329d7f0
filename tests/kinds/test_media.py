"""Videos for people are large enough to see; nothing else is enlarged."""

import numpy as np
import pytest

from mutoscope.render.people import for_people


@pytest.mark.parametrize(
    ("height", "shown"), [(32, 256), (64, 256), (96, 288), (200, 400), (255, 510), (256, 256), (480, 480)]
)
def test_small_videos_are_enlarged_pixel_by_pixel(height: int, shown: int) -> None:
    video = np.random.default_rng(0).integers(0, 256, (2, height, height, 3), dtype=np.uint8)
    large = for_people(video)
    assert large.shape == (2, shown, shown, 3)
    step = shown // height
    assert np.array_equal(large[:, ::step, ::step], video)
    assert np.array_equal(large[:, step - 1 :: step, step - 1 :: step], video)
