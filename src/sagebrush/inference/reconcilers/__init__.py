"""Background work on endpoints. Start with ``endpoint``: which step belongs to which state.

``deployment``  one endpoint in hand: the stored row, its replicas, its places on disk
``rollout``     bringing up a fleet, and putting it in the place of another
``keeping``     replicas: launched, asked whether they answer, replaced when they end
``replacing``   who comes in the place of a replica that ended, or why its fleet cannot be
``launching``   one replica: its directory, its launch
``routes``      what the front door is told, and whether it has heard it
``draining``    replicas that are to go: once nothing is in flight they are ended and removed
``ending``      failed and deleted endpoints
``provisions``  environments and artefacts of a revision
``logs``, ``counting``, ``capturing``   what replicas print and the front door leaves, carried to CloudWatch and S3
``sweeping``    directories that a kill left
"""
