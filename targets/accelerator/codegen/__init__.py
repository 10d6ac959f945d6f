"""From a placed integer network to instructions."""
