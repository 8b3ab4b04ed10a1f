"""dicomweb-server: a fast, extensible DICOMweb server. What extension authors import."""

from importlib.metadata import PackageNotFoundError, version

from dicomweb_server.hookspecs import hookimpl

API_VERSION = 1
"""Version of the public API (docs/extensions.md); raised when a breaking change is made."""

try:
    __version__ = version("dicomweb-server")
except PackageNotFoundError:  # a checkout that nobody installed
    __version__ = "0+unknown"

__all__ = ["API_VERSION", "__version__", "hookimpl"]
