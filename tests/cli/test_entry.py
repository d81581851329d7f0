"""Ctrl-C while the program is still being imported ends it in order."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from patience import patience

from mutoscope.cli import main as cli

#: sends Ctrl-C to itself when a module is about to be imported
SCRIPT = """
import os, signal, sys

awaited = sys.argv[1]
# background jobs of a shell begin with it ignored
signal.signal(signal.SIGINT, signal.default_int_handler)

class Impatient:
    def find_spec(self, name, path=None, target=None):
        if name == awaited:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Impatient())
from mutoscope.cli.entry import main
sys.argv = ["train.py", "dataset.clips_per_class=2"]
main("train")
"""


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("hydra", "\nInterrupted before anything began.\n"),
        ("mutoscope.config.static", "\nInterrupted before anything began.\n"),
        ("torch", "Interrupted: train did not finish; the same command starts it again.\n"),
    ],
)
def test_an_import_that_is_broken_off_leaves_no_traceback(tmp_path: Path, module: str, said: str) -> None:
    command = [sys.executable, "-c", SCRIPT, module]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=patience(60))
    assert (done.returncode, done.stderr, done.stdout) == (130, said, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("broken", [ImportError, SystemError, RecursionError, AttributeError])
@pytest.mark.parametrize("interrupted", [True, False])
def test_what_a_library_makes_of_ctrl_c_is_an_interruption(
    broken: type[Exception],
    interrupted: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def importing(*_: object) -> None:
        try:
            if interrupted:
                os.kill(os.getpid(), signal.SIGINT)
        except KeyboardInterrupt:
            pass
        raise broken("in the midst of an import")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("mutoscope.verbs.train.train", importing)
    monkeypatch.setattr(sys, "argv", ["train.py"])
    with pytest.raises(SystemExit) as stopped:
        cli.main("train")
    assert stopped.value.code == (130 if interrupted else 1)
    told = capsys.readouterr().err
    assert ("Interrupted: train did not finish" in told) == interrupted
    assert ("in the midst of an import" in told) != interrupted
