"""Kill a training run of LeNet many times, complete it, compare it with one that never stopped.

    build/venv/bin/python -m tests.kill_resume --kills 50

takes about a quarter of an hour. Each kill is a SIGKILL to every process of the trainer, at a
random moment: while it starts, trains, tests, writes. Exit code 0 when metrics.csv and all weight
dumps are the same, bit for bit. (test_training.py does the same with a tiny net and a few kills.)
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from scripts.runs import RunSpec
from tests.tiny_training import contents, iteration, kill_group, start


def command(spec: RunSpec, results: Path, snapshot_seconds: float) -> list[str]:
    return [
        *(sys.executable, "-m", "scripts.train", *spec.arguments()),
        *("--results", str(results), "--snapshot-seconds", str(snapshot_seconds)),
    ]


def complete(spec: RunSpec, results: Path) -> str:
    """Train to the end; returns what was printed. SystemExit when that fails."""
    process = start(command(spec, results, 20.0))
    output = process.communicate()[0]
    if process.returncode != 0:
        raise SystemExit(f"the run did not end well:\n{output}")
    return output


def kill_often(spec: RunSpec, results: Path, arguments: argparse.Namespace) -> int:
    """Start and kill the run; returns how many kills hit it before its end."""
    generator = random.Random(arguments.kill_seed)
    for number in range(1, arguments.kills + 1):
        process = start(command(spec, results, arguments.snapshot_seconds))
        delay = generator.uniform(0.0, arguments.longest)
        time.sleep(delay)
        ended = process.poll() is not None
        kill_group(process) if not ended else process.communicate()
        if ended:
            return number - 1
        reached = iteration(spec.folder(results))
        print(f"kill {number} after {delay:.2f} s, at iteration {reached} or later", flush=True)
    return arguments.kills


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--config", default="(10,1)-BD_4")
    parser.add_argument("--method", default="shuffle_per_pass")
    parser.add_argument("--longest", type=float, default=8.0, help="seconds before a kill, at most")
    parser.add_argument("--snapshot-seconds", type=float, default=2.0)
    parser.add_argument("--kill-seed", type=int, default=1, help="of the moments of the kills")
    arguments = parser.parse_args()
    spec = RunSpec("lenet", "mnist", arguments.config, arguments.method, 1)
    with tempfile.TemporaryDirectory(prefix="kill-resume-") as folder:
        killed, whole = Path(folder) / "killed", Path(folder) / "never-killed"
        kills = kill_often(spec, killed, arguments)
        print("killed run:", complete(spec, killed).strip().splitlines()[-1], flush=True)
        print("never killed:", complete(spec, whole).strip().splitlines()[-1], flush=True)
        got, expected = (contents(spec.folder(results)) for results in (killed, whole))
    differ = sorted(
        name for name in got.keys() | expected.keys() if got.get(name) != expected.get(name)
    )
    if kills < arguments.kills:
        print(f"the run ended after {kills} kills: choose a smaller --longest for more")
    print(
        f"{kills} kills; {len(expected)} files compared; differing: {', '.join(differ) or 'none'}"
    )
    return 1 if differ or kills < arguments.kills else 0


if __name__ == "__main__":
    sys.exit(main())
