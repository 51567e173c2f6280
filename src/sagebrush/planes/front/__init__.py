"""The front door: the one URL of the platform.

A lean process (uvloop + httptools; no botocore, no SQL) that reads request heads, decides which plane answers and
streams both directions over pooled Unix sockets. Start reading in :mod:`door`; one client connection is
:mod:`connection`, the planes' side is :mod:`backend`, the decision is :mod:`routing`, and the CONNECT proxy that serves
the STS names which both SDKs hard-code is :mod:`proxy`.
"""
