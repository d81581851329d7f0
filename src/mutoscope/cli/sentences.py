"""Errors of a command in one sentence, those of Hydra in this program's words."""

import difflib
import re
from collections.abc import Sequence

from hydra.errors import ConfigCompositionException, MissingConfigException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue, OmegaConfBaseException

from mutoscope.cli.sweeps import LAUNCHERS
from mutoscope.cli.typed import hint
from mutoscope.config.choices import PRESET
from mutoscope.config.names import closest
from mutoscope.config.nodes import RECOGNIZER_SETTINGS
from mutoscope.config.presets import preset_names
from mutoscope.runtime.errors import sentence_of

#: Hydra's words for + before what is there, with its place
_THERE_ALREADY = re.compile(r"An item is already at '(.+?)'\.")
#: and for the choice of a group that has none
_NOT_CHOSEN = re.compile(r"Could not override '(.+?)'\.\s+No match in the defaults list\.")
#: keys of nodes that nobody sets
_NO_SETTINGS = ("hydra", "_target_", "_partial_", PRESET)


def sentence(error: BaseException) -> str:
    """What to say of an error: what was found, what was expected, what to do."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        return _no_choice(*str(error.missing_cfg_file).rpartition("/")[::2], error.options or [])
    if isinstance(error, ConfigCompositionException):
        if (there := _THERE_ALREADY.search(str(error))) is not None:
            another = ", or give the new one another name" if there[1].startswith("metrics.") else ""
            return (
                f"{there[1]} is there already, and + adds what is not; to set it anew leave the + out, "
                f"{there[1]}=<value>{another}."
            )
        if (chosen := _NOT_CHOSEN.search(str(error))) is not None:
            return f"Nothing is chosen for {chosen[1]} that another choice could replace; to add one, put + before it."
        cause = error.__cause__
        if isinstance(cause, OmegaConfBaseException) and isinstance(cause.parent_node, DictConfig) and cause.full_key:
            return _no_setting(str(cause.full_key), str(cause.key or ""), cause.parent_node)
    if isinstance(error, MissingMandatoryValue):
        return f"{error.full_key} must be given: add {error.full_key}=<value>."
    return sentence_of(error)


def _no_choice(group: str, name: str, choices: Sequence[str]) -> str:
    if group == "hydra/launcher" and name in LAUNCHERS:
        return f"hydra/launcher={name} needs its plug-in: pip install 'mutoscope[sweep]'."
    if group.partition("/")[0] == "preset":
        # presets lie in folders of the group, whose names are parts of theirs
        group, name, choices = "preset", f"{group.partition('/')[2]}/{name}".lstrip("/"), preset_names()
    near = f"; did you mean '{closest(name, choices)}'? Choices: {', '.join(choices)}." if choices else "."
    return f"There is no {group} '{name}'{near}"


def _no_setting(place: str, key: str, node: DictConfig) -> str:
    """What is said of a place that is no setting.

    Args:
        place: dotted.
        key: its last part.
        node: in which it was looked for.
    """
    where, _, last = place.rpartition(".")
    key = key or last
    known = [] if node._is_none() or node._is_missing() else [str(k) for k in node if str(k) not in _NO_SETTINGS]
    if where == "metrics" and not difflib.get_close_matches(key, known, n=1, cutoff=0.7):
        there = f"those of this command are {', '.join(known)}" if known else "this command has none"
        return f"'{place}' is no metric here; {there}. To add one, put + before it: +{place}=<preset>."
    if where and not known:
        return f"'{place}' is no setting: {where} is a single value, null or without settings."
    beside = difflib.get_close_matches(key, known, n=1, cutoff=0.7)
    # those of a group that the model's kind will choose
    later = {"recognizer": dict.fromkeys(RECOGNIZER_SETTINGS)} if "recognizer" in known else {}
    # what a metric does not have is no setting of something else
    sought = not beside and not where.startswith("metrics.")
    elsewhere = hint(key, node._get_root(), OmegaConf.create(later)) if sought else None
    near = f"did you mean '{closest(key, known)}'? Its settings are {', '.join(known)}."
    return f"'{place}' is no setting of {where or 'this command'}; {elsewhere or near}"
