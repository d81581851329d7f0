"""No setting means nothing because another one is set: such a one is refused with both names."""

from typing import Any

import pytest

from mutoscope.models.ag2vid import conditions as ag2vid
from mutoscope.models.ag2vid.losses import LossWeights
from mutoscope.models.ag2vid.module import AG2Vid
from mutoscope.models.ag2vid.settings import DiscriminatorTraining, FrameTraining, LayoutSettings, check_together
from mutoscope.models.glass import conditions as glass
from mutoscope.runtime.errors import ConfigError

NO_FILE = {"perceptual": "none"}
LAYOUTS: dict[str, Any] = {"frames": None, "discriminator": {"width": 4}}
FLOW: dict[str, Any] = {"frames": {**NO_FILE, "spade": {"width": 8}}, "discriminator": None, "weights": {"flow": 2}}


@pytest.mark.parametrize(
    ("settings", "typed", "both"),
    [
        (LAYOUTS, "discriminator.width", ("model.discriminator.width is 4", "model.frames=null")),
        (LAYOUTS, "discriminator", ("model.discriminator is set", "model.frames=null")),
        ({**LAYOUTS, "weights": {"pixel": 1.0}}, "weights.pixel", ("model.weights.pixel is 1.0", "model.frames=null")),
        (
            {**LAYOUTS, "schedulers": {"generator": {"gamma": 2}}},
            "schedulers.generator.gamma",
            ("gamma is 2", "frames"),
        ),
        (FLOW, "frames.spade.width", ("model.frames.spade.width is 8", "model.discriminator=null")),
        ({**FLOW, "weights": {"perceptual": 1}}, "weights.perceptual", ("perceptual is 1", "frames.perceptual=none")),
        ({**FLOW, "weights": {"adversarial": 1}}, "weights.adversarial", ("is 1", "model.discriminator=null")),
        (
            {"layout": {"name": "copy"}, "frames": NO_FILE, "optimizers": {"layout": {"lr": 1}}},
            "optimizers.layout.lr",
            ("model.optimizers.layout.lr is 1", "model.layout.name=copy"),
        ),
    ],
)
def test_typed_settings_that_nothing_reads_are_refused(settings: Any, typed: str, both: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as error:
        ag2vid.check(settings, [typed])
    assert all(part in str(error.value) for part in both)


@pytest.mark.parametrize(
    ("settings", "typed"),
    [
        # switched off twice
        ({"frames": None, "discriminator": None}, ["discriminator", "frames"]),
        ({**FLOW, "weights": {"perceptual": 0}}, ["weights.perceptual"]),
        # of what there is
        (FLOW, ["weights.flow", "frames.perceptual"]),
        ({**FLOW, "weights": {"pixel": 1.0}}, ["frames.spade.width", "weights.pixel"]),
        ({**FLOW, "discriminator": {}}, ["frames.spade.width"]),
        (
            {"layout": {"name": "rule", "rivals": ["rnn"]}, "frames": NO_FILE, "weights": {"layout": 2}},
            ["weights.layout"],
        ),
        # nobody typed it: it is the config file's
        (LAYOUTS, []),
    ],
)
def test_all_others_pass(settings: Any, typed: list[str]) -> None:
    ag2vid.check(settings, typed)


def test_parts_made_in_python_are_held_to_the_same() -> None:
    layout, weights = LayoutSettings(), LossWeights()
    check_together(layout, None, DiscriminatorTraining(), weights)
    with pytest.raises(ConfigError, match=r"model\.discriminator\.scales is 3, but model\.frames=null"):
        check_together(layout, None, DiscriminatorTraining(scales=3), weights)
    with pytest.raises(ConfigError, match=r"model\.weights\.flow is 2\.0, but model\.frames=null"):
        check_together(layout, None, None, LossWeights(flow=2.0))
    with pytest.raises(ConfigError, match=r"weights\.feature_matching is 1\.0, but model\.discriminator=null"):
        check_together(layout, FrameTraining(), None, LossWeights(feature_matching=1.0))
    check_together(layout, FrameTraining(perceptual="none"), None, LossWeights(pixel=1.0))


@pytest.mark.parametrize(
    ("settings", "typed", "both"),
    [
        ({**NO_FILE, "local_weights": {"vgg": 3}}, "local_weights.vgg", ("vgg is 3", "model.perceptual=none")),
        ({**NO_FILE, "perceptual_weights": "a.pth"}, "perceptual_weights", ("is a.pth", "model.perceptual=none")),
        (
            {**NO_FILE, "trained": "global_motion", "local_weights": {"cycle": 3}},
            "local_weights.cycle",
            ("cycle is 3", "model.trained=global_motion"),
        ),
        (
            {**NO_FILE, "trained": "local_motion", "optimizers": {"global_motion": {"lr": 1}}},
            "optimizers.global_motion.lr",
            ("lr is 1", "model.trained=local_motion"),
        ),
        ({**NO_FILE, "temperature": {"end": 0.1}}, "temperature.end", ("end is 0.1", "quantiser=vq")),
    ],
)
def test_glass_refuses_what_nothing_reads(settings: Any, typed: str, both: tuple[str, str]) -> None:
    with pytest.raises(ConfigError) as error:
        glass.check(settings, [typed])
    assert all(part in str(error.value) for part in both)
    glass.check(settings, ["trained", "perceptual"])


def test_glass_takes_a_temperature_where_there_is_one() -> None:
    gumbel = {"local_motion": {"actions": {"quantiser": "gumbel"}}, "temperature": {"end": 0.1}}
    glass.check({**NO_FILE, **gumbel}, ["temperature.end", "local_motion.actions.quantiser"])


def test_what_a_recipe_sets_is_refused_before_data_are_prepared() -> None:
    recipe = {"frames": None, "discriminator": None, "weights": {"flow": 3.0, "layout": 2.0}}
    with pytest.raises(ConfigError, match=r"model\.weights\.flow is 3\.0, but model\.frames=null"):
        AG2Vid.check_settings(recipe)
    AG2Vid.check_settings({**recipe, "weights": {"flow": 10.0, "layout": 2.0}})
