"""The work of an endpoint as a library: no database, no server, no reconciler.

In the order in which an endpoint meets them: ``artefacts`` (a model's data and code in S3), ``variables`` and
``command`` (what is launched, and with what), ``ports``, ``probing`` (does it answer /ping), ``snapshot`` (what the
front door reads) and ``front_door`` (what it says of it), ``counts`` and ``captured`` (what it leaves behind),
``log_space`` (room that read logs give back).
"""
