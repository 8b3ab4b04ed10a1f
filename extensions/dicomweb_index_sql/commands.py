"""`dicomweb-server move-index`: from one database to another."""

from __future__ import annotations

import os

import click

from dicomweb_index_sql import moving
from dicomweb_index_sql.database import Database
from dicomweb_index_sql.index import SqlIndex
from dicomweb_index_sql.moving import NotEmpty, Progress, move
from dicomweb_index_sql.state import SqlStateStore
from dicomweb_server.config import ConfigError, substitute
from dicomweb_server.context import ServerContext, context_of_command


@click.command("move-index")
@click.option(
    "--to",
    metavar="URL",
    help="The new database; ${VARIABLE} stands for a variable of the environment.",
)
@click.option(
    "--reopen", is_flag=True, help="Use the configured database again, though it was moved."
)
def move_index(to: str | None, reopen: bool) -> None:
    """Copy index and state to another database, which must be empty.

    Nothing is deleted. Servers that run read the old database until they are restarted with the
    new Index.Url; what they would write waits, and is refused from then on. After an interruption,
    run it again.
    """
    if reopen == bool(to):
        raise click.UsageError("possible are --to URL, or --reopen")
    if to:
        _move(to)
        return
    with context_of_command() as context:
        if not moving.reopen(_source(context)):
            raise click.ClickException("the configured database was not moved")
    click.echo("The configured database is in use again, as it was before.")


def _move(to: str) -> None:
    try:
        target = Database(substitute(to, os.environ))
    except ConfigError as error:
        raise ConfigError(f"--to: {error}") from error
    with context_of_command() as context:
        source = _source(context)
        try:
            counts = move(source, target, _bar)
        except NotEmpty as error:
            raise click.ClickException(
                f"the target is not empty ({error}); name an empty database, or drop this one and "
                f"make it anew"
            ) from error
        finally:
            target.close()
        _tell(context, counts)


def _source(context: ServerContext) -> Database:
    if not isinstance(context.index, SqlIndex):
        raise click.ClickException(
            f"Index.Type is {context.index.name!r}; only an index of the type 'sql' can be moved"
        )
    return context.index.database


def _bar(length: int) -> Progress:
    bar = click.progressbar(length=length, label="moving", show_pos=True)
    bar.render_progress()

    def update(count: int) -> None:
        bar.update(count)
        if bar.finished:
            bar.render_finish()

    return update


def _tell(context: ServerContext, counts: dict[str, int]) -> None:
    told = ", ".join(
        f"{counts[name]} {name}" for name in ("patients", "studies", "series", "instances")
    )
    click.echo(f"Moved {told} and {counts['documents']} documents of the state store.")
    click.echo("Set Index.Url to the new database now, and restart the servers: the old one takes")
    click.echo("no writes any more.")
    state = context.state
    index = context.index
    if not (
        isinstance(state, SqlStateStore)
        and isinstance(index, SqlIndex)
        and state.database.url == index.database.url
    ):
        click.echo("The configured state store is elsewhere, and stays where it is.")
