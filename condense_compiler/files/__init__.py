"""All writing: whole or not at all, and never over what is read.

Everything that this package and its targets write goes through here. Regular files are written to
a temporary one beside them and renamed; folders are filled beside the old one and take its place
in one step; devices and pipes are written into.
"""

from condense_compiler.files.folders import check_folder, reading_folder, replace_folder
from condense_compiler.files.output import (
    check_file,
    is_standard_output,
    write_file,
    writing,
)

__all__ = [
    "check_file",
    "check_folder",
    "is_standard_output",
    "reading_folder",
    "replace_folder",
    "write_file",
    "writing",
]
