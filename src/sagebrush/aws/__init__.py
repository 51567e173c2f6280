"""Neighbouring AWS services, a folder each: only what the clients of the areas call, and that correctly."""
