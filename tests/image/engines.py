"""What can run the image: docker, podman, or, where no engine runs containers, the files that buildah built.

Each gives containers as strictly as docs/production.md asks for: a root file system that cannot be written, no capabilities, no new
privileges, and a port on loopback alone.
"""

import json
import os
import shlex
import shutil
import socket
import subprocess
import time

IMAGE = "rekollect"
PORT = 7350


def output(*command, **options):
    """What a command prints; its error text when it fails."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{shlex.join(map(str, command))}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def engine_named(name):
    return Rootfs() if name == "buildah" else Engine(name)


class Engine:
    """docker or podman: the same command line."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        pass

    def config(self):
        """What the image says of itself, as Open Container Initiative calls it."""
        return json.loads(output(self.name, "image", "inspect", IMAGE))[0]["Config"]

    def bytes(self):
        return json.loads(output(self.name, "image", "inspect", IMAGE))[0]["Size"]

    def layers(self):
        lines = output(self.name, "history", "--no-trunc", "--human=false", "--format", "{{.Size}}\t{{.CreatedBy}}", IMAGE).splitlines()
        return [(int(size), text) for size, text in (line.split("\t", 1) for line in lines)]

    def files(self, folder):
        """Copies what is in the image to a folder of this machine."""
        container = output(self.name, "create", IMAGE)
        try:
            output(self.name, "cp", f"{container}:/", folder)
        finally:
            output(self.name, "rm", container)

    def start(self, volume, user=None, env=None):
        return Container(self, volume, user, env or {})


class Container:
    """A running container of an engine. `volume` is a folder of this machine for /data."""

    def __init__(self, engine, volume, user, env):
        command = [engine.name, "run", "--detach", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges"]
        command += [f"--volume={volume}:/data", f"--publish=127.0.0.1::{PORT}"]
        command += [f"--user={user}"] if user else []
        command += [f"--env={name}={value}" for name, value in env.items()]
        self.engine = engine.name
        self.begin = time.monotonic()
        self.id = output(*command, IMAGE)

    @property
    def url(self):
        return f"http://{output(self.engine, 'port', self.id, f'{PORT}/tcp').splitlines()[0]}"

    def health(self):
        """What the image's own health check says."""
        state = json.loads(output(self.engine, "inspect", self.id))[0]["State"]
        return (state.get("Health") or state["Healthcheck"])["Status"]

    def execute(self, *command):
        """The exit code of a command inside."""
        return subprocess.run([self.engine, "exec", self.id, *command], capture_output=True).returncode

    def wait(self, seconds):
        """The exit code of a container that ends by itself."""
        return int(output(self.engine, "wait", self.id, timeout=seconds))

    def stop(self):
        """Asks it to stop by SIGTERM; its exit code."""
        output(self.engine, "stop", "--time=30", self.id)
        return int(output(self.engine, "inspect", "--format={{.State.ExitCode}}", self.id))

    def log(self):
        done = subprocess.run([self.engine, "logs", self.id], capture_output=True, text=True)
        return done.stdout + done.stderr

    def remove(self):
        output(self.engine, "rm", "--force", self.id)


class Rootfs:
    """The image's files under chroot, as its user, with what the image says of itself: for machines whose kernel or policy lets no engine
    run containers. Wants root."""

    name = "buildah"

    def __init__(self):
        self.container = output("buildah", "from", "--pull-never", IMAGE)
        self.root = output("buildah", "mount", self.container)

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        output("buildah", "rm", self.container)

    def config(self):
        return json.loads(output("buildah", "inspect", "--type=image", IMAGE))["OCIv1"]["config"]

    def bytes(self):
        # In kilobytes: what the files take.
        return int(output("du", "--summarize", "--apparent-size", "--block-size=1", self.root).split()[0])

    def layers(self):
        return []

    def files(self, folder):
        shutil.copytree(self.root, folder, symlinks=True, dirs_exist_ok=True)

    def start(self, volume, user=None, env=None):
        return Chroot(self, volume, user or self.config()["User"], env or {})


class Chroot:
    """A running copy of [`Rootfs`]."""

    # Until it has left root behind: chroot wants the first of them, --userspec the others.
    STRICT = "setpriv --no-new-privs --bounding-set=-all,+sys_chroot,+setuid,+setgid"
    INSIDE = f"""
        mount --bind "$0" "$0" && mount --bind "$1" "$0/data" && mount -o remount,bind,ro "$0" &&
        exec {STRICT} chroot --userspec="$2" --groups="$3" "$0" "${{@:4}}"
    """

    def __init__(self, rootfs, volume, user, env):
        config = rootfs.config()
        self.root, self.volume = rootfs.root, volume
        uid, _, gid = user.partition(":")
        self.user, self.group = f"{uid}:{gid or 0}", gid or "0"
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        own = dict(variable.split("=", 1) for variable in config["Env"])
        # On the machine's own network: every address would be the world.
        self.env = {**own, **env, "REKOLLECT_LISTEN": f"127.0.0.1:{port}"}
        self.url = f"http://127.0.0.1:{port}"
        self.begin = time.monotonic()
        self.logfile = (volume.parent / f"{port}.log").open("w+")
        command = self._inside(*config["Entrypoint"], *config["Cmd"])
        self.process = subprocess.Popen(command, env=self.env, stdout=self.logfile, stderr=subprocess.STDOUT)

    def _inside(self, program, *arguments):
        # The variables are the image's: its PATH does not find this machine's programs.
        program = f"{self.env['PATH'].split(':')[0]}/{program}" if program == "rekollect" else program
        shell = ["/usr/bin/unshare", "--mount", "/bin/bash", "-c", f"PATH={os.defpath}:/usr/sbin:/sbin; {self.INSIDE}"]
        return [*shell, self.root, str(self.volume), self.user, self.group, program, *arguments]

    def health(self):
        return "starting" if self.execute("rekollect", "healthcheck") else "healthy"

    def execute(self, *command):
        return subprocess.run(self._inside(*command), env=self.env, capture_output=True).returncode

    def wait(self, seconds):
        return self.process.wait(seconds)

    def stop(self):
        self.process.terminate()
        return self.process.wait(30)

    def log(self):
        self.logfile.seek(0)
        return self.logfile.read()

    def remove(self):
        self.process.kill()
        self.process.wait()
        self.logfile.close()
