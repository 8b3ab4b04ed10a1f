"""`dicomweb-server docs`: writes the generated files of a checkout; for developers, hidden."""

from __future__ import annotations

from pathlib import Path

import click

from dicomweb_server.documents import generated_files


@click.command("docs", hidden=True)
@click.option("--check", is_flag=True, help="Write nothing; status 1 if anything is not current.")
@click.option(
    "--root",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path(),
    help="The checkout; default: the current folder.",
)
def docs_command(check: bool, root: Path) -> None:
    """Write config.example.json and the generated tables of the documents."""
    stale = 0
    for name, text in generated_files(root).items():
        path = root / name
        current = path.read_text(encoding="utf-8") if path.exists() else None
        if current == text:
            continue
        stale += 1
        if check:
            click.echo(f"{name} is not current: run `dicomweb-server docs`")
        else:
            path.write_text(text, encoding="utf-8")
            click.echo(f"wrote {name}")
    if check and stale:
        raise SystemExit(1)
    if not stale:
        click.echo("everything generated is current")
