"""What a run is made from: digests, versions, device, commit."""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.errors import UserError
from scripts.files import sha256_file
from scripts.paths import ROOT

if TYPE_CHECKING:
    from google.protobuf.message import Message

# Raise this number when a change in scripts/ changes what a run computes or records: runs made
# before it are then not taken for finished.
TRAINER_VERSION = 2

OVERLAY = ROOT / "caffe_layers"

# Beside each pycaffe that build_caffe.sh installed: the digest of what its library was built from.
BUILT_FROM = "overlay.sha256"

# Fields of a solver that say where and how often files are written, or on what it runs: they
# do not change a result (the device has its own part in the fingerprint, and so has what the files
# hold that `weights` names).
SOLVER_FIELDS_LEFT_OUT = (
    *("snapshot", "snapshot_prefix", "snapshot_format", "snapshot_diff", "snapshot_after_train"),
    *("solver_mode", "device_id", "debug_info", "net", "net_param", "random_seed", "weights"),
)


# What is said of data beside what identifies its records.
_DATA_REMARKS = ("imported_sha256", "official_count", "known_as")


def overlay_files(overlay: Path = OVERLAY) -> Iterator[Path]:
    """Every file that goes into the library: sources, patches, which upstream; no tests."""
    for path in sorted(overlay.rglob("*")):
        parts = path.relative_to(overlay).parts
        if path.is_file() and "test" not in parts and not path.name.startswith((".", "test_")):
            yield path


def _listing(overlay: Path) -> str:
    lines = (
        f"{path.relative_to(overlay)} {sha256_file(path)}\n" for path in overlay_files(overlay)
    )
    return "".join(lines)


def overlay_digest(overlay: Path = OVERLAY) -> str:
    """SHA-256 over the names and contents of what is built into Caffe; takes milliseconds."""
    return hashlib.sha256(_listing(overlay).encode()).hexdigest()


def program_digest(overlay: Path = OVERLAY) -> str:
    """SHA-256 over the names and contents of what is built into Caffe and of TRAINER_VERSION."""
    listing = f"trainer {TRAINER_VERSION}\n{_listing(overlay)}"
    return hashlib.sha256(listing.encode()).hexdigest()


def check_built(pycaffe: Path) -> None:
    """UserError unless the Caffe in the folder `pycaffe` was built from caffe_layers/ as it is now.

    A run says of itself what is in caffe_layers/, but computes with the library: with another one,
    its fingerprint would be that of a run that it is not.
    """
    record = pycaffe / BUILT_FROM
    built = record.read_text(encoding="utf-8").strip() if record.is_file() else None
    if built != overlay_digest():
        raise UserError(
            f"caffe_layers/ has changed since the Caffe in {pycaffe} was built: run make caffe"
        )


def _canonical(message: Message) -> str:
    return hashlib.sha256(message.SerializeToString(deterministic=True)).hexdigest()


def net_digest(net: Message) -> str:
    """SHA-256 over a parsed net, its layout and comments gone, without the places of its data."""
    copy = type(net)()
    copy.CopyFrom(net)
    for layer in copy.layer:
        if layer.transform_param.mean_file:
            layer.transform_param.mean_file = "mean"
        for field in ("data_param", "hdf5_data_param", "image_data_param", "window_data_param"):
            if layer.HasField(field):
                getattr(layer, field).ClearField("source")
    return _canonical(copy)


def solver_digest(solver: Message) -> str:
    """SHA-256 over a parsed solver without paths, snapshots, device, net and seed."""
    copy = type(solver)()
    copy.CopyFrom(solver)
    for field in SOLVER_FIELDS_LEFT_OUT:
        copy.ClearField(field)
    return _canonical(copy)


def fingerprint(
    solver: Message, net: Message, seed: int, mode: str, data: dict[str, Any]
) -> dict[str, Any]:
    """What decides a run's results: {"digest": all of it, "parts": one digest for each part}.

    `mode` is "cpu" or "gpu"; `data` maps a split or source to what identifies its records, and to
    what else is said of them.
    """
    identity = {
        source: {name: value for name, value in about.items() if name not in _DATA_REMARKS}
        for source, about in data.items()
    }
    parts = {
        "net": net_digest(net),
        "solver": solver_digest(solver),
        "seed": str(seed),
        "device": mode,
        "data": hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(),
        "program": program_digest(),
    }
    whole = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return {"digest": whole, "parts": parts}


def parse_device(text: str) -> tuple[str, int]:
    """("cpu", 0) or ("gpu", number) from "cpu", "gpu" or "gpu:N"; UserError otherwise."""
    if text == "cpu":
        return "cpu", 0
    # No machine has ten thousand, and Caffe's number for it is a 32-bit one.
    if match := re.fullmatch(r"gpu(?::([0-9]{1,4}))?", text):
        return "gpu", int(match[1] or 0)
    raise UserError(f"DEVICE={text} is not a device: write cpu, gpu or gpu:N, such as gpu:0")


def gpu_count() -> int:
    """How many GPUs the driver lists."""
    listed = _output("nvidia-smi", "-L")
    return sum(line.startswith("GPU ") for line in (listed or "").splitlines())


def device(mode: str, number: int) -> dict[str, Any]:
    """The device as run.json records it."""
    if mode == "cpu":
        return {"mode": "cpu", "name": cpu_name(), "threads": 1}
    name = _output("nvidia-smi", "-i", str(number), "--query-gpu=name", "--format=csv,noheader")
    return {"mode": "gpu", "name": name or "unknown", "number": number}


def cpu_name() -> str:
    """The processor's name, or at least its kind."""
    return cpuinfo("model name") or platform.processor() or platform.machine()


def cpuinfo(what: str) -> str:
    """What the system says of its first processor; nothing where it does not say."""
    path = Path("/proc/cpuinfo")
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    found = re.search(rf"^{what}\s*:\s*(.+)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def versions() -> dict[str, str]:
    """Versions of what computes, without the BLAS, which only the worker can ask."""
    upstream = json.loads((OVERLAY / "upstream.json").read_text(encoding="utf-8"))
    return {
        "caffe_upstream": upstream["commit"],
        "overlay": program_digest(),
        "python": platform.python_version(),
        "numpy": metadata.version("numpy"),
        "protobuf": metadata.version("protobuf"),
    }


def _output(*command: str) -> str | None:
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def circumstances(mode: str, number: int) -> dict[str, Any]:
    """Device, versions and commit, as every record of a result has them."""
    head, dirty = commit()
    return {
        "device": device(mode, number),
        "versions": versions(),
        "commit": head,
        "dirty": dirty,
    }


def commit() -> tuple[str | None, bool | None]:
    """(commit of the project, whether tracked files differ from it); None where git cannot say."""
    head = _output("git", "rev-parse", "HEAD")
    changes = _output("git", "status", "--porcelain", "--untracked-files=no")
    return head, None if changes is None else bool(changes)
