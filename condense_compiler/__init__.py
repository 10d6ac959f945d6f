"""A graph compiler for convolutional networks on small memories."""
