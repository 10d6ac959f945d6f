"""Many inputs, seeded: random valid networks and damaged ones."""
