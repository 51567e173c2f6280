"""S3's operations: one function each, ``(objects, request) -> response``, named as the API names them."""
