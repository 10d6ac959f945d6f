"""Writing arrays as .npz files."""

import io
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from condense_compiler.files.output import write_file

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest date of a ZIP file: the same arrays, the same bytes


def write_arrays(
    path: Path, arrays: Mapping[str, npt.NDArray[Any]], kept: Collection[Path] = ()
) -> None:
    """Write arrays to an .npz file, whole or not at all; `numpy.load` reads it.

    `numpy.savez` takes the arrays as keywords, where some names mean something else.

    Args:
        path: The file.
        arrays: The arrays, by any names.
        kept: What must not be written over.

    Raises:
        InputError: The file cannot or must not be written.
    """
    packed = io.BytesIO()  # devices and pipes cannot be written here and there
    with zipfile.ZipFile(packed, "w") as archive:
        for name, values in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
            with archive.open(member, "w", force_zip64=True) as content:
                np.lib.format.write_array(content, np.asanyarray(values), allow_pickle=False)
    write_file(path, packed.getvalue(), kept)
