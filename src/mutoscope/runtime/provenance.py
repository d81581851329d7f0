"""What a run was made with, and what to type to go on from it."""

import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


def run_facts() -> dict[str, Any]:
    """What a run was made with: versions, machine, command, commit."""
    packages = ("mutoscope", "torch", "torchvision", "pytorch-lightning", "torchmetrics", "hydra-core", "numpy", "av")
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, check=False
    )
    return {
        "command": typed_command() or [Path(sys.argv[0]).name, *sys.argv[1:]],
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "versions": {name: version(name) for name in packages},
        "commit": commit.stdout.strip() or None,
    }


#: environment variable with the command that a person typed, as JSON; jobs in other processes inherit it
COMMAND = "MUTOSCOPE_COMMAND"


def record_command(verb: str) -> None:
    """Keep the command line of this process for the processes below it; to be called before anything changes it."""
    program, settings = sys.argv[0], sys.argv[1:]
    script = program.endswith(".py")
    os.environ[COMMAND] = json.dumps(
        [program if script else Path(program).name, *([] if script else [verb]), *settings]
    )


def typed_command() -> list[str] | None:
    """The command a person typed, from the program on; ``None`` where a program called us."""
    command = json.loads(os.environ.get(COMMAND, "null"))
    return None if command is None else [str(word) for word in command]


def command_line(verb: str, settings: Iterable[str]) -> str:
    """How to type a verb, quoted for a shell: through the same door that this process came in by."""
    typed = typed_command() or ["mutoscope"]
    script = typed[0].endswith(".py")
    door = ["python", str(Path(typed[0]).with_name(f"{verb}.py"))] if script else [typed[0], verb]
    return shlex.join([*door, *settings])


def typed_again(without: Sequence[str], added: Sequence[str]) -> str | None:
    """The typed command with other settings, quoted for a shell; ``None`` where there is none.

    Args:
        without: keys of settings to leave out.
        added: settings to add, ``key=value``.
    """
    typed = typed_command()
    if typed is None:
        return None
    script = typed[0].endswith(".py")
    settings = [word for word in typed[1 if script else 2 :] if word.partition("=")[0].lstrip("+") not in without]
    return shlex.join([*(["python", typed[0]] if script else typed[:2]), *settings, *added])
