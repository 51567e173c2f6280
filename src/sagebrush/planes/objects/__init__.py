"""The object plane: S3 over HTTP, in a process of its own.

``app`` is the ASGI application (:func:`~sagebrush.planes.objects.app.build_app`), ``exchange`` one request and its
answer. The composition root runs it under uvicorn.
"""
