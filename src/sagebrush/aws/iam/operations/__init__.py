"""One function per API operation, grouped by noun, named as ``botocore.xform_name`` names it."""
