"""The snapshots of one run: which are whole, which is the newest, which can go.

Caffe writes snapshot_iter_<n>.caffemodel and snapshot_iter_<n>.solverstate. When both are there,
snapshot_iter_<n>.json is written beside them, with their digests: without it, or when a digest
differs, the snapshot does not exist. The two newest are kept.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.files import read_json, sha256_file, write_json

KEPT = 2
_SUFFIXES = (".caffemodel", ".solverstate")


@dataclass(frozen=True)
class Snapshot:
    """One complete snapshot; `notes` is what the worker wants to know again."""

    iteration: int
    marker: Path
    notes: dict[str, Any]

    @property
    def solverstate(self) -> Path:
        return self.marker.with_suffix(".solverstate")


class Snapshots:
    """The snapshots in a folder, which is made when it is missing."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self._newest = -1

    def _markers(self) -> list[tuple[int, Path]]:
        """(iteration, marker) of every snapshot, newest first."""
        found = []
        for marker in self.folder.glob("snapshot_iter_*.json"):
            number = marker.stem.removeprefix("snapshot_iter_")
            if number.isdecimal():
                found.append((int(number), marker))
        return sorted(found, reverse=True)

    def newest(self) -> Snapshot | None:
        """The newest snapshot whose files are whole, or None; says so when it passes one over."""
        for iteration, marker in self._markers():
            content = read_json(marker)
            if content is not None and self._is_whole(marker, content):
                self._newest = iteration
                return Snapshot(iteration, marker, content["notes"])
            print(
                f"warning: the snapshot {marker.with_suffix('')} is damaged and is passed over",
                file=sys.stderr,
            )
            marker.unlink()
        return None

    @staticmethod
    def _is_whole(marker: Path, content: dict[str, Any]) -> bool:
        for suffix in _SUFFIXES:
            path = marker.with_suffix(suffix)
            if not path.is_file() or sha256_file(path) != content["sha256"].get(suffix):
                return False
        return True

    def has(self, iteration: int) -> bool:
        """Whether the newest snapshot is that of `iteration`."""
        return self._newest == iteration

    def complete(self, iteration: int, notes: dict[str, Any]) -> None:
        """Declare the snapshot that Caffe has just written complete; remove the older ones."""
        marker = self.folder / f"snapshot_iter_{iteration}.json"
        digests = {suffix: sha256_file(marker.with_suffix(suffix)) for suffix in _SUFFIXES}
        write_json(marker, {"iteration": iteration, "sha256": digests, "notes": notes})
        self._newest = iteration
        self._remove_older()

    def _remove_older(self) -> None:
        kept = {marker.stem for _, marker in self._markers()[:KEPT]}
        for path in self.folder.glob("snapshot_iter_*"):
            if path.name.split(".")[0] not in kept:
                path.unlink()
