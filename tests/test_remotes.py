"""A project goes through each kind of remote: real servers on loopback, one clone that pushes, one that runs nothing.

The project is one stage that needs no model: what travels is what DVC keeps, whatever made it.
"""

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest
from team import Person, stages_run

DVC_YAML = """
stages:
  draw:
    cmd: python draw.py
    deps: [draw.py]
    outs: [pages]
"""
DRAW = """
import pathlib, random
folder = pathlib.Path("pages")
folder.mkdir(exist_ok=True)
for number in range(12):
    (folder / f"{number}.png").write_bytes(random.Random(number).randbytes(200_000))
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


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
    return f"dvc remote add -d team {root / 'remote'}", {}, None, None


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
    return (f"dvc remote add -d team ssh://root@127.0.0.1:{port}{root}/remote && dvc remote modify --local team keyfile {root}/user",
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
    return f"dvc remote add -d team s3://team/ocrtune && dvc remote modify team endpointurl http://127.0.0.1:{port}", keys, server, port


def serve_webdav(root: Path):
    """WsgiDAV's server."""
    if not find_spec("dvc_webdav") or not find_spec("wsgidav") or not find_spec("cheroot"):
        pytest.skip("needs dvc-webdav, wsgidav and cheroot")
    port = free_port()
    (root / "remote").mkdir()
    command = [sys.executable, "-m", "wsgidav.server.server_cli", "--host", "127.0.0.1", "--port", str(port),
               "--root", str(root / "remote"), "--auth", "anonymous", "--no-config"]
    server = start(command, port, root / "webdav.log")
    return f"dvc remote add -d team webdav://127.0.0.1:{port}/", {}, server, port


SERVERS = {"folder": serve_folder, "ssh": serve_ssh, "s3": serve_s3, "webdav": serve_webdav}


@pytest.fixture
def remote(request, tmp_path):
    """Return (commands that set the remote up, environment, port) of a running server of the kind asked for."""
    setup, environment, server, port = SERVERS[request.param](tmp_path)
    yield setup, environment, port
    if server:
        server.terminate()
        server.wait()


def begin(root: Path, setup: str, environment: dict) -> Person:
    """Return somebody with a project that has run, a remote, and a plain git repository to share code through."""
    lead = Person(root / "lead", root / "home", **environment)
    lead.folder.mkdir()
    (lead.folder / "dvc.yaml").write_text(DVC_YAML)
    (lead.folder / "draw.py").write_text(DRAW)
    lead.run(f"git init -q && git init -q --bare {root}/origin.git && git remote add origin {root}/origin.git && dvc init -q && {setup}"
             " && dvc repro -q && git add -A && git commit -qm begin && git push -q")
    return lead


def join(root: Path, setup: str, environment: dict, name: str = "member") -> Person:
    """Return somebody with a fresh clone; secrets in .dvc/config.local are everyone's own."""
    member = Person(root, root / f"home_{name}", **environment).clone(root / "origin.git", name)
    own = [part for part in setup.split(" && ") if "--local" in part]
    if own:
        member.run(" && ".join(own))
    return member


@pytest.mark.parametrize("remote", SERVERS, indirect=True)
def test_what_one_pushes_another_need_not_run(remote, tmp_path):
    setup, environment, _ = remote
    lead = begin(tmp_path, setup, environment)
    lead.run("dvc push -q --run-cache")
    member = join(tmp_path, setup, environment)
    assert stages_run(member.run("dvc repro --pull")) == []
    assert member.run("git status --short") == ""
    names = sorted(path.name for path in (lead.folder / "pages").iterdir())
    assert len(names) == 12
    assert all((member.folder / "pages" / name).read_bytes() == (lead.folder / "pages" / name).read_bytes() for name in names)


@pytest.mark.parametrize("remote", ["folder"], indirect=True)
def test_the_run_cache_travels_and_two_pushes_at_once_lose_nothing(remote, tmp_path):
    setup, environment, _ = remote
    lead = begin(tmp_path, setup, environment)
    lead.run("dvc push -q --run-cache")
    member = join(tmp_path, setup, environment)
    member.run("dvc repro -q --pull")
    for person, seed in ((lead, 100), (member, 200)):
        person.run(f"sed -i 's/range(12)/range({seed}, {seed + 12})/' draw.py && dvc repro -q && git checkout -qb seed-{seed}"
                   " && git commit -qam seed")
    pushes = [threading.Thread(target=person.run, args=("dvc push --run-cache && git push -q",)) for person in (lead, member)]
    for push in pushes:
        push.start()
    for push in pushes:
        push.join()
    third = join(tmp_path, setup, environment, "third")
    for seed in (100, 200):
        assert stages_run(third.run(f"git checkout -q seed-{seed} && dvc repro --pull")) == []
        assert len(list((third.folder / "pages").iterdir())) == 12
    # The run cache: nobody committed a lock for this state in this clone, and yet it need not run.
    third.run("git checkout -q seed-100 && git rm -q --cached dvc.lock && rm dvc.lock && dvc fetch -q --run-cache")
    assert stages_run(third.run("dvc repro --pull")) == []


@pytest.mark.parametrize("remote", ["ssh", "s3"], indirect=True)
def test_an_experiment_comes_back_to_the_lead(remote, tmp_path):
    setup, environment, _ = remote
    lead = begin(tmp_path, setup, environment)
    lead.run("dvc push -q --run-cache")
    member = join(tmp_path, setup, environment)
    member.run("dvc repro -q --pull && sed -i 's/range(12)/range(13)/' draw.py")
    assert stages_run(member.run("dvc exp run --name more")) == ["draw"]
    member.run("dvc exp push origin more")
    lead.run("dvc exp pull origin more && dvc exp apply more")
    assert stages_run(lead.run("dvc repro --pull")) == []
    assert len(list((lead.folder / "pages").iterdir())) == 13


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


@pytest.mark.parametrize("remote", ["s3", "webdav"], indirect=True)
def test_a_push_that_was_cut_off_is_repaired_by_pushing_again(remote, tmp_path):
    setup, environment, port = remote
    wire = FrailWire(port, 700_000)
    setup = setup.replace(f"127.0.0.1:{port}", f"127.0.0.1:{wire.port}")
    # This WebDAV server keeps the half of a file whose upload broke off, under its full name: only a hash tells on arrival.
    is_webdav = "webdav" in setup
    setup += " && dvc remote modify team verify true" if is_webdav else ""
    lead = begin(tmp_path, setup, environment)
    lead.run("AWS_MAX_ATTEMPTS=1 dvc push --run-cache", ok=False)
    assert wire.sent > 700_000
    wire.budget = None
    lead.run("dvc push --run-cache")
    member = join(tmp_path, setup, environment)
    ran = stages_run(member.run("dvc repro --pull"))
    assert ran == [] or (is_webdav and ran == ["draw"])
    for path in (lead.folder / "pages").iterdir():
        assert (member.folder / "pages" / path.name).read_bytes() == path.read_bytes()
    wire.listener.close()
