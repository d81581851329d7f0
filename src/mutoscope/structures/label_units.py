"""The unit in which W-Sprites labels shifts, which is neither pixels nor what the networks of its paper predict."""

#: (height, width) of the frames that the numbers below are about
_SIZE = (96, 128)
#: pixels, right and down, of a label of 1: of the agent (2 dx / 64, 2 dy / 32), and of the background's content, which
#: moves against the crop by 128 / 256 and 96 / 256 of its way (2 d / 25)
PIXELS_OF_LABEL = {"foreground": (32.0, 16.0), "background": (-6.25, -4.6875)}


def pixels_of_label(layer: str, size: tuple[int, int]) -> tuple[float, float]:
    """Pixels, right and down, of a label of 1 in frames of (height, width).

    Args:
        layer: ``foreground`` or ``background``.
        size: of the frames.
    """
    across, down = PIXELS_OF_LABEL[layer]
    return across * size[1] / _SIZE[1], down * size[0] / _SIZE[0]
