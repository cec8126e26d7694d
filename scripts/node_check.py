"""What a cluster's node must have before runs are sent to it: `python -m scripts.node_check`.

Started on the node by scripts.slurm, while the machine that sends the runs holds the lock of
results/.workflow.lock. Exit code 0, or 1 and one sentence.
"""

from __future__ import annotations

import argparse
import fcntl
import os
from pathlib import Path

from scripts import data_digests, runs
from scripts.errors import ArgumentParser, UserError, describe_os_error, run_main
from scripts.provenance import gpu_count, parse_device
from scripts.train import require_caffe


def check_lock(path: Path, owner: str, node: str) -> None:
    """UserError unless `path` reads `owner` here and is locked by another process, seen from here.

    A lock that this process gets does not reach from node to node: two nodes could then train the
    same run.
    """
    try:
        with open(path, "r+", encoding="utf-8") as stream:
            if stream.read() != owner:
                raise UserError(
                    f"{path.parent} on the node {node} is another folder than here: results have "
                    "to lie on a file system that this machine and all nodes share"
                )
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
    except FileNotFoundError:
        raise UserError(
            f"{path.parent} of here is not there on the node {node}: results have to lie on a file "
            "system that this machine and all nodes share"
        ) from None
    except OSError as error:
        raise UserError(
            f"files in {path.parent} cannot be locked on the node {node} "
            f"({describe_os_error(error)}): it needs a file system with locks, such as NFS v4"
        ) from None
    raise UserError(
        f"file locks in {path.parent} do not reach from this machine to the node {node}, so that "
        "two nodes could train the same run: use NFS v4, or Lustre mounted with the option flock"
    )


def check_device(device: str, node: str) -> None:
    """UserError where runs on a GPU are to come and there is none."""
    if parse_device(device)[0] == "cpu":
        return
    if gpu_count() == 0:
        raise UserError(
            f"the node {node} shows no GPU to a job that asks for one: name a partition that has "
            "them (slurm_partition in the profile)"
        )


def main() -> int:
    parser = ArgumentParser(
        prog="python -m scripts.node_check", description="Tell what a cluster's node lacks."
    )
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--owner", required=True, help="what results/.workflow.lock says")
    parser.add_argument("--device", default="cpu", help="cpu or gpu")
    parser.add_argument("datasets", nargs="*", help="data sets that are there, seen from elsewhere")
    arguments: argparse.Namespace = parser.parse_args()
    node = os.uname().nodename
    check_lock(arguments.results / ".workflow.lock", arguments.owner, node)
    runs.check_writable(arguments.results)
    try:
        require_caffe()
    except UserError as error:
        raise UserError(
            f"on the node {node}, {error}; nodes need the Debian packages that "
            "scripts/build/system_packages.sh lists"
        ) from None
    check_device(arguments.device, node)
    for name in arguments.datasets:
        if not data_digests.manifest_path(name).is_file():
            raise UserError(
                f"the data set {name} is there, but not on the node {node}: the folder data has to "
                "lie on a file system that this machine and all nodes share"
            )
    print(f"the node {node} has what a run needs")
    return 0


if __name__ == "__main__":
    run_main(main)
