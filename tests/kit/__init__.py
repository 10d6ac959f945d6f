"""What the tests build on: small models in every spelling, real networks, and comparison."""
