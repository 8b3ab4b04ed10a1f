"""The command of a running server, without a process of its own: to start one takes longer than
nearly all that it does. What is about processes (signals, `serve`) starts them."""

from click.testing import CliRunner

from dicomweb_server.cli.main import cli


def command(server, *arguments):
    """What `dicomweb-server` answers with the configuration of a server."""
    return CliRunner().invoke(cli, ["--config", str(server.config_path), *arguments])
