"""The files of `deploy` do what they say, as far as that can be tried without containers."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest
import yaml

from dicomweb_server.config import load_raw
from dicomweb_server.testing.dicom import make_instance
from dicomweb_server.testing.server import RunningServer, free_port

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
IGNORED = shutil.ignore_patterns("__pycache__", "*.egg-info", "build", "dist", "data", ".*")


def instructions():
    """(name, text) of each instruction of the Dockerfile, with continued lines joined."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


def of(name):
    return [rest for found, rest in instructions() if found == name]


def run(command, **options):
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=280, **options
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


@pytest.mark.slow
def test_the_steps_of_the_dockerfile_make_a_server_that_is_healthy(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    for name in [name for name in os.environ if name.startswith(("DICOMWEB_", "PYTHON"))]:
        monkeypatch.delenv(name)
    source, target = tmp_path / "src", tmp_path / "opt"
    shutil.copytree(ROOT, source, ignore=IGNORED)
    install = of("RUN")[0]
    run(["sh", "-ec", install.replace("/opt/dicomweb", str(target))], cwd=source)
    # Nothing of the checkout is needed from here on.
    shutil.rmtree(source)
    port = free_port()
    config = tmp_path / "config.json"
    text = (DEPLOY / "config.json").read_text()
    config.write_text(text.replace("{", f'{{"HttpPort": {port}, "HttpWorkers": 1,', 1))
    monkeypatch.setenv("DICOMWEB_SERVER_CONFIG", str(config))
    monkeypatch.setenv("DICOMWEB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("DICOMWEB_PASSWORD", "secret")
    command = [part.replace("/opt/dicomweb", str(target)) for part in json.loads(of("CMD")[0])]
    server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        (check,) = re.findall(r"CMD (\[.*\])", of("HEALTHCHECK")[0])
        probe = [
            part.replace("/opt/dicomweb", str(target)).replace("8042", str(port))
            for part in json.loads(check)
        ]
        end = time.monotonic() + 120
        while subprocess.run(probe, capture_output=True, check=False).returncode:
            assert server.poll() is None, server.stderr.read()
            assert time.monotonic() < end
            threading.Event().wait(0.2)
        url = f"http://127.0.0.1:{port}/dicom-web/studies"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, auth=("admin", "secret")).json() == []
    finally:
        server.terminate()
        assert server.wait(60) == 0


def test_the_dockerfile_copies_what_is_there():
    for line in of("COPY"):
        *sources, _ = [part for part in shlex.split(line) if not part.startswith("--")]
        if "--from" not in line:
            assert all((ROOT / source).exists() for source in sources), line
    assert of("USER") == ["dicomweb"]
    assert of("EXPOSE") == ["8042"]


def test_the_configuration_is_one_that_a_server_can_start_with(tmp_path, monkeypatch):
    monkeypatch.setenv("DICOMWEB_PASSWORD", "secret")
    monkeypatch.setenv("DICOMWEB_DATA", str(tmp_path))
    command = [sys.executable, "-m", "dicomweb_server", "config", "check", "--config"]
    assert "can start" in run([*command, str(DEPLOY / "config.json")]).stdout
    # Without a password there is no server, instead of one without lock.
    monkeypatch.delenv("DICOMWEB_PASSWORD")
    refused = subprocess.run(
        [*command, str(DEPLOY / "config.json")], capture_output=True, text=True, check=False
    )
    assert refused.returncode == 1
    assert "DICOMWEB_PASSWORD" in refused.stderr


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def test_the_compose_file_names_only_what_there_is(compose):
    services, volumes = compose["services"], compose["volumes"]
    for service in services.values():
        assert ("image" in service) != ("build" in service)
        for name, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            # nginx and the server wait for what can tell that it is healthy.
            assert "healthcheck" in services[name] or of("HEALTHCHECK")
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists() or source == "./tls"
            else:
                assert source in volumes
    build = services["dicomweb"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).exists()


def test_the_server_has_time_to_end_uploads(compose, monkeypatch):
    monkeypatch.setenv("DICOMWEB_PASSWORD", "secret")
    graceful = load_raw(DEPLOY / "config.json")["GracefulTimeout"]
    assert int(compose["services"]["dicomweb"]["stop_grace_period"].rstrip("s")) > graceful
    unit = (DEPLOY / "dicomweb-server.service").read_text()
    assert int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M)[1]) > graceful


def test_every_variable_of_the_configuration_is_set_by_the_compose_file(compose):
    names = set(re.findall(r"\$\{(\w+)", (DEPLOY / "config.json").read_text()))
    optional = {"DICOMWEB_DATA", "DICOMWEB_USER"}
    assert names - optional == set(compose["services"]["dicomweb"]["environment"])


def test_the_data_lie_in_the_volume(compose, monkeypatch):
    monkeypatch.setenv("DICOMWEB_PASSWORD", "secret")
    (volume,) = compose["services"]["dicomweb"]["volumes"]
    folder = load_raw(DEPLOY / "config.json")["StorageDirectory"]
    assert folder.startswith(volume.split(":")[1])
    assert of("VOLUME") == [volume.split(":")[1]]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_the_unit_is_one(tmp_path):
    unit = (DEPLOY / "dicomweb-server.service").read_text()
    # What the unit starts is not installed here.
    started = unit.replace("/opt/dicomweb/bin/dicomweb-server", sys.executable)
    path = tmp_path / "dicomweb-server.service"
    path.write_text(started)
    done = run(["systemd-analyze", "verify", "--recursive-errors=no", str(path)])
    assert "dicomweb" not in done.stderr, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("nginx") and shutil.which("openssl")), reason="needs nginx and openssl"
)
def test_nginx_in_front_of_a_server(tmp_path):
    port = free_port()
    with RunningServer(folder=tmp_path / "server", workers=1) as server:
        conf = nginx_conf(tmp_path, port, server.port)
        proxy = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(tmp_path)])
        try:
            talk_through(f"https://127.0.0.1:{port}", proxy)
        finally:
            proxy.terminate()
            proxy.wait(30)


def nginx_conf(folder, port, behind):
    """nginx's main file around ours, with a certificate, without ports that need root."""
    key, pem = folder / "server.key", folder / "server.pem"
    run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"),
            *("-keyout", str(key), "-out", str(pem), "-days", "1"),
        ]
    )
    ours = (DEPLOY / "nginx.conf").read_text()
    for old, new in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("server dicomweb:8042", f"server 127.0.0.1:{behind}"),
        ("/etc/nginx/tls/server.pem", str(pem)),
        ("/etc/nginx/tls/server.key", str(key)),
    ):
        assert old in ours
        ours = ours.replace(old, new)
    temporary = "\n".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    conf = folder / "nginx.conf"
    conf.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary}\n{ours}\n}}\n"
    )
    return conf


def talk_through(origin, proxy):
    with httpx.Client(verify=False, timeout=60) as client:
        end = time.monotonic() + 30
        while True:
            try:
                assert client.get(f"{origin}/health/ready").status_code == 200
                break
            except httpx.TransportError:
                assert proxy.poll() is None
                assert time.monotonic() < end
                threading.Event().wait(0.1)
        data = make_instance(pixels=bytes(3_000_000))
        stored = client.post(
            f"{origin}/dicom-web/studies",
            content=(data[i : i + 65536] for i in range(0, len(data), 65536)),
            headers={"Content-Type": "application/dicom"},
        )
        assert stored.status_code == 200, stored.text
        url = stored.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
        # Links lead to where the client called.
        assert url.startswith(f"{origin}/dicom-web/studies/")
        back = client.get(url, headers={"Accept": "application/dicom; transfer-syntax=*"})
        assert back.content == data
        assert client.get(f"{origin}/metrics").status_code == 404


def test_commands_have_the_configuration_and_the_secrets_of_the_service(tmp_path):
    secret = 'scrypt:32768:8:1$salt$HOME"`x` y'
    program = tmp_path / "opt" / "bin" / "dicomweb-server"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nenv\nfor each in "$@"; do echo "<$each>"; done\nid -un\n')
    program.chmod(0o755)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "environment").write_text(
        f"# secrets\nDICOMWEB_PASSWORD={secret}\n; more\n  INDENTED=1 \n"
        'DOUBLE="two words"\nSINGLE=\'a "b"\'\nHALF="x\nLAST=end'
    )
    user = run(["id", "-un"]).stdout.strip()
    text = (DEPLOY / "dicomweb-server").read_text()
    for name, here in (("/etc/dicomweb", "etc"), ("/opt/dicomweb", "opt")):
        assert name in text
        text = text.replace(name, str(tmp_path / here))
    wrapper = tmp_path / "dicomweb-server"
    wrapper.write_text(text.replace("runuser -u dicomweb", f"runuser -u {user}"))
    lines = run(["sh", str(wrapper), "import", "a b", "c"]).stdout.splitlines()
    assert f"DICOMWEB_PASSWORD={secret}" in lines
    assert {"INDENTED=1", "DOUBLE=two words", 'SINGLE=a "b"', 'HALF="x', "LAST=end"} <= {*lines}
    assert f"DICOMWEB_SERVER_CONFIG={tmp_path}/etc/config.json" in lines
    assert lines[-4:] == ["<import>", "<a b>", "<c>", user]
    own = run(["sh", str(wrapper)], env={**os.environ, "DICOMWEB_SERVER_CONFIG": "/own.json"})
    assert "DICOMWEB_SERVER_CONFIG=/own.json" in own.stdout.splitlines()
    unit = (DEPLOY / "dicomweb-server.service").read_text()
    for shared in ("/etc/dicomweb/config.json", "/etc/dicomweb/environment", "/opt/dicomweb/bin"):
        assert shared in unit
