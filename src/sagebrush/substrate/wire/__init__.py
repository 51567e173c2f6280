"""AWS's wire protocols on botocore's models: route, parse, validate, serialise, verify signatures.

Start reading at :mod:`engine`; then ``routing`` -> ``reading`` (``json_reader``, ``query_reader``, ``xml_reader``,
``locations``, ``validate``) -> ``writing`` and ``errors_format``; ``event_streams`` over
``event_messages`` are what streaming operations answer. Signatures stand apart in :mod:`sigv4`. Everything
is pure and synchronous: no I/O, no clock, no settings. The package imports none of it, so that the front door can have
signatures without service models.
"""
