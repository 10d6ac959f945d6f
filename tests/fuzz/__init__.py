"""Random valid networks, what must hold for each, and the smallest that breaks it."""
