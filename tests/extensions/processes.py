"""Runs one program in several processes at the same moment."""

import subprocess
import sys

BEGIN = """
import json, sys
from pathlib import Path
from dicomweb_index_sql import SqlIndex, SqlStateStore
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.instances import new_instance
from dicomweb_server.testing.providers import build_provider
section = {"Url": sys.argv[3]} if len(sys.argv) > 3 else {}
index = build_provider(SqlIndex, Path(sys.argv[2]), section)
state = build_provider(SqlStateStore, Path(sys.argv[2]), section)
print("ready", flush=True)
sys.stdin.readline()
"""
"""Builds an index and a state store in the folder that is given, at the URL after it."""

ADD = """
for number in range(20):
    index.add([new_instance(make_instance(StudyInstanceUID="1.1")) for _ in range(3)])
"""


def processes(count, source, *arguments):
    """Run one program several times at once; their outputs."""
    command = [sys.executable, "-c", source]
    running = [
        subprocess.Popen(
            [*command, str(number), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(count)
    ]
    for process in running:
        assert process.stdout.readline() == "ready\n"
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = []
    for process in running:
        out, err = process.communicate()
        assert process.returncode == 0, err
        outputs.append(out.strip())
    return outputs
