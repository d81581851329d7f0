"""What the README says people may type exists."""

import re
from pathlib import Path

import pytest

from mutoscope.config.nodes import config_dir
from mutoscope.data.registry import datamodules
from mutoscope.formats.graph_files import read_action_graph
from mutoscope.structures import CATER_VOCABULARY

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
#: those of the examples, which nobody ships
MADE_UP = {"dancers", "simple_gan"}


def test_the_graph_it_prints_is_one_that_models_follow(tmp_path: Path) -> None:
    (block,) = [block for block in re.findall(r"^```yaml\n(.*?)^```", TEXT, re.M | re.S) if "\nactions:" in block]
    (tmp_path / "graph.yaml").write_text(block, encoding="utf-8")
    read_action_graph(tmp_path / "graph.yaml").validate(CATER_VOCABULARY)


@pytest.mark.parametrize("group", ["dataset", "experiment", "metrics", "model", "trainer"])
def test_choices_of_groups_exist(group: str) -> None:
    named = set(re.findall(rf"(?<![\w./]){group}=([a-z]\w*)", TEXT)) - MADE_UP
    known = {path.stem for path in (config_dir() / group).glob("*.yaml")}
    if group == "dataset":
        known |= set(datamodules())
    assert named
    assert named <= known


def test_files_it_links_to_exist() -> None:
    root = Path(__file__).parents[1]
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TEXT) if "://" not in link]
    missing = [link for link in links if not (root / link).exists()]
    assert links
    assert not missing


def test_benchmarks_it_names_exist() -> None:
    scripts = set(re.findall(r"tests/benchmarks/\w+\.py", TEXT))
    assert scripts
    assert all((Path(__file__).parents[1] / script).is_file() for script in scripts)
