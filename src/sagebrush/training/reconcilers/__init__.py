"""Moves training jobs along. Start with ``training_job``: which step belongs to which phase.

``job`` (one job in hand), ``allotment`` (what it gets) and ``builds`` (environments in the background), ``queueing``,
``starting`` (channels, launch), ``following`` and ``pumping`` (deadlines, stops; logs, metrics), ``checkpointing``,
``verdict`` and ``finishing`` (artefacts), ``ending`` (the last transaction), ``sweeping`` (left directories).
"""
