"""All options of the core: what `config check` knows before any extension adds its own."""

from typing import Any

from dicomweb_server import plugins, reference_options, services, settings, tls
from dicomweb_server.config import Option

CORE_OPTIONS: tuple[Option[Any], ...] = (
    *settings.OPTIONS,
    *tls.OPTIONS,
    *plugins.OPTIONS,
    *reference_options.OPTIONS,
    *services.OPTIONS,
)
