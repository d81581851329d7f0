"""How long tests wait: limits are for an idle machine; ``MUTOSCOPE_TEST_PATIENCE=4`` makes all four times as long."""

import os

VARIABLE = "MUTOSCOPE_TEST_PATIENCE"


def patience(seconds: float) -> float:
    """A limit of this many seconds on an idle machine, as long as this machine needs.

    Raises:
        ValueError: if the environment asks for something that is no positive number.
    """
    given = os.environ.get(VARIABLE, "1")
    try:
        factor = float(given)
    except ValueError:
        factor = 0.0
    if not 0 < factor < float("inf"):
        raise ValueError(f"{VARIABLE} is '{given}', expected a positive number: how many times longer tests wait.")
    return seconds * factor
