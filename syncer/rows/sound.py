"""A first look at whole columns: whether nothing in them needs a closer one. Pure."""

from __future__ import annotations

import pyarrow as pa

from syncer.arrow import buffers


def surely_sound(column: pa.Array) -> bool:
    """Tell quickly that no cell is blank and none has white space or a control character; False: look closer."""
    offsets, data = buffers(column.cast(pa.large_string()))
    data = data[offsets[0] : offsets[-1]]
    return bool((data > ord(" ")).all() and (data < 0x7F).all() and (offsets[1:] > offsets[:-1]).all())  # noqa: PLR2004


def begin_visibly(values: pa.Array) -> bool:
    """Tell quickly that every text begins with a visible ASCII character, so that none is blank; False: look closer."""
    offsets, data = buffers(values.cast(pa.large_string()))
    if not (offsets[1:] > offsets[:-1]).all():
        return False
    first = data[offsets[:-1]]
    return bool(((first > ord(" ")) & (first < 0x7F)).all())  # noqa: PLR2004
