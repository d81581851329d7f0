"""Presets: each is a metric that can be built, has its section in the documentation, and is named in its protocol."""

import re
from pathlib import Path

import pytest

from mutoscope.config.choices import load_choice
from mutoscope.config.nodes import check_config
from mutoscope.config.presets import preset_names, preset_of, with_presets
from mutoscope.runtime.errors import ConfigError

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", preset_names())
def test_a_preset_is_a_metric_that_knows_its_name(name: str) -> None:
    node = with_presets({"metrics": {"it": name}})["metrics"]["it"]
    assert preset_of(node) == name
    check_config({"metrics": {"it": node}}, ["metrics"])


def test_what_was_changed_of_a_preset_is_told() -> None:
    node = load_choice("preset", "standard/fvd2048_16f")
    assert preset_of({**node, "frames": 9, "ddof": 1}) == "standard/fvd2048_16f with ddof=1, frames=9"
    # another place of the file is no other protocol: the network's hash tells
    assert preset_of({**node, "weights": "here.pt"}) == "standard/fvd2048_16f"
    assert preset_of({"_target_": "mutoscope.metrics.PSNR"}) is None


def test_unknown_presets_are_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"metrics\.fvd is 'standard/fvd_16', .*did you mean 'standard/fvd_16f'"):
        with_presets({"metrics": {"fvd": "standard/fvd_16"}})


def test_every_preset_has_its_section_and_every_section_a_preset() -> None:
    text = (ROOT / "docs" / "presets.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^### (\S+/\S+)$", text, re.M)) == preset_names()
