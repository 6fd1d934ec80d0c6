#!/usr/bin/env python3
"""Starts Harombe as a cluster on this machine, in a directory that is thrown away, and runs the demo's job against it.

Two gateways, two runtimes, two egress proxies, and one each of memory, hitl, sandbox-broker and audit: ten processes on
loopback that talk over mutual TLS and keep their state on a local Postgres. What it starts, it stops.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import parse_qs, urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[2]
OPS = 100  # health and metrics: this much above a service's port
READY = 60  # seconds that a process may take until it is ready; it takes a fraction of one
DRAIN = 30  # seconds that a process may take to end

# Each service with its port, and how many of it.
SERVICES = {
    "audit": (7406, 1),
    "hitl": (7405, 1),
    "egress-proxy": (7404, 2),
    "sandbox-broker": (7403, 1),
    "memory": (7402, 1),
    "runtime": (7401, 2),
    "gateway": (7400, 2),
}
STORES = ["gateway", "memory", "hitl", "audit"]


class Failed(Exception):
    """What keeps the cluster from running, in words for the person who started it."""


def stop(*_):
    raise KeyboardInterrupt


def is_free(port):
    for candidate in (port, port + OPS):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                return False
    return True


def port_near(wanted, taken):
    """The port that the documentation names, or one nearby when something listens there."""
    for port in range(wanted, wanted + 10_000, 10):
        if port not in taken and port + OPS not in taken and is_free(port):
            taken.update({port, port + OPS})
            return port
    raise Failed(f"no port is free near {wanted}")


class Database:
    """A database of our own on the Postgres server that the tests use too."""

    def __init__(self, name):
        subprocess.run([ROOT / "deploy/setup/postgres.sh"], check=True)
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.server = (cache / "harombe/postgres/url").read_text().strip()
        self.name = name
        self.run(f'CREATE DATABASE "{name}"')
        parts = urlsplit(self.server)
        self.url = urlunsplit(parts._replace(path=f"/{name}"))

    def run(self, statement):
        parts = urlsplit(self.server)
        place = parse_qs(parts.query).get("host", [parts.hostname])[0]
        newest = sorted(Path("/usr/lib/postgresql").glob("*/bin/psql"), key=lambda path: float(path.parts[-3]))
        psql = newest[-1] if newest else "psql"
        command = [psql, "-X", "-q", "-h", place, "-U", parts.username or "postgres", "-d", "postgres", "-c", statement]
        if parts.port:
            command += ["-p", str(parts.port)]
        subprocess.run(command, check=True, env={**os.environ, "PGOPTIONS": "-c client_min_messages=warning"})

    def drop(self):
        self.run(f'DROP DATABASE IF EXISTS "{self.name}" WITH (FORCE)')


class Instance:
    """One process."""

    def __init__(self, service, number, port):
        self.service, self.port = service, port
        self.name = f"{service}-{number}"
        self.process = None

    def start(self, cluster):
        key = "GATEWAY__PUBLIC__LISTEN" if self.service == "gateway" else f"NETWORK__LISTEN__{self.service.upper()}"
        # Instances differ in where they listen and keep their data, and in nothing else.
        where = {f"HAROMBE_{key.replace('-', '_')}": f"127.0.0.1:{self.port}"}
        self.data = cluster.dir / "data" / self.name
        self.log = cluster.dir / "log" / f"{self.name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                cluster.program("--data", self.data, "--config", cluster.config, "serve", self.service),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**cluster.environment, **where},
                # Ctrl-C is for this script, which ends them in order.
                start_new_session=True,
            )

    def ops(self):
        return f"http://127.0.0.1:{self.port + OPS}"

    def wait(self):
        deadline = time.monotonic() + READY
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                break
            try:
                with urllib.request.urlopen(f"{self.ops()}/readyz", timeout=1) as answer:
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                pass
            time.sleep(0.02)
        tail = self.log.read_text(errors="replace")[-2000:]
        raise Failed(f"{self.name} is not ready; it said:\n{tail}")


class Cluster:
    def __init__(self, program, directory, database):
        self.binary, self.dir, self.database = program, directory, database
        self.config = directory / "harombe.toml"
        # Nothing of the person's own settings.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("HAROMBE_")}
        taken = set()
        self.instances = [
            Instance(service, number + 1, port_near(port, taken))
            for service, (port, count) in SERVICES.items()
            for number in range(count)
        ]

    def program(self, *arguments):
        return [self.binary, *map(str, arguments)]

    def run(self, *arguments, **options):
        return subprocess.run(self.program(*arguments), env=self.environment, **options)

    def of(self, service):
        return [instance for instance in self.instances if instance.service == service]

    def configure(self):
        for folder in ("data", "log"):
            (self.dir / folder).mkdir()
        self.run("pki", "init", self.dir / "pki", check=True, stdout=subprocess.DEVNULL)
        lines = ["[network]", f'pki = "{self.dir}/pki"', "[network.peers]"]
        for service in SERVICES:
            if service != "gateway":
                targets = ", ".join(f'"127.0.0.1:{instance.port}"' for instance in self.of(service))
                lines.append(f"{service} = [{targets}]")
        for service in STORES:
            lines += [f"[{service}.store.postgres]", f'url = "{self.database.url}"']
        lines += ["[runtime.agents.default]", f'model = "scripted:{ROOT}/deploy/demo/model.toml"']
        self.config.write_text("\n".join(lines) + "\n")

    def start(self):
        for instance in self.instances:
            instance.start(self)
        for instance in self.instances:
            instance.wait()

    def client(self, key_file, *arguments):
        url = f"http://127.0.0.1:{self.of('gateway')[0].port}"
        return ["--server", url, "--key-file", key_file, *arguments]

    def key(self):
        """A key for the job: its bearer may approve what their own runs ask for, and read the log."""
        places = [instance.data / "admin.key" for instance in self.of("gateway")]
        deadline = time.monotonic() + READY
        # The first key counts once audit has recorded it.
        while time.monotonic() < deadline:
            for admin in filter(Path.exists, places):
                roles = [word for role in ("user", "approver", "auditor") for word in ("--role", role)]
                create = self.client(admin, "keys", "create", "demo", *roles, "--allow-self")
                made = self.run(*create, capture_output=True, text=True)
                if made.returncode == 0:
                    key = self.dir / "demo.key"
                    key.touch(mode=0o600)
                    key.write_text(made.stdout)
                    return admin, key
            time.sleep(0.05)
        raise Failed("the gateways made no first key; see their logs")

    def verify(self):
        audit = self.of("audit")[0]
        return ["--data", audit.data, "--config", self.config, "audit", "verify"]

    def stop(self):
        # Callers before those they call, so that each can still finish what it began.
        for service in reversed(SERVICES):
            running = [instance for instance in self.of(service) if instance.process]
            for instance in running:
                instance.process.send_signal(signal.SIGTERM)
            for instance in running:
                try:
                    instance.process.wait(DRAIN)
                except subprocess.TimeoutExpired:
                    print(f"{instance.name} did not end in {DRAIN} s and is killed", file=sys.stderr)
                    instance.process.kill()
                    instance.process.wait()


def tell(cluster, admin, key):
    print("\nwhat listens where:")
    for instance in cluster.instances:
        scheme = "http" if instance.service == "gateway" else "mTLS"
        print(f"  {instance.name:<17} {scheme:<5} 127.0.0.1:{instance.port}   health and metrics {instance.ops()}")
    print(f"  configuration     {cluster.config}")
    print(f"  logs              {cluster.dir}/log")
    print(f"  keys              {key} (the job's), {admin} (admin)")
    print("in another terminal:")
    for arguments in (cluster.client(key, "run", '"What can you do?"'), cluster.verify()):
        print("  " + " ".join(map(str, cluster.program(*arguments))))


def serve(cluster, once):
    cluster.configure()
    cluster.start()
    admin, key = cluster.key()
    unattended = ["--yes"] if once or not sys.stdin.isatty() else []
    code = cluster.run(*cluster.client(key, "demo", *unattended)).returncode
    if code == 0:
        sys.stdout.flush()
        code = cluster.run(*cluster.verify()).returncode
    if once:
        return code
    tell(cluster, admin, key)
    print("Ctrl-C ends it.", flush=True)
    while True:
        for instance in cluster.instances:
            if instance.process.poll() is not None:
                raise Failed(f"{instance.name} ended by itself; see {instance.log}")
        time.sleep(0.5)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", type=Path, help="the harombe binary")
    parser.add_argument("--once", action="store_true", help="end after the job, with its exit code")
    parser.add_argument("--keep", action="store_true", help="leave the directory and the database when it ends")
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    directory = Path(tempfile.mkdtemp(prefix="harombe-cluster-"))
    database = cluster = None
    try:
        database = Database(f"harombe_cluster_{os.getpid()}")
        cluster = Cluster(arguments.program.resolve(), directory, database)
        return serve(cluster, arguments.once)
    except KeyboardInterrupt:
        print("\nfinishing what was begun …")
        return 130 if arguments.once else 0
    except (Failed, subprocess.CalledProcessError) as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    finally:
        # Nothing interrupts the clearing up; what does not end is killed.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if cluster:
            cluster.stop()
        if arguments.keep:
            print(f"kept: {directory}, and the database {database.name if database else '(none)'}")
        else:
            if database:
                database.drop()
            shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
