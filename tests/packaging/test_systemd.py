"""The systemd unit: checked by systemd itself, and its limits laid on a running server by the kernel's own means. systemd is not the first
process of a test machine, so the unit as a whole is not started here; docs/production.md says where it was."""

import ctypes
import re
import resource
import shutil
import subprocess
import sys

import pytest
from servers import ROOT, Server

UNIT = ROOT / "packaging/systemd/rekollect.service"
PR_SET_NO_NEW_PRIVS, PR_SET_MDWE, PR_GET_MDWE, MDWE_REFUSE_EXEC_GAIN = 38, 65, 66, 1
SECCOMP_ALLOW, SECCOMP_EPERM, COMPARE_EQUAL = 0x7FFF0000, 0x00050001, 4
FAMILIES = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}


@pytest.fixture(scope="module")
def analyze():
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze: apt-get install systemd")
    return lambda *args: subprocess.run(["systemd-analyze", *map(str, args)], capture_output=True, text=True, timeout=60)


def directives():
    """The lines of [Service], each name with its values in order."""
    found = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", UNIT.read_text().split("[Service]")[1].split("[Install]")[0], re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def test_systemd_understands_every_line(analyze, tmp_path):
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/rekollect", "/bin/true"))
    finished = analyze("verify", "--man=no", unit)
    assert (finished.returncode, finished.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("ProtectHome=yes", "ProtectHom=yes"))
    assert "ProtectHom" in analyze("verify", "--man=no", unit).stderr


def test_systemd_finds_little_exposed(analyze):
    finished = analyze("security", "--offline=true", "--threshold=15", UNIT)
    level = re.search(r"Overall exposure level for rekollect.service: (\S+) (\w+)", finished.stdout)
    assert level and finished.returncode == 0, finished.stdout + finished.stderr
    print(level[0])


def test_the_user_is_one_that_systemd_can_make(tmp_path):
    if not shutil.which("systemd-sysusers"):
        pytest.skip("no systemd-sysusers: apt-get install systemd")
    (tmp_path / "etc").mkdir()
    finished = subprocess.run(["systemd-sysusers", f"--root={tmp_path}", UNIT.with_suffix(".sysusers")], capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert re.search(r"^rekollect:.*:/var/lib/rekollect:", (tmp_path / "etc/passwd").read_text(), re.MULTILINE)
    assert re.search(r"^rekollect:", (tmp_path / "etc/group").read_text(), re.MULTILINE)
    assert directives()["User"] == directives()["Group"] == ["rekollect"]


def test_every_variable_is_a_setting_of_the_server(settings):
    lines = UNIT.with_suffix(".env").read_text().splitlines()
    named = [re.match(r"(?:# )?([A-Z_]+)=", line) for line in lines] + [re.match(r"([A-Z_]+)=", line) for line in directives()["Environment"]]
    names = [found[1] for found in named if found and found[1] != "ORT_DISABLE_TELEMETRY"]
    assert len(names) >= 8 and [name for name in names if name not in settings] == []


def test_limits_leave_room_for_the_servers_own(settings):
    unit = directives()
    assert int(unit["LimitNOFILE"][0]) > int(settings["REKOLLECT_MAX_CONNECTIONS"]) + 128
    assert int(unit["TimeoutStopSec"][0]) > int(settings["REKOLLECT_SHUTDOWN_TIMEOUT"])
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def filtered_calls(analyze):
    """The system calls that are left of the unit's SystemCallFilter lines, as systemd on this machine reads them."""
    listed = analyze("syscall-filter")
    assert listed.returncode == 0, listed.stderr
    groups, group = {}, None
    for line in listed.stdout.splitlines():
        if line.startswith("@"):
            group = groups.setdefault(line.strip(), [])
        elif group is not None and re.match(r"\s+[@\w]", line):
            group.append(line.strip())

    def calls(name):
        return set().union(*map(calls, groups[name])) if name.startswith("@") else {name}

    # What systemd lets through whatever the unit says.
    allowed = calls("@default")
    for line in directives()["SystemCallFilter"]:
        for name in line.lstrip("~").split():
            allowed = allowed - (calls(name) - calls("@default")) if line.startswith("~") else allowed | calls(name)
    return allowed


def confined(allowed, families):
    """Lays the unit's limits on the process that is about to become the server."""
    seccomp = ctypes.CDLL("libseccomp.so.2", use_errno=True)
    seccomp.seccomp_init.restype = ctypes.c_void_p
    libc = ctypes.CDLL(None, use_errno=True)

    class Compare(ctypes.Structure):
        _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]

    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(SECCOMP_EPERM)))
    for name in sorted(allowed):
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number < 0:
            continue
        if name == "socket":
            for family in families:
                rule = (Compare * 1)(Compare(0, COMPARE_EQUAL, family, 0))
                assert seccomp.seccomp_rule_add_array(context, ctypes.c_uint32(SECCOMP_ALLOW), number, 1, rule) == 0
        else:
            assert seccomp.seccomp_rule_add_array(context, ctypes.c_uint32(SECCOMP_ALLOW), number, 0, None) == 0

    def before():
        resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
        if libc.prctl(PR_SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "this kernel cannot refuse memory that is writable and executable")
        assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
        assert seccomp.seccomp_load(context) == 0

    return before


@pytest.fixture
def confine(analyze):
    """The function that a new process calls to have the unit's limits."""
    if sys.platform != "linux" or not shutil.which("systemd-analyze"):
        pytest.skip("the unit's limits are Linux's")
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("no libseccomp.so.2: apt-get install libseccomp2")
    unit = directives()
    assert unit["MemoryDenyWriteExecute"] == ["yes"] and unit["SystemCallErrorNumber"] == ["EPERM"]
    families = [FAMILIES[name] for name in unit["RestrictAddressFamilies"][0].split()]
    before = confined(filtered_calls(analyze), families)
    if ctypes.CDLL(None).prctl(PR_GET_MDWE, 0, 0, 0, 0) < 0:
        pytest.skip("this kernel is older than 6.3: it cannot refuse memory that is writable and executable")
    return before


def test_the_limits_hold(confine):
    """They refuse what they should: else the next test would prove nothing."""
    probe = """
import ctypes, mmap, os, socket
def refused(what):
    try:
        what()
    except OSError:
        return True
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
assert refused(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)), "netlink"
assert refused(lambda: os.chroot("/")), "chroot"
assert refused(lambda: os.nice(1)), "nice"
assert refused(lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)), "write and execute"
socket.socket(socket.AF_INET)
"""
    assert subprocess.run([sys.executable, "-c", probe], preexec_fn=confine, timeout=60).returncode == 0


def test_the_server_works_within_the_limits(confine, photo, tmp_path):
    """Weights are loaded, a photo is indexed and found, and the server stops."""
    # As in the unit; what is of its place and its keys is the test's.
    env = dict(line.split("=", 1) for line in directives()["Environment"] if not re.match("REKOLLECT_(DATA_DIR|MODELS_DIR|AUTH)=", line))
    (home := tmp_path / "home").mkdir()
    with Server(tmp_path / "server", env={**env, "HOME": str(home)}, before_start=confine) as server:
        server.client.create_collection(CollectionId="unit")
        (face,) = server.client.index_faces(CollectionId="unit", Image={"Bytes": photo}, DetectionAttributes=["ALL"])["FaceRecords"]
        (match,) = server.client.search_faces_by_image(CollectionId="unit", Image={"Bytes": photo})["FaceMatches"]
        assert match["Face"]["FaceId"] == face["Face"]["FaceId"]
        status = dict(re.findall(r"^(\w+):\s+(.*)$", open(f"/proc/{server.process.pid}/status").read(), re.MULTILINE))
        assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
        assert "raise its limit" not in server.log.read_text()
        assert server.stop() == 0
    # What ONNX Runtime would keep there before it calls its maker.
    assert list(home.iterdir()) == []
