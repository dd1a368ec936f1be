"""The page's templates: the one place where texts become HTML, escaped unless they were made
here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evoray.files.visible_text import visible


def _shown(value: Any) -> Any:  # Any: whatever a template prints
    """Texts without characters that hide or turn what stands beside them; what is HTML already
    stays.
    """
    if isinstance(value, Markup):
        return value
    return visible(str(value), keep="\n\t")


_ENVIRONMENT = Environment(
    loader=FileSystemLoader(Path(__file__).with_name("templates")),
    autoescape=True,
    undefined=StrictUndefined,
    finalize=_shown,
)
SECTIONS: Any = _ENVIRONMENT.get_template(
    "sections.html"
).module  # Any: its macros, each of which returns Markup


def page(*, title: str, body: Markup, plotly: Markup, figures: Markup) -> str:
    """The whole file."""
    return _ENVIRONMENT.get_template("page.html").render(
        title=title, body=body, plotly=plotly, figures=figures
    )
