"""Servers of many processes, gunicorn and uvicorn: each process admits its own burst and says so once."""

from __future__ import annotations

import contextlib
import http.client
import importlib.util
import json
import socket
import subprocess
import sys
import threading
from collections import Counter

import pytest

from test_forks import SAID

WORKERS, BURST = 4, 5
CONNECTIONS, REQUESTS, ROUNDS = 8, 10, 40
# Asked for one key by everybody, at a rate that gives nothing back. It ends by itself if nobody ends it.
APP = f"""
import json, os, signal
from tollbar import Limiter, Rate

signal.alarm(120)
limiter = Limiter(Rate({BURST}, per=10**6))

def answer():
    return json.dumps([os.getpid(), limiter.try_acquire("a")]).encode()

def wsgi(environ, start_response):
    body = answer()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]

async def asgi(scope, receive, send):
    assert scope["type"] == "http"
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": answer()}})
"""
# The alarm is the process's own and ends one that nobody ends.
LAUNCH = """
import runpy, signal, sys
signal.alarm(120)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__")
"""


@contextlib.contextmanager
def serving(folder, *command):
    """Run a server of several processes on a socket of our own; gives the port and its log."""
    (folder / "app.py").write_text(APP)
    log = folder / "log"
    with socket.socket() as listening, log.open("wb") as out:
        listening.bind(("127.0.0.1", 0))
        listening.listen(128)
        number = str(listening.fileno())
        arguments = [part.replace("FD", number) for part in command]
        server = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, *arguments],
            cwd=folder,
            stdout=out,
            stderr=out,
            pass_fds=[listening.fileno()],
        )
        try:
            yield listening.getsockname()[1], log
        finally:
            server.terminate()
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def ask(port, served, admitted, lock):
    """Send some requests, each over a connection of its own."""
    for _ in range(REQUESTS):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/")
            pid, passed = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        with lock:
            served[pid] += 1
            admitted[pid] += passed


def flood(port):
    """Ask until two processes were asked for more than their burst; how many each served and admitted."""
    served, admitted, lock = Counter(), Counter(), threading.Lock()
    for _ in range(ROUNDS):
        threads = [
            threading.Thread(target=ask, args=(port, served, admitted, lock)) for _ in range(CONNECTIONS)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if sum(count > BURST for count in served.values()) >= 2:
            break
    return served, admitted


SERVERS = {
    "gunicorn, preloaded": [
        "gunicorn",
        "--preload",
        "--workers",
        str(WORKERS),
        "--bind",
        "fd://FD",
        "app:wsgi",
    ],
    "gunicorn, threads, preloaded": [
        *(
            "gunicorn",
            "--preload",
            "--workers",
            str(WORKERS),
            "--threads",
            "2",
            "--bind",
            "fd://FD",
            "app:wsgi",
        )
    ],
    "gunicorn, each worker loads": ["gunicorn", "--workers", str(WORKERS), "--bind", "fd://FD", "app:wsgi"],
    "uvicorn": ["uvicorn", "--workers", str(WORKERS), "--fd", "FD", "--lifespan", "off", "app:asgi"],
}


@pytest.mark.hazard("python-servers")
@pytest.mark.parametrize("name", SERVERS)
def test_each_worker_admits_its_burst_and_says_once_if_it_was_forked_with_it(name, tmp_path):
    if sys.platform == "win32":
        pytest.skip("no sockets to inherit by number here")
    command = SERVERS[name]
    if importlib.util.find_spec(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed: a server with several processes goes untested")
    with serving(tmp_path, *command) as (port, log):
        served, admitted = flood(port)
    said = log.read_text()
    assert sum(count > BURST for count in served.values()) >= 2, (served, said)
    assert len(served) <= WORKERS, served
    assert {pid: admitted[pid] for pid in served} == {pid: min(count, BURST) for pid, count in served.items()}
    assert sum(admitted.values()) <= WORKERS * BURST
    assert said.count(SAID) == (len(served) if "preloaded" in name else 0), said
    assert "Traceback" not in said, said
