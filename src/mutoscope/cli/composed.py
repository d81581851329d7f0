"""Configs and trainings as the command line has them, for Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, open_dict

from mutoscope.cli.early import check_early
from mutoscope.cli.main import as_added, chosen_settings, register
from mutoscope.cli.processes import Launch, needs_own_processes, run_in_fresh_process
from mutoscope.cli.typed import readable, typed_values
from mutoscope.config.choices import config_dir
from mutoscope.verbs.face import TrainedModel, load
from mutoscope.verbs.train import train as train_run


def compose(verb: str, overrides: Sequence[str]) -> tuple[dict[str, Any], Path]:
    """The resolved config that the command line makes of these arguments, and the run's folder; nothing is run.

    Args:
        verb: ``train``, ``evaluate``, ``generate`` or ``export``.
        overrides: ``key=value``, ``group=choice``.
    """
    register()
    typed, beyond = readable(as_added(verb, overrides))
    outer = GlobalHydra.instance().hydra, HydraConfig.instance().cfg
    GlobalHydra.instance().clear()
    try:
        with hydra.initialize_config_dir(str(config_dir()), version_base="1.3"):
            cfg = hydra.compose(verb, typed, return_hydra_config=True)
        assert isinstance(cfg, DictConfig)
        # the name of a run, and so its folder, are made of choices
        HydraConfig.instance().set_config(cfg)
        run_dir = Path(str(cfg.hydra.run.dir))
        with open_dict(cfg):
            cfg.merge_with(beyond)
        return chosen_settings(cfg, verb), run_dir
    finally:
        GlobalHydra.instance().hydra, HydraConfig.instance().cfg = outer


def train(*overrides: str, out: str | Path | None = None) -> TrainedModel:
    """Train as ``mutoscope train`` does: ``train("experiment=quickstart", "trainer.max_steps=100", out="run")``.

    Args:
        overrides: what would be typed, ``key=value`` and ``group=choice``.
        out: the run directory; by default the command line's.

    Returns:
        The trained model, from the run's last checkpoint.

    Raises:
        ConfigError: for anything in the config that cannot work, before training starts.
        Interrupted: after Ctrl-C, saying what stands and how to go on.
    """
    config, usual = compose("train", overrides)
    check_early(config, "train", typed_values(readable(overrides)[0], "model"))
    run_dir = usual if out is None else Path(out)
    if needs_own_processes(Launch.of(config)):
        run_in_fresh_process(config, run_dir)
    else:
        train_run(config, run_dir)
    return load(run_dir)
