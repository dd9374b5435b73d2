"""Where Corral listens: several addresses at once, both IP versions, Unix sockets, sockets that
systemd holds. What is taken is told, and nothing is left behind."""

import json
import os
import re
import signal
import socket
import stat
import sys
import time

import pytest
from corral_harness import CORRAL, Corral, poll_until, run_corral
from corral_http import Connection
from corral_measure import SANITIZED
from corral_processes import is_alive

HAS_IPV6 = os.path.exists("/proc/net/if_inet6") and "00000000000000000000000000000001" in open(
    "/proc/net/if_inet6").read()


def health(host, port=0):
    with Connection(port, host) as connection:
        return connection.request("GET", "/health").status


def port_of(address):
    return int(address.rsplit(":", 1)[1])


def refuse(yard, *arguments):
    """What serve says when it does not start."""
    file = yard.folder / "config.yaml"
    file.write_text(json.dumps(yard.config()))
    done = run_corral(yard.folder, "serve", "--config", file, *arguments)
    assert done.returncode == 1, done
    return done.stderr


def test_every_address_serves(yard):
    """Guards: --listen may be repeated, and each address is said and answers."""
    yard.engine("a")
    path = str(yard.folder / "c.sock")
    corral = yard.serve(listen=["127.0.0.1:0", "127.0.0.2:0", f"unix:{path}"])
    first, second, third = corral.wait_for_addresses(3)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", first)
    assert re.fullmatch(r"http://127\.0\.0\.2:\d+", second)
    assert third == f"unix:{path}"
    assert health("127.0.0.1", port_of(first)) == 200
    assert health("127.0.0.2", port_of(second)) == 200
    assert health(path) == 200
    assert corral.chat("a").status == 200


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
def test_both_ip_versions_on_one_port(yard):
    """Guards: 0.0.0.0 and [::] side by side in either order, [::1], and :PORT for both."""
    yard.engine("a")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    addresses = [f"[::]:{port}", f"0.0.0.0:{port}"]
    for listen in (addresses, addresses[::-1], [f":{port}"], [f"[::]:{port}"]):
        corral = yard.serve(listen=listen)
        assert health("127.0.0.1", port) == health("::1", port) == 200, listen
        assert corral.terminate() == 0
    yard.serve(listen=[f"[::1]:{port}"])
    assert health("::1", port) == 200
    with pytest.raises(ConnectionRefusedError):
        health("127.0.0.1", port)


def test_the_config_says_where_and_the_command_line_wins(yard):
    """Guards: `listen:` as a list or one text, and --listen in its place."""
    yard.engine("a")
    path = yard.folder / "config.sock"
    config = yard.config()
    for listen, count in (([f"unix:{path}", "127.0.0.1:0"], 2), (f"unix:{path}", 1)):
        config["listen"] = listen
        corral = Corral(yard.folder, config, listen=[])
        yard.corrals.append(corral)
        assert len(corral.wait_for_addresses(count)) == count
        assert corral.addresses[0] == f"unix:{path}"
        assert health(str(path)) == 200
        assert corral.terminate() == 0
    corral = Corral(yard.folder, config, listen=["127.0.0.1:0"])
    yard.corrals.append(corral)
    assert corral.get("/health").status == 200
    assert len(corral.addresses) == 1 and corral.addresses[0].startswith("http://127.0.0.1:")
    assert not path.exists()


@pytest.mark.parametrize("mode", [None, 0o660, 0o777])
def test_a_unix_socket_has_its_mode_and_goes_with_corral(yard, mode):
    """Guards: 0600 or as configured (safety.md 163); the file is gone after SIGTERM."""
    yard.engine("a")
    path = yard.folder / "c.sock"
    address = f"unix:{path}" + (f"?mode={mode:04o}" if mode else "")
    corral = yard.serve(listen=[address])
    status = os.stat(path)
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == (mode or 0o600)
    assert f"--unix-socket {path}" in poll_until(lambda: corral.output, what="the welcome")
    assert corral.terminate() == 0
    assert not path.exists()


def test_the_socket_of_a_dead_corral_is_replaced(yard):
    """Guards: kill -9 leaves a file, which keeps nobody from starting."""
    yard.engine("a")
    path = yard.folder / "c.sock"
    corral = yard.serve(listen=[f"unix:{path}"])
    server = corral.server_pid
    corral.signal(signal.SIGKILL, server)
    corral.wait()
    assert path.exists() and not is_alive(server)
    yard.serve(listen=[f"unix:{path}"])
    assert health(str(path)) == 200


def test_a_unix_socket_in_use_is_an_error_that_names_it(yard):
    """Guards: exit 1, and the first Corral keeps its socket."""
    yard.engine("a")
    path = yard.folder / "c.sock"
    yard.serve(listen=[f"unix:{path}"])
    said = refuse(yard, "--listen", f"unix:{path}")
    assert str(path) in said and "another program listens there" in said
    assert health(str(path)) == 200


def test_what_is_no_socket_is_never_removed(yard):
    """Guards: a slip of the pen costs no file."""
    yard.engine("a")
    file = yard.folder / "notes.sock"
    file.write_text("mine")
    assert str(file) in refuse(yard, "--listen", str(file))
    assert file.read_text() == "mine"
    link = yard.folder / "link.sock"
    link.symlink_to(file)
    assert str(link) in refuse(yard, "--listen", str(link))
    assert link.is_symlink() and file.read_text() == "mine"


@pytest.mark.parametrize("address", ["127.0.0.1:99999", "::1:80", "/tmp/x", "unix:rel.sock",
                                     "unix:/nowhere/at/all/x.sock", "no.such.host.invalid:1"])
def test_what_is_no_address_is_an_error_that_names_it(yard, address):
    """Guards: nothing is listened on by guessing."""
    yard.engine("a")
    assert f'"{address}"' in refuse(yard, "--listen", address)


def test_a_wrong_address_in_the_config_is_a_mistake_with_its_line(yard):
    """Guards: `corral check` finds it, not the next start of the service."""
    yard.engine("a")
    file = yard.folder / "config.yaml"
    file.write_text("listen: [127.0.0.1:1, nonsense]\nmodels: {a: {cmd: x}}\n")
    done = run_corral(yard.folder, "check", file)
    assert done.returncode == 1
    assert "config.yaml:1:" in done.stdout + done.stderr
    assert '"nonsense"' in done.stdout + done.stderr


def test_a_busy_address_is_an_error_at_once_and_nothing_is_left(yard):
    """Guards: exit 1, named; the sockets of other addresses are gone, no process stays."""
    yard.engine("a")
    path = yard.folder / "c.sock"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        said = refuse(yard, "--listen", f"unix:{path}", "--listen", address)
    assert address in said and "in use" in said
    assert not path.exists()
    assert yard.engines["a"].starts == []


def test_without_a_key_more_than_loopback_is_warned_of(yard):
    """Guards: safety.md 122; a Unix socket and loopback are nobody else's."""
    yard.engine("a")
    path = yard.folder / "c.sock"
    warning = "everyone who can reach this machine can use its models"
    quiet = yard.serve(listen=["127.0.0.1:0", f"unix:{path}"])
    assert health("127.0.0.1", quiet.port) == 200
    assert warning not in quiet.log
    loud = yard.serve(listen=["0.0.0.0:0"])
    poll_until(lambda: warning in loud.log, what="the warning")


# What systemd does between fork and exec: descriptors from 3 on, and whom they are for.
PASS_ON = """
import fcntl, os, sys
held = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1].split(",")]
for number, fd in enumerate(held):
    os.dup2(fd, 3 + number)
    os.close(fd)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


def serve_passed(yard, sockets, names, *arguments):
    """A Corral that gets these sockets as systemd passes them."""
    file = yard.folder / "config.yaml"
    file.write_text(json.dumps(yard.config()))
    fds = [s.fileno() for s in sockets]
    words = ["-c", PASS_ON, ",".join(map(str, fds)), CORRAL, "serve", "--config", file, *arguments]
    env = {"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": ":".join(names)}
    return yard.start(*words, env=env, program=sys.executable, pass_fds=fds)


def inodes_of(pid):
    """The sockets that a process has open."""
    links = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    return set(links)


@pytest.mark.parametrize("guarded", [True, False])
def test_systemd_passes_sockets(yard, guarded):
    """Guards: LISTEN_FDS reach the server behind the guard, and nobody else holds them: neither the
    guard nor a model, which would keep the port busy, nor their environment."""
    yard.engine("a")
    path = yard.folder / "passed.sock"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(path))
        local.listen(8)
        held = {f"socket:[{os.fstat(s.fileno()).st_ino}]" for s in (tcp, local)}
        more = [] if guarded else ["--no-guard"]
        corral = serve_passed(yard, [tcp, local], ["http", "local"], *more)
        port = tcp.getsockname()[1]
        assert corral.wait_for_addresses(2) == [f"http://127.0.0.1:{port}", f"unix:{path}"]
        assert health(str(path)) == 200
        assert corral.chat("a").status == 200
        server = corral.server_pid if guarded else corral.process.pid
        assert held <= inodes_of(server)
        (engine,) = yard.engines["a"].starts
        assert not held & inodes_of(engine)
        if guarded:
            assert not held & inodes_of(corral.guard_pid)
        environ = open(f"/proc/{engine}/environ", "rb").read()
        assert b"LISTEN_" not in environ
        assert corral.terminate() == 0
    assert path.exists()  # it is systemd's


def test_passed_sockets_and_those_of_the_command_line_go_together(yard):
    """Guards: --listen adds to what systemd holds."""
    yard.engine("a")
    with socket.create_server(("127.0.0.1", 0)) as tcp:
        corral = serve_passed(yard, [tcp], ["http"], "--listen", "127.0.0.1:0")
        for address in corral.wait_for_addresses(2):
            assert health("127.0.0.1", port_of(address)) == 200


def test_what_cannot_be_listened_on_is_refused(yard):
    """Guards: Accept=yes in a socket unit passes a connection, not a listener."""
    yard.engine("a")
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(AssertionError, match='the socket "http".*ListenStream='):
        serve_passed(yard, [theirs], ["http"])


# UBSan's look at an object's type opens a pipe, and takes every object for a wrong one without.
@pytest.mark.skipif(SANITIZED, reason="the sanitizer needs descriptors of its own")
def test_a_full_table_of_descriptors_pauses_and_recovers(yard):
    """Guards: EMFILE costs no CPU and nobody for ever: who waits is served once there is room."""
    yard.engine("a")
    file = yard.folder / "config.yaml"
    file.write_text(json.dumps(yard.config()))
    command = f"ulimit -n 48; exec '{CORRAL}' serve --config '{file}' --listen 127.0.0.1:0"
    corral = Corral(yard.folder, arguments=["-c", command], program="/bin/sh")
    yard.corrals.append(corral)
    server = corral.server_pid

    def cpu():
        fields = open(f"/proc/{server}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    held = [Connection(corral.port) for _ in range(60)]
    try:
        poll_until(lambda: "wait until some connection has ended" in corral.log,
                   what="the pause to be told")
        before, begun = cpu(), time.monotonic()
        poll_until(lambda: time.monotonic() - begun > 1.0, what="a second to pass")
        # A spin takes all of the time; a pause of 0.1 s nearly nothing, on however slow a machine.
        assert cpu() - before < 0.5 * (time.monotonic() - begun)
        assert corral.log.count("wait until some connection has ended") < 5
    finally:
        for connection in held:
            connection.close()
    poll_until(lambda: health("127.0.0.1", corral.port) == 200, what="room for a client")


def test_the_limit_of_open_files_is_raised_for_corral_only(yard):
    """Guards: clients need descriptors, and a model's select(2) breaks above the usual 1024."""
    yard.engine("a")
    file = yard.folder / "config.yaml"
    file.write_text(json.dumps(yard.config()))
    command = (f"ulimit -Sn 512; ulimit -Hn 4096; exec '{CORRAL}' serve --config '{file}' "
               "--listen 127.0.0.1:0")
    corral = Corral(yard.folder, arguments=["-c", command], program="/bin/sh")
    yard.corrals.append(corral)
    assert corral.chat("a").status == 200

    def limits(pid):
        (line,) = re.findall(r"^Max open files +(\d+) +(\d+)", open(f"/proc/{pid}/limits").read(),
                             re.MULTILINE)
        return tuple(map(int, line))

    assert limits(corral.server_pid) == (4096, 4096)
    assert limits(yard.engines["a"].starts[0]) == (512, 4096)
    assert "4096 files may be open, fewer than limits.connections (10000)" in corral.log
