"""What README and documentation say people may type exists, and what they quote is said."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from places import ROOT

import mutoscope
from mutoscope.config.choices import config_dir
from mutoscope.data.registry import datamodules
from mutoscope.formats.graph_files import read_action_graph
from mutoscope.structures import CATER_VOCABULARY

PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
    if "generated" not in path.parts
}
TEXT = "\n".join(PAGES.values())
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


@pytest.mark.parametrize("page", PAGES)
def test_files_it_links_to_exist(page: str) -> None:
    here = (ROOT / page).parent
    links = [link for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", PAGES[page]) if "://" not in link]
    assert not [link for link in links if not (here / link).exists()]


def test_files_it_names_exist() -> None:
    named = set(re.findall(r"(?:tests|conf|notebooks)/[\w/]+\.(?:py|yaml|ipynb)", TEXT))
    named -= {
        "conf/local/default.yaml",
        *(f"conf/{group}/{name}.yaml" for group in ("model", "dataset") for name in MADE_UP),
    }
    assert len(named) > 10
    assert not [name for name in named if not (ROOT / name).is_file()]


def test_make_knows_its_targets() -> None:
    named = set(re.findall(r"(?:^|`)make (\w+)", TEXT, re.M))
    rules = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))
    assert {"setup", "quickstart", "docs", "pictures", "test_lowest"} <= named <= rules


def test_moving_pictures_are_small() -> None:
    pictures = [ROOT / link for link in re.findall(r"\((docs/media/\w+\.webp)\)", PAGES["README.md"])]
    assert len(pictures) >= 2
    assert all(0 < picture.stat().st_size < 1_000_000 for picture in pictures)


def test_messages_it_explains_are_said() -> None:
    said = list(sentences())
    quoted = re.findall(r"`([^`]+)`", "\n".join(re.findall(r"^(`.*)\n: ", PAGES["docs/troubleshooting.md"], re.M)))
    assert len(quoted) > 40
    unsaid = [message for message in quoted if not any(fits(message, sentence) for sentence in said)]
    assert not unsaid


def fits(message: str, sentence: str) -> bool:
    """Whether a message, cut off where it ends with an ellipsis, is a sentence; blanks in both are alike."""
    open_end = message.rstrip().endswith("…")
    parts = [re.escape(part) for part in message.rstrip(" …" if open_end else " ").split("…")]
    return re.match(".*".join(parts) + ("" if open_end else r"\W*$"), sentence) is not None


def sentences() -> Iterator[str]:
    """All that errors say, and what is said of metrics that are left out."""
    spec = importlib.util.spec_from_file_location("generated_pages", ROOT / "docs" / "generated_pages.py")
    assert spec is not None
    assert spec.loader is not None
    pages = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pages)
    for path in sorted((ROOT / "src").rglob("*.py")):
        yield from pages.messages(path)
    yield "The metric … is left out: …"


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == mutoscope.__version__
    assert f"## {mutoscope.__version__}\n" in (ROOT / "CHANGELOG.md").read_text()
    # one entry per model of a paper
    assert {entry["notes"].removeprefix("model=") for entry in citation["references"]} == {
        "ag2vid",
        "glass",
        "kinetic_gan",
        "sa_gcn",
    }
