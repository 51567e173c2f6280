"""The network faces: ``front`` (the one URL), ``control`` (operations), ``objects`` (S3, streaming)."""
