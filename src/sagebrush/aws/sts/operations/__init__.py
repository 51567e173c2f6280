"""One function per API operation, named as ``botocore.xform_name`` names it."""
