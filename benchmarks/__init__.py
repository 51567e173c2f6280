"""One module per claim; each prints a ratio against a named peer or physical limit measured in the same run."""
