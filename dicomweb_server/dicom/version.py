"""The version of what the reader writes down."""

READER_VERSION = 2
"""Raised whenever the reader's findings change, so that what was kept before is read again."""

IMPLEMENTATION_CLASS_UID = "2.25.294800242831515503209332213794047974238"
"""Who wrote a file (0002,0012): PS3.10, 7.1."""

IMPLEMENTATION_VERSION = "DICOMWEB_SERVER"
"""Its name (0002,0013)."""
