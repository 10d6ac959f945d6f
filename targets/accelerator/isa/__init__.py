"""The instruction set: registers, instructions, binary file, text form."""
