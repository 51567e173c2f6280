"""AWS's wire protocols on botocore's models: route, parse, validate, serialise, verify signatures.

Start reading at :mod:`engine`; then ``routing`` -> ``reading`` (``json_reader``, ``query_reader``, ``xml_reader``,
``locations``, ``validate``) -> ``writing`` and ``errors_format``. Signatures stand apart in :mod:`sigv4`. Everything
is pure and synchronous: no I/O, no clock, no settings.
"""

from sagebrush.substrate.wire.engine import Engine, Routed

__all__ = ["Engine", "Routed"]
