"""Names of content types."""
