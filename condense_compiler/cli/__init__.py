"""The command `condense`."""

import sys

from condense_compiler.cli.status import INTERRUPTED


def main() -> None:
    """Run the command line.

    What it needs takes a moment to import: that happens here, where Ctrl-C is heard.
    """
    try:
        from condense_compiler.cli.app import run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        sys.stderr.write("condense: interrupted\n")
        sys.exit(INTERRUPTED)
    run()


__all__ = ["main"]
