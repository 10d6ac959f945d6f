"""Networks in integers: their operators, their meaning, and how they come about."""
