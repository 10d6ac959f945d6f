"""Exit statuses of the command line."""

DONE = 0
BOUND_NOT_MET = 1
UNUSABLE = 2
INTERRUPTED = 130  # as a shell reports Ctrl-C
