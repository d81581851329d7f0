"""Commands that build nothing from configs: ``mutoscope weights ...``, ``compare``, ``study``."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from mutoscope.runtime.errors import ConfigError, sentence_of


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run one of :data:`COMMANDS`; 1 and one sentence on stderr where it fails."""
    try:
        return COMMANDS[name](arguments)
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:
        sys.stderr.write(f"error: {sentence_of(error)}\n")
        return 1


def _weights(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "mutoscope weights", description="Published networks that metrics and losses look through."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="list|fetch|verify|import")
    actions.add_parser("list", help="all there are, whether they are here, size, licence, what needs them")
    fetched = actions.add_parser("fetch", help="bring them from their official addresses")
    fetched.add_argument("names", nargs="+", metavar="NAME")
    verified = actions.add_parser("verify", help="compare those that are here with what is known of them")
    verified.add_argument("names", nargs="*", metavar="NAME")
    imported = actions.add_parser("import", help="take a file that was brought by hand")
    imported.add_argument("path", type=Path, metavar="FILE")
    imported.add_argument("name", nargs="?", metavar="NAME", help="where the file's name does not tell")
    asked = parser.parse_args(arguments)
    # after the arguments are right: it brings torch along
    from mutoscope.verbs import weights

    if asked.action == "list":
        weights.list_weights()
    elif asked.action == "fetch":
        weights.fetch(asked.names)
    elif asked.action == "import":
        weights.import_weights(asked.path, asked.name)
    else:
        return int(not weights.verify(asked.names))
    return 0


def _compare(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "mutoscope compare", description="The numbers of several evaluations in one table, if they were measured alike."
    )
    parser.add_argument("paths", nargs="+", metavar="A", help="metrics.json files, or folders of evaluations or runs")
    parser.add_argument("--metrics", nargs="+", default=[], metavar="NAME", help="those to compare; all by default")
    parser.add_argument("--out", metavar="FILE.md", help="also write the table as Markdown")
    asked = parser.parse_args(arguments)
    _require(asked.paths, "There is no metrics.json in {}; evaluate it first.")
    from mutoscope.verbs.compare import compare

    compare(asked.paths, asked.metrics, asked.out)
    return 0


def _study(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        "mutoscope study", description="Ask people which of two clips they prefer, blinded, and count what they answer."
    )
    parser.add_argument(
        "paths", nargs="+", metavar="A B | tally KEY ANSWERS", help="two folders of videos; or the tally"
    )
    parser.add_argument("--out", default="study.html", metavar="FILE.html", help="the page")
    parser.add_argument("--question", default="Which clip looks more real?", help="that people are asked")
    parser.add_argument("--seed", type=int, help="of which side is whose; at random by default")
    asked = parser.parse_args(arguments)
    counted = asked.paths[0] == "tally" and len(asked.paths) > 1
    if not counted and len(asked.paths) != 2:
        parser.error("expected two folders, or tally, the key and files of answers")
    if counted:
        _require(asked.paths[1:], "There is no file {}.")
    else:
        _require(asked.paths, "There is no folder or file {}.")
    from mutoscope.verbs.study import make_study, tally

    if counted:
        tally(asked.paths[1], asked.paths[2:])
    else:
        make_study(asked.paths[0], asked.paths[1], asked.out, asked.question, asked.seed)
    return 0


def _require(paths: Sequence[str], sentence: str) -> None:
    """Whether all of these are there, before reading them brings torch along."""
    if gone := [path for path in paths if not Path(path).expanduser().exists()]:
        raise ConfigError(sentence.format(gone[0]))


#: by name, what takes the arguments after it and returns the exit status
COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {"weights": _weights, "compare": _compare, "study": _study}
