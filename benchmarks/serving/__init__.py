"""What the benchmarks of serving share; the claims themselves are the modules ``benchmarks/serving_*.py``.

``load``        the one load generator: wrk replays raw requests from a file, so that signed ones cost it nothing
``processes``   processor time of a side's whole process tree; freezing sides that are not under test
``programs``    Debian packages that are needed
``endpoint``    the Sagebrush side: a platform, an endpoint, signed requests for it
``backend``, ``nginx``   the trivial server behind a Unix socket, and the peer of the front door
``model``       the scikit-learn model of the comparison with other servers; ``peers`` has those, one module each
"""
