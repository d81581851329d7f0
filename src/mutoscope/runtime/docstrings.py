"""What docstrings say of arguments, to be told where a person sets them."""

import inspect
import re


def arguments(docstring: str) -> dict[str, str]:
    """Phrases of the ``Args:`` of a docstring, by argument."""
    _, found, block = inspect.cleandoc(docstring).partition("\nArgs:\n")
    entries: list[str] = []
    for line in block.splitlines() if found else []:
        if line and not line.startswith(" "):
            break
        if re.match(r"^    \S", line):
            entries.append(line.strip())
        elif line.strip() and entries:
            entries[-1] += " " + line.strip()
    phrases: dict[str, str] = {}
    for entry in entries:
        names, _, phrase = entry.partition(": ")
        if re.fullmatch(r"[\w, *]+", names):
            phrases |= {name.strip(): phrase for name in names.split(",")}
    return phrases


def without_markup(phrase: str) -> str:
    """Without the markup of docstrings."""
    phrase = re.sub(r":\w+:`~?\.?(?:[\w.]+\.)?(\w+)`", r"\1", phrase)
    # as it is typed
    phrase = re.sub(r"\bNone\b", "null", phrase.replace("``", ""))
    return " ".join(phrase.split()).rstrip(".")
