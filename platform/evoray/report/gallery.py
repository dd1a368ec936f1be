"""The pictures of a run: what its generators make, embedded in the page."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any


def gallery(pictures: Sequence[Mapping[str, Any]]) -> str:  # Any: JSON
    """HTML: each picture with its title and caption."""
    return f'<div class="gallery">{"".join(_figure(picture) for picture in pictures)}</div>'


def _figure(picture: Mapping[str, Any]) -> str:
    title, kind, caption = (html.escape(str(picture.get(name, ""))) for name in ("title", "kind", "caption"))
    image = f'<img alt="{kind} of {title}" loading="lazy" src="data:image/png;base64,{html.escape(picture["png"])}">'
    return f"<figure>{image}<figcaption>{kind} of <code>{title}</code>: {caption}</figcaption></figure>"
