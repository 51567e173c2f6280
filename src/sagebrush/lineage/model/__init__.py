"""The rules of lineage: which artifact a source stands for, how properties change."""
