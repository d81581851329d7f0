"""Entry points are those that Python finds, looked up once for a path."""

from importlib import metadata
from pathlib import Path

import pytest

from mutoscope.runtime import installed


def offer(folder: Path, name: str) -> None:
    """A package of a folder that offers a kind."""
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[mutoscope.kinds]\n{name} = {name}.kind\n")


def test_they_are_those_of_the_standard_library() -> None:
    for wanted in (
        {"group": "console_scripts"},
        {"group": "console_scripts", "name": "mutoscope"},
        {"group": "no.such"},
    ):
        assert set(installed.entry_points(**wanted)) == set(metadata.entry_points(**wanted))
    assert set(installed.entry_points().groups) == set(metadata.entry_points().groups)


def test_another_path_has_others_and_each_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offer(tmp_path / "a", "theirs")
    before = installed.entry_points(group="mutoscope.kinds")
    monkeypatch.syspath_prepend(str(tmp_path / "a"))
    found = installed.entry_points(group="mutoscope.kinds")
    assert set(found.names) == {*before.names, "theirs"}
    monkeypatch.setattr(metadata, "entry_points", lambda **wanted: pytest.fail("read again"))
    assert installed.entry_points(group="mutoscope.kinds", name="theirs")["theirs"].value == "theirs.kind"
