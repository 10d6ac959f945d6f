"""Irregular networks, on which the order of the operators decides how much memory is needed."""
