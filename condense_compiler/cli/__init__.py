"""The command `condense`."""

import sys

from condense_compiler.cli.ending import ending, interrupts


def main() -> None:
    """Run the command line, and exit with its status.

    What it needs takes a moment to import: that happens here, where Ctrl-C is heard.
    """
    with interrupts() as heard:
        try:
            from condense_compiler.cli.app import run  # noqa: PLC0415 - see above

            heard.importing = False
            status = run()
        except BaseException as error:  # noqa: BLE001 - the one place where every error ends
            status = ending(error, interrupted=heard.interrupted)
    sys.exit(status)


__all__ = ["main"]
