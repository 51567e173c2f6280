"""Amazon S3 over the object store.

Start with :class:`sagebrush.aws.s3.service.S3`: it takes authenticated requests. ``routing`` says which operation a
request is, ``operations/`` answers, ``receiving`` takes payloads in, ``integrity`` compares them with what the client
claims.
The network face is :mod:`sagebrush.planes.objects`.
"""
