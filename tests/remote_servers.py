"""Servers for remotes, started on loopback, each with all it keeps in a folder of its own; and a wire that breaks."""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from ports import free_port


def start(command: list[str], port: int, log: Path, **options) -> subprocess.Popen:
    """Start a server and wait until it listens."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, **options)
    for _ in range(1200):
        assert process.poll() is None, log.read_text(errors="replace")
        with socket.socket() as caller:
            if caller.connect_ex(("127.0.0.1", port)) == 0:
                return process
        time.sleep(0.1)
    process.kill()
    raise AssertionError(f"{command[0]} does not listen")


def serve_folder(root: Path):
    """A folder that all can reach."""
    return f"dvc remote add --default team {root / 'remote'}", {}, None, None


def serve_ssh(root: Path):
    """OpenSSH's server, with a host key and a user's key of its own."""
    program = shutil.which("sshd") or shutil.which("sshd", path="/usr/sbin:/usr/local/sbin")
    if not program or os.getuid() != 0 or not find_spec("dvc_ssh"):
        pytest.skip("needs dvc-ssh, root, and sshd (apt-get install openssh-server)")
    Path("/run/sshd").mkdir(exist_ok=True)
    port = free_port()
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", root / name], check=True)
    shutil.copy(root / "user.pub", root / "authorized")
    (root / "sshd.conf").write_text(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {root}/host\nAuthorizedKeysFile {root}/authorized\n"
                                    "StrictModes no\nUsePAM no\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n")
    server = start([program, "-D", "-e", "-f", str(root / "sshd.conf")], port, root / "sshd.log")
    return (f"dvc remote add --default team ssh://root@127.0.0.1:{port}{root}/remote && dvc remote modify --local team keyfile {root}/user",
            {}, server, port)


def serve_s3(root: Path):
    """Moto's server, which speaks S3 over HTTP."""
    if not find_spec("dvc_s3") or not find_spec("moto") or not find_spec("flask_cors"):
        pytest.skip("needs dvc-s3 and moto with flask")
    port = free_port()
    program = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    server = start([sys.executable, "-c", program], port, root / "s3.log")
    keys = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    create = f"import boto3; boto3.client('s3', endpoint_url='http://127.0.0.1:{port}').create_bucket(Bucket='team')"
    subprocess.run([sys.executable, "-c", create], check=True, env=os.environ | keys)
    setup = f"dvc remote add --default team s3://team/ocrtune && dvc remote modify team endpointurl http://127.0.0.1:{port}"
    return setup, keys, server, port


def serve_webdav(root: Path):
    """WsgiDAV's server."""
    if not find_spec("dvc_webdav") or not find_spec("wsgidav") or not find_spec("cheroot"):
        pytest.skip("needs dvc-webdav, wsgidav and cheroot")
    port = free_port()
    (root / "remote").mkdir()
    command = [sys.executable, "-m", "wsgidav.server.server_cli", "--host", "127.0.0.1", "--port", str(port),
               "--root", str(root / "remote"), "--auth", "anonymous", "--no-config"]
    server = start(command, port, root / "webdav.log")
    return f"dvc remote add --default team webdav://127.0.0.1:{port}/", {}, server, port


SERVERS = {"folder": serve_folder, "ssh": serve_ssh, "s3": serve_s3, "webdav": serve_webdav}


@contextmanager
def serving(kind: str, root: Path) -> Iterator[tuple[str, dict, int | None]]:
    """Yield (commands that set the remote up, environment, port) of a server of that kind, which runs until the block ends."""
    setup, environment, server, port = SERVERS[kind](root)
    try:
        yield setup, environment, port
    finally:
        if server:
            server.terminate()
            server.wait()


def own_part(setup: str) -> list[str]:
    """Return the commands of a set-up that everyone gives in their own clone: git does not bring .dvc/config.local."""
    return [command for command in setup.split(" && ") if "--local" in command]


class FrailWire:
    """A TCP proxy that cuts every connection once `budget` bytes have gone up; None: never."""

    def __init__(self, port: int, budget: int | None):
        self.target, self.budget, self.sent = port, budget, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                return
            for source, sink, counts in ((near, far, True), (far, near, False)):
                threading.Thread(target=self.carry, args=(source, sink, counts), daemon=True).start()

    def carry(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        try:
            while data := source.recv(16384):
                self.sent += len(data) if counts else 0
                if self.budget is not None and self.sent > self.budget:
                    break
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
