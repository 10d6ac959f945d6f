"""The command `condense`."""

from condense_compiler.cli.app import main

__all__ = ["main"]
