"""Exit statuses of the command line."""

DONE = 0
BOUND_NOT_MET = 1
UNUSABLE = 2  # input or usage; memory exhausted, too
FAULT = 70  # of the compiler itself, as sysexits.h has it
INTERRUPTED = 130  # as a shell reports Ctrl-C
