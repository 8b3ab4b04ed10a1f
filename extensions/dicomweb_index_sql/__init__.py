"""The index and the state store on a SQL database: SQLite by default, or PostgreSQL."""

import click

from dicomweb_index_sql.commands import move_index
from dicomweb_index_sql.index import SqlIndex
from dicomweb_index_sql.state import SqlStateStore
from dicomweb_server import hookimpl
from dicomweb_server.interfaces.index import Index
from dicomweb_server.interfaces.state import StateStore


@hookimpl
def register_indexes() -> list[type[Index]]:
    return [SqlIndex]


@hookimpl
def register_state_stores() -> list[type[StateStore]]:
    return [SqlStateStore]


@hookimpl
def register_commands(cli: click.Group) -> None:
    cli.add_command(move_index)


__all__ = ["SqlIndex", "SqlStateStore"]
