"""The version of what the reader writes down."""

READER_VERSION = 2
"""Raised whenever the reader's findings change, so that what was kept before is read again."""
