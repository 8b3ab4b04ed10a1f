"""The command `dicomweb-server`. Extensions add commands of their own."""

from dicomweb_server.cli.main import main

__all__ = ["main"]
