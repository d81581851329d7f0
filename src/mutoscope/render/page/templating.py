"""Templates of pages: Jinja2's, in which every text is escaped unless it says that it is markup."""

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


def rendered(template: str, **values: Any) -> "Markup":
    """A template of ``render/page/templates`` with its values filled in.

    Args:
        template: its name without ``.html``.
        values: all that it asks for; a missing one is an error.

    Returns:
        HTML that other templates may hold as it is.
    """
    from markupsafe import Markup

    return Markup(_environment().get_template(f"{template}.html").render(**values))


def asset(name: str) -> "Markup":
    """A style sheet or a script that lies beside this module."""
    from markupsafe import Markup

    return Markup(files("mutoscope.render.page").joinpath(name).read_text(encoding="utf-8"))


@cache
def _environment() -> "Environment":
    # imported when a page is written, not before
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("mutoscope.render.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # no whitespace but what a template says
        keep_trailing_newline=False,
    )
    environment.filters["breakable"] = _breakable
    # what is not finite is no JSON, and nobody reads these lines
    environment.policies["json.dumps_kwargs"] = {"separators": (",", ":"), "allow_nan": False}
    return environment


def _breakable(text: str) -> "Markup":
    """Long names may break where words meet."""
    from markupsafe import Markup, escape

    return Markup(str(escape(text)).replace("_", "_<wbr>").replace("/", "/<wbr>"))
