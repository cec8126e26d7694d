"""Where things lie, counted from the repository's root."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROTOTXT = ROOT / "prototxt"
DATA = ROOT / "data"
RESULTS = ROOT / "results"
