"""Config files are read and put together once by each process for the same choices; what is typed is applied anew.

Hydra reads and merges some twenty files for a config, in which two tests seldom differ: they differ in settings.
"""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hydra._internal import config_loader_impl
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.defaults_list import DefaultsList, Overrides
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from mutoscope.config.choices import config_dir
from mutoscope.data.registry import plugin_packages


@contextmanager
def configs_composed_once() -> Iterator[None]:
    """In here files of ``conf/``, Hydra's defaults lists, and what the files in them come to, are remembered.

    Everybody gets a copy. Files of other folders, and whatever is composed beside other people's packages, are read
    anew each time.
    """
    files, lists, configs = dict[Path, bytes](), dict[str, bytes](), dict[str, bytes]()
    load, ours = OmegaConf.load, config_dir()
    find, put_together = config_loader_impl.create_defaults_list, ConfigLoaderImpl._compose_config_from_defaults_list

    def loaded(file: Any) -> Any:
        path = Path(getattr(file, "name", file))
        if not path.is_relative_to(ours):
            return load(file)
        if path not in files:
            files[path] = pickle.dumps(load(file))
        return pickle.loads(files[path])

    def known(repo: Any) -> bool:
        folders = {source.path for source in repo.get_sources() if source.scheme() == "file"}
        return folders <= {str(ours)} and not plugin_packages()

    def found(repo: Any, config_name: str | None, overrides_list: list[Any], **settings: Any) -> DefaultsList:
        if not known(repo):
            return find(repo, config_name, overrides_list, **settings)
        overrides = Overrides(repo=repo, overrides_list=overrides_list)
        chosen = (overrides.override_choices, overrides.append_group_defaults, overrides.deletions)
        key = repr((config_name, chosen, settings))
        if key not in lists:
            made = find(repo, config_name, overrides_list, **settings)
            lists[key] = pickle.dumps((made.defaults, made.defaults_tree, made.overrides.known_choices))
        defaults, tree, overrides.known_choices = pickle.loads(lists[key])
        return DefaultsList(defaults, tree, overrides.config_overrides, overrides)

    def composed(self: ConfigLoaderImpl, defaults: list[Any], repo: Any) -> Any:
        if not known(repo):
            return put_together(self, defaults, repo)
        # of what stands in no file, the settings of kinds and of launchers are not always the same
        key = repr((defaults, ConfigStore.instance().repo))
        if key not in configs:
            configs[key] = pickle.dumps(put_together(self, defaults, repo))
        return pickle.loads(configs[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OmegaConf, "load", staticmethod(loaded))
        patch.setattr(config_loader_impl, "create_defaults_list", found)
        patch.setattr(ConfigLoaderImpl, "_compose_config_from_defaults_list", composed)
        yield
