"""An archive for a clinical trial: it takes instances of enrolled patients only, and marks them.

Routes below `/research/subjects` say who is enrolled; the ingest filter `research` looks it up.
"""

from __future__ import annotations

from flask import Blueprint

from dicomweb_example_research.desk import PROTOCOL, ResearchDesk
from dicomweb_example_research.routes import research_blueprint
from dicomweb_server import hookimpl
from dicomweb_server.config import Option
from dicomweb_server.context import ServerContext
from dicomweb_server.interfaces.ingest import IngestFilter


@hookimpl
def register_options() -> list[Option[str]]:
    """What is read of the configuration."""
    return [PROTOCOL]


@hookimpl
def register_ingest_filters() -> list[type[IngestFilter]]:
    """Offer the filter; `IngestFilters` must name it."""
    return [ResearchDesk]


@hookimpl
def register_blueprints(context: ServerContext) -> list[Blueprint]:
    """The routes by which patients are enrolled and withdrawn."""
    return [research_blueprint(context.state)]
