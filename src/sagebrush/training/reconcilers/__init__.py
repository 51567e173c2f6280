"""Moves training jobs along. Start with ``training_job``: which step belongs to which phase.

``job`` (one job in hand), ``builds`` (environments in the background), ``starting`` (queue, channels, launch),
``following`` (logs, metrics, deadlines, stops), ``finishing`` (artefacts, verdict), ``sweeping`` (left directories).
"""
