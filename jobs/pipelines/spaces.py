"""Search spaces made to fit a job's data."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

from evoray.training import tasks
from objectives.base import DataSource, LabelledSource
from searchspaces.base import SearchSpace

# fields of a space that data decides, by task; a space for another task is taken as it is
_OUTPUTS = {"classification": "num_classes", "segmentation": "out_channels"}


def fitted(space: SearchSpace, source: DataSource) -> SearchSpace:
    """The space for the classes and channels of this data.

    Raises:
        ValueError: It is not for the data's task.
    """
    task = tasks.name_of(source)
    if task not in _OUTPUTS:
        return space
    classes = cast(LabelledSource, source).num_classes
    wanted = {_OUTPUTS[task]: classes, "in_channels": source.image_shape[0]}
    if all(getattr(space, name, None) == value for name, value in wanted.items()):
        return space
    part: Any = space  # Any: a dataclass, if it is one
    fields: tuple[Any, ...] = dataclasses.fields(part) if dataclasses.is_dataclass(space) else ()
    if not wanted.keys() <= {field.name for field in fields}:
        raise ValueError(
            f"space {space.name!r} is not for image {task} of {source.name!r}: it must be a "
            f"dataclass with the fields {' and '.join(wanted)}, which are set to what the data "
            f"has, {' and '.join(map(str, wanted.values()))}"
        )
    return cast(SearchSpace, dataclasses.replace(part, **wanted))
