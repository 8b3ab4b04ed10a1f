"""What gunicorn loads: `gunicorn -c gunicorn.conf.py wsgi:app`.

The configuration is the file (or folder) that DICOMWEB_SERVER_CONFIG names, else `config.json`
beside this file, else the defaults.
"""

from pathlib import Path

from dicomweb_server.launch import start_application

app = start_application(Path(__file__).parent)
