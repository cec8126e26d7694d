"""A real Slurm of one node, started for a test and gone with it (Debian's slurm-wlm and munge).

slurmctld, slurmd and munged run from a folder of their own, on ports and a socket of their own:
nothing under /etc is read or written, and a Slurm that the machine has is not touched.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")

# The node says that it has four cores, whatever the machine has: what is tested is who does what.
CONFIG = """
ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=8000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why no Slurm can be started here; None where one can."""
    if os.geteuid() != 0:
        return "only root can start a Slurm"
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"{absent[0]} is not installed (Debian: slurmctld slurmd slurm-client munge)"
    return None


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """Slurm's daemons, and its commands with the environment that finds them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node = socket.gethostname().split(".")[0]
        self.config = folder / "slurm.conf"
        for name in ("state", "spool", "bin"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)
        text = CONFIG.format(host=self.node, ports=free_ports(2), folder=folder)
        self.config.write_text(text)
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o400)
        # Snakemake's executor clears SLURM_... before it starts a job's step with srun.
        srun = folder / "bin" / "srun"
        srun.write_text(f'#!/bin/sh\nSLURM_CONF={self.config} exec {shutil.which("srun")} "$@"\n')
        srun.chmod(0o755)
        self.environment = {
            "SLURM_CONF": str(self.config),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        }
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        """Start all; AssertionError where the node does not come up."""
        files = {name: self.folder / f"munge.{name}" for name in ("socket", "pid", "log", "seed")}
        options = [f"--{name}-file={files[name]}" for name in ("pid", "log", "seed")]
        key = f"--key-file={self.folder / 'munge.key'}"
        self._daemon("munged", key, f"--socket={files['socket']}", *options, "--force")
        self._until(files["socket"].exists)
        self.start_controller()
        self._daemon("slurmd", "-D", "-f", str(self.config), "-N", self.node)
        self._until(lambda: "idle" in self.ask("sinfo", "--noheader", "--format=%t"))

    def start_controller(self) -> None:
        self._daemon("slurmctld", "-D", "-f", str(self.config))

    def stop_controller(self) -> None:
        daemon = self.daemons.pop("slurmctld")
        daemon.terminate()
        daemon.wait(30)

    def stop(self) -> None:
        """Cancel all jobs, and stop the daemons."""
        if "slurmctld" in self.daemons:
            self.ask("scancel", "--user=root")
            end = time.monotonic() + 30
            while self.ask("squeue", "--noheader") and time.monotonic() < end:
                time.sleep(0.5)
        for name in ("slurmctld", "slurmd", "munged"):
            if (daemon := self.daemons.pop(name, None)) is not None:
                daemon.terminate()
                daemon.wait(30)

    def ask(self, *command: str) -> str:
        """What one of Slurm's commands prints."""
        done = subprocess.run(
            command,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.stdout.strip()

    def queue(self) -> list[tuple[str, str, str]]:
        """(number, state, comment) of each job that is not at its end."""
        lines = self.ask("squeue", "--noheader", "--format=%A|%T|%k").splitlines()
        rows = [line.split("|", 2) for line in lines]
        return [(number, state, comment) for number, state, comment in rows]

    def _daemon(self, name: str, *options: str) -> None:
        """Start one in the foreground, so that it is ours to stop."""
        foreground = ["--foreground"] if name == "munged" else []
        with open(self.folder / f"{name}.out", "ab") as log:
            self.daemons[name] = subprocess.Popen(
                [shutil.which(name) or name, *foreground, *options],
                env=os.environ | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _until(self, condition: Callable[[], object], seconds: float = 30.0) -> None:
        end = time.monotonic() + seconds
        while not condition():
            logs = {path.name: path.read_text()[-500:] for path in self.folder.glob("*.out")}
            assert time.monotonic() < end, f"Slurm did not start: {logs}"
            time.sleep(0.1)
