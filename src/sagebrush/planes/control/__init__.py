"""The control plane's network face: AWS operations over HTTP, in raw ASGI.

:mod:`app` reads bodies and hands each request to the bounded pool of request threads; :mod:`requests` is what happens
there, start to end, synchronously: route, verify, parse, dispatch, serialise. :mod:`internal` has ``/_sagebrush/*``.
"""
