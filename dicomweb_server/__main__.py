"""`python -m dicomweb_server` is `dicomweb-server`."""

from dicomweb_server.cli import main

main()
