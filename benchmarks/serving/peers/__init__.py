"""The other model servers, each with the settings its documentation gives for production, one worker, no batching.

A module here that is a *program* runs in the peer's own environment and imports nothing of this package; what it
needs comes in ``MODEL`` (path of the joblib file) and ``PORT``. ``table`` lists the peers.
"""
