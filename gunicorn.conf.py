"""The settings that we recommend and measure; addresses and sizes come from the configuration."""

from pathlib import Path

from dicomweb_server.launch import gunicorn_settings

globals().update(gunicorn_settings(Path(__file__).parent))
