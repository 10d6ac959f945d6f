"""Exit statuses of the command line."""

DONE = 0
BOUND_NOT_MET = 1
UNUSABLE = 2
