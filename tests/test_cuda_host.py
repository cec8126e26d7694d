"""The test double of CUDA (tests/cuda_host): itself, what it must find, and training on it.

Faults are planted in small GPU programs; each has to stop, or to differ, in the way that the table
here states. Training compares the losses of Caffe's GPU code on the double with the CPU's.
"""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from scripts.paths import ROOT
from scripts.provenance import BUILT_FROM, overlay_digest
from tests import tiny_training as tiny

HERE = ROOT / "tests" / "cuda_host"
CAFFE = ROOT / "build" / "cuda_host" / "caffe"

# Fault: what the program that has it must say. "cuda_host: WHO: WHAT" is the double's stop.
FAULTS = {
    "host_pointer_to_kernel": r"cuda_host: kernel AddOne: argument 2 is a host pointer",
    "host_pointer_to_gemm": r"cuda_host: cublasSgemm: A is a host pointer",
    "host_reads_device": r"cuda_host: host code in host_reads_device\(\): reads device memory",
    "host_writes_device": r"cuda_host: host code in host_writes_device\(\): writes device memory",
    "host_past_memcpy": r"cuda_host: cudaMemcpy: the destination needs 16 bytes where 12 are left",
    "wrong_direction": r"cuda_host: cudaMemcpy: the destination is a host pointer",
    "loop_one_too_far": r"cuda_host: kernel AddOne .*thread \(3, .*: reads 0 bytes past the end",
    "write_before_start": r"cuda_host: cudaFree: something wrote 4 bytes before an alloc",
    "use_after_free": r"cuda_host: kernel AddOne: argument 2 lies in .* that was freed",
    "freed_twice": r"cuda_host: cudaFree: cudaMalloc did not give this: .* was freed",
    "memory_not_set": r"element 0 is -?nan and differs from 1",
    "empty_launch": r"cuda_host: kernel AddOne .*planted.cu:\d+\): an empty launch: gridDim.x is 0",
    "too_many_threads": r"cuda_host: kernel AddOne .*threads in a block is 1025, more than 1024",
    "null_to_kernel": r"cuda_host: kernel AddOne .*thread \(0, 0, 0\): reads the host's address 0",
    "host_pointer_in_struct": r"cuda_host: kernel Held: argument 1 is a host pointer",
    "pointer_in_device_memory": r"cuda_host: kernel Followed .*writes through a pointer that was ",
    "missing_barrier": r"element \d+ is -?nan and differs from ",
    "barrier_of_some": r"cuda_host: kernel PartlyWaits .*line \d+ is reached by 32 of 64 threads",
    "wrong_transpose": r"element 0 is 3 and differs from 4",
    "wrong_leading_dimension": r"cuda_host: cublasSgemm: ldb is 2, less than 3\ncuBLAS status 7",
    "wrong_stride": r"element 1 is 50 and differs from 70",
    "stride_past_end": r"cuda_host: cublasSgemmStridedBatched: A needs 8 bytes where 4 are left",
    "overlapping_batch": r"cuda_host: cublasSgemmStridedBatched: the matrices C .* overlap",
    "host_array_to_batched": r"cuda_host: cublasSgemmBatched: Aarray is a host pointer",
    "host_pointer_in_array": r"cuda_host: cublasSgemmBatched: B is a host pointer",
    "device_alpha": r"cuda_host: cublasSscal: alpha is a device pointer",
    "odd_normal_count": r"cuRAND refuses 3 normal numbers",
}
# Shows in one order of threads only.
REVERSED_FAULTS = {"depends_on_order": r"element 0 is 0 and differs from 31"}
CHECKS = (
    "barriers",
    "forms_of_launches",
    "fresh_shared_memory",
    "products",
    "random_numbers",
    "refused_sizes",
    "structures",
    "vectors",
)


def run(command: list[str | Path], order: str = "forward") -> subprocess.CompletedProcess[str]:
    """The command's result, with threads and blocks in this order."""
    environment = os.environ | {"CUDA_HOST_ORDER": order, "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


@pytest.fixture(scope="session")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the programs planted and selftest, built from tests/cuda_host/checks."""
    build = tmp_path_factory.mktemp("cuda_host")
    rewrite = [sys.executable, HERE / "rewrite.py", HERE / "checks", build]
    subprocess.run(rewrite, check=True, timeout=60)
    include = ["-I", HERE / "include/runtime", "-I", HERE / "include/libraries"]
    compiler = ["ccache", "g++", "-std=c++17", *include, "-Wall", "-Werror", "-Wno-attributes"]
    objects = []
    for source in sorted((HERE / "src").glob("*.cpp")):
        objects.append(build / f"{source.stem}.o")
        subprocess.run([*compiler, "-O2", "-c", source, "-o", objects[-1]], check=True)
    for name in ("planted", "selftest"):
        as_nvcc = ["-D__CUDACC__", "-include", "cuda_runtime.h", "-x", "c++"]
        objects.append(build / f"{name}.o")
        command = [*compiler, "-O1", *as_nvcc, "-c", build / f"{name}.cu", "-o", objects[-1]]
        subprocess.run(command, check=True)
        library = ["-rdynamic", "-lopenblas", "-ldl", "-pthread"]
        subprocess.run(["g++", *objects, *library, "-o", build / name], check=True)
        objects.pop()
    return build


def test_tables_are_complete(programs: Path) -> None:
    """Every fault and every check that the programs have is in a table here."""
    assert set(run([programs / "planted"]).stdout.split()) == set(FAULTS | REVERSED_FAULTS)
    assert set(run([programs / "selftest"]).stdout.split()) == set(CHECKS)


@pytest.mark.parametrize("order", ["forward", "reversed"])
@pytest.mark.parametrize("name", CHECKS)
def test_double_is_right(programs: Path, name: str, order: str) -> None:
    """What CUDA's documents promise holds on the double, in either order of threads."""
    result = run([programs / "selftest", name], order)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("fault", FAULTS | REVERSED_FAULTS)
def test_planted_fault_is_found(programs: Path, fault: str) -> None:
    """The right program ends well; with the fault it ends as the table states."""
    order = "reversed" if fault in REVERSED_FAULTS else "forward"
    right = run([programs / "planted", fault, "right"], order)
    assert right.returncode == 0, right.stderr
    wrong = run([programs / "planted", fault, "wrong"], order)
    assert wrong.returncode != 0
    assert re.match((FAULTS | REVERSED_FAULTS)[fault], wrong.stderr), wrong.stderr


@pytest.mark.parametrize(
    ("code", "line", "message"),
    [
        ("int a;\n  f<<<1, 2;\n", 2, "cannot parse this kernel launch"),
        ("\n\nf<<<1, 2>>> + 1;\n", 3, "cannot parse this kernel launch"),
        ("(*f)<<<1, 2>>>(x);\n", 1, "cannot parse this kernel launch"),
        ("f<<<1, 2>>>(x;\n", 1, "no ')' for this '('"),
        ("__global__ void f() {\n  __shared__ int a, b;\n}\n", 2, "cannot parse this shared var"),
        ("extern __shared__ float a[];\n", 1, "cannot parse this shared variable"),
    ],
)
def test_rewriter_stops(tmp_path: Path, code: str, line: int, message: str) -> None:
    """Syntax that the rewriter cannot parse ends it with file and line."""
    source = tmp_path / "in" / "kernel.cu"
    source.parent.mkdir()
    source.write_text(code)
    result = run([sys.executable, HERE / "rewrite.py", source.parent, tmp_path / "out"])
    assert result.returncode == 1
    assert result.stderr.startswith(f"{source}:{line}: error: {message}")


def test_rewriter_keeps_lines_and_leaves_the_rest(tmp_path: Path) -> None:
    """Line numbers stay, comments and strings are no launches, other headers are left alone."""
    (tmp_path / "in").mkdir()
    code = (
        '// f<<<1, 1>>>(x);\nauto s = "<<<";\nf<T, 2>  // why\n  <<<g(1, 2),\n  3>>>(\n  x);\nend\n'
    )
    (tmp_path / "in" / "a.cu").write_text(code)
    (tmp_path / "in" / "b.hpp").write_text("int b;\n")
    result = run([sys.executable, HERE / "rewrite.py", tmp_path / "in", tmp_path / "out"])
    assert result.returncode == 0, result.stderr
    lines = (tmp_path / "out" / "a.cu").read_text().split("\n")
    assert lines[0] == f'#line 1 "{tmp_path / "in" / "a.cu"}"'
    assert lines[1:3] == code.split("\n")[:2]
    assert lines[3].startswith("cuda_host::launch(CUDA_HOST_NAME(f<T, 2>)")
    assert lines[7] == "end"
    assert not (tmp_path / "out" / "b.hpp").exists()


def test_rewriter_takes_back_a_header_without_launches(tmp_path: Path) -> None:
    """A header that had a launch once is not hidden by what was made of it."""
    header = tmp_path / "in" / "a.hpp"
    header.parent.mkdir()
    command = [sys.executable, HERE / "rewrite.py", tmp_path / "in", tmp_path / "out"]
    for code, rewritten in (("f<<<1, 1>>>(x);\n", True), ("int f;\n", False)):
        header.write_text(code)
        assert run(command).returncode == 0
        assert (tmp_path / "out" / "a.hpp").exists() == rewritten


def test_nvcc_sees_what_the_double_cannot(tmp_path: Path) -> None:
    """A forgotten __device__ fails under nvcc -ptx, and the right file passes."""
    right = tmp_path / "right.cu"
    right.write_text("__device__ int f() { return 1; }\n__global__ void g(int* x) { *x = f(); }\n")
    wrong = tmp_path / "wrong.cu"
    wrong.write_text(right.read_text().replace("__device__ ", ""))
    command = [HERE / "run.sh", "ptx", ROOT / "build" / "caffe", tmp_path]
    passed = run([*command, right])
    assert passed.returncode == 0, passed.stderr
    if passed.stdout.startswith("No nvcc here"):
        pytest.skip(passed.stdout.strip())
    assert passed.stdout == "nvcc -ptx takes all of 1 .cu files\n"
    failed = run([*command, wrong])
    assert failed.returncode != 0
    assert 'calling a __host__ function("f()") from a __global__' in failed.stdout + failed.stderr


needs_caffe = pytest.mark.skipif(
    not CAFFE.exists(), reason="no Caffe on the CUDA double: CUDA_HOST=1 make caffe"
)
LOSS = re.compile(r"Iteration (\d+) .*loss = ([-+.\deEnainf]+)")


def train(folder: Path, mode: str, config: str, method: str, *arguments: str) -> dict[int, float]:
    """Loss by iteration of 60 iterations of LeNet, with a snapshot each 30; mode CPU or GPU."""
    from google.protobuf import text_format

    from scripts import config as configurations
    from scripts import networks

    solver, net = networks.build(
        "lenet", configurations.parse_config(config), method, "mnist", seed=1
    )
    folder.mkdir(exist_ok=True)
    net_file = folder / "net.prototxt"
    net_file.write_text(text_format.MessageToString(net))
    solver.net = str(net_file)
    solver.solver_mode = solver.SolverMode.Value(mode)
    solver.max_iter, solver.display, solver.snapshot = 60, 1, 30
    solver.snapshot_prefix = str(folder / mode)
    del solver.test_iter[:], solver.test_state[:]
    solver.ClearField("test_interval")
    solver_file = folder / f"{mode}.prototxt"
    solver_file.write_text(text_format.MessageToString(solver))
    result = run([CAFFE, "train", f"--solver={solver_file}", *arguments])
    assert result.returncode == 0, result.stderr[-3000:]
    return {int(i): float(loss) for i, loss in LOSS.findall(result.stderr)}


@needs_caffe
@pytest.mark.parametrize(
    ("config", "method"),
    [
        ("(1,1)-BD_4", "bdip"),
        ("(10,1)-BD_4", "bdip"),
        ("(10,1)-BD_4", "shuffle"),
        ("(10,1)-BD_4", "shuffle_per_pass"),
    ],
)
def test_lenet_trains_as_on_the_cpu(tmp_path: Path, config: str, method: str) -> None:
    """60 iterations of LeNet with solver_mode GPU: the CPU's losses, to rounding."""
    cpu = train(tmp_path, "CPU", config, method)
    gpu = train(tmp_path, "GPU", config, method)
    assert set(cpu) == set(range(60))
    # Sums are rounded in another order; where two pooled values nearly tie, that may change which
    # one is taken, and from there the runs drift apart slowly.
    first = range(10)
    assert [gpu[i] for i in first] == pytest.approx([cpu[i] for i in first], rel=1e-4)
    assert gpu == pytest.approx(cpu, rel=1e-2)
    assert gpu[59] < gpu[0] / 2


@needs_caffe
def test_gpu_training_resumes_from_its_snapshot(tmp_path: Path) -> None:
    """Iterations 30 to 59 after a snapshot give the same losses as without a stop."""
    whole = train(tmp_path, "GPU", "(10,1)-BD_4", "shuffle")
    snapshot = f"--snapshot={tmp_path}/GPU_iter_30.solverstate"
    rest = train(tmp_path, "GPU", "(10,1)-BD_4", "shuffle", snapshot)
    assert min(rest) == 30
    assert rest == {i: loss for i, loss in whole.items() if i >= 30}


@needs_caffe
def test_device_gpu_trains_through_pycaffe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`--device gpu` of the training command, on the double's pycaffe: the CPU's numbers."""
    problem = tiny.write_problem(tmp_path / "problem", max_iter=80, hidden=64)
    net = problem.parent / "net.prototxt"
    # The one layer whose random numbers are the device's own.
    lines = [line for line in net.read_text().split("\n") if '"Dropout"' not in line]
    net.write_text("\n".join(lines))
    metrics = {}
    for device in ("cpu", "gpu"):
        if device == "gpu":
            python = CAFFE.parent / "python"
            # What scripts/build/build_caffe.sh writes; `make test` has just built the double.
            (python / "caffe" / BUILT_FROM).write_text(overlay_digest())
            monkeypatch.setenv("PYTHONPATH", str(python))
        result = tiny.train(problem, tmp_path / device, "--device", device)
        assert result.returncode == 0, result.stderr[-3000:]
        (finished,) = (tmp_path / device).rglob("finished.json")
        assert json.loads(finished.read_text())["device"]["mode"] == device
        header, *rows = csv.reader((finished.parent / "metrics.csv").open())
        metrics[device] = np.array([[float(x or "nan") for x in row] for row in rows])
    assert metrics["cpu"].shape == (len(rows), len(header))
    np.testing.assert_allclose(metrics["gpu"], metrics["cpu"], rtol=1e-3)
