"""Contract suites that every implementation of a seam must pass, and what they need to run."""
