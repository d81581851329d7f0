"""matplotlib's figures inside a page: SVG whose colours and letters are the page's own."""

import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from mutoscope.render.canvas import Colour
from mutoscope.render.plot import style

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_DIGITS = re.compile(r"\d+\.\d+")


def inline_svg(figure: "Figure", *, label: str, name: str, colours: Mapping[Colour, str]) -> "Markup":
    """A figure as an element of an HTML page.

    What would reach beyond the element (styles, identifiers) or only repeats itself (metadata, fonts) is left out.
    An artist's ``gid`` becomes the class of what it drew.

    Args:
        figure: drawn at 72 pixels an inch, so that sizes are points and pixels alike.
        label: what it shows, for those who do not see it.
        name: of this figure alone among those of the page; its parts that refer to each other are named after it.
        colours: CSS colours in the place of the figure's own, e.g. variables that a dark page sets otherwise.
    """
    from markupsafe import Markup

    buffer = io.StringIO()
    with style(**{"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    root = ElementTree.fromstring(buffer.getvalue())
    referred = {element.get(_LINK, "")[1:] for element in root.iter()}
    _prune(root)
    shown = {_hex(colour): css for colour, css in colours.items()}
    for element in root.iter():
        element.tag = str(element.tag).removeprefix(_SVG)
        element.tail = None
        if element.tag != "text":
            element.text = None
        attributes = element.attrib
        own = attributes.get("id", "")
        if element.tag == "g" and own:
            del attributes["id"]
            # matplotlib's own are numbered: axes_1, patch_2
            if not own.rpartition("_")[2].isdigit():
                attributes["class"] = own
        elif element.tag != "clipPath" and own not in referred:
            attributes.pop("id", None)
        if (link := attributes.pop(_LINK, None)) is not None:
            attributes["href"] = link
        if "style" in attributes:
            attributes["style"] = _restyled(attributes["style"], shown)
        if attributes.get("transform", "").startswith("rotate(-0 "):
            del attributes["transform"]
        for place in ("d", "x", "y"):
            if place in attributes:
                attributes[place] = _DIGITS.sub(_rounded, attributes[place]).strip()
    for unsaid in ("width", "height", "version"):
        root.attrib.pop(unsaid, None)
    root.set("role", "img")
    root.set("aria-label", label)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _prune(element: ElementTree.Element) -> bool:
    """Take out what shows nothing or reaches beyond the element; whether anything is left."""
    for child in list(element):
        if child.tag in (f"{_SVG}metadata", f"{_SVG}style") or not _prune(child):
            element.remove(child)
    return len(element) > 0 or element.tag not in (f"{_SVG}g", f"{_SVG}defs")


def _rounded(number: re.Match[str]) -> str:
    """To a hundredth of a pixel."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def _restyled(declarations: str, colours: Mapping[str, str]) -> str:
    """Without fonts, which the page chooses, and with the page's colours."""
    kept = []
    for declaration in declarations.split(";"):
        name, _, value = (part.strip() for part in declaration.partition(":"))
        if name and not name.startswith("font"):
            kept.append(f"{name}:{colours.get(value, value)}")
    return ";".join(kept)


def _hex(colour: Colour) -> str:
    return "#" + "".join(f"{value:02x}" for value in colour)
