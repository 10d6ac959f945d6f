"""The simulator: what a binary computes, and what that costs."""
