"""Text as any database takes it."""

from __future__ import annotations

from sqlalchemy import String


def printable(text: str) -> str:
    """Text that any database takes: file names may hold bytes that are no UTF-8, keys NUL characters."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def sorted_text(length: int) -> String:
    """A column type that sorts by code point on both databases: pages must not hang on a server's locale."""
    return String(length).with_variant(String(length, collation="C"), "postgresql")
