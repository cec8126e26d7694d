"""The build scripts: what they ask CMake for, and a project's folder that was moved or copied.

They are run in a copy of the project's files, with doubles of the programs that would take long.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.paths import ROOT

# Says what it was asked for, where a test looks for it.
CMAKE = '#!/bin/sh\nprintf "%s\\n" "$@" >> "$ASKED"\n'
CACHE = "# A cache of CMake\nCMAKE_HOME_DIRECTORY:INTERNAL={}\n"
# As pip would install them: a compiler, its parts and a library.
PIP = """#!/bin/bash
[ "$1 $2 $3" = "-m pip install" ] || exit 1
while [ "$1" != --target ]; do shift; done
echo install >> "$ASKED"
cd "$(mkdir -p "$2/nvidia/cu" && cd "$2/nvidia/cu" && pwd)"
mkdir bin include lib nvvm
echo compiler > bin/nvcc
echo header > include/cublas_v2.h
echo library > lib/libcublas.so.13
"""


def script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


class Project:
    """A copy of the project's scripts and of Caffe's source, and programs before the system's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder.parent / "programs"
        self.asked = folder.parent / "asked"
        ignored = shutil.ignore_patterns("__pycache__")
        for name in ("scripts", "caffe_layers", "tests/cuda_host"):
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        (folder / "build").mkdir()
        for name in ("cmake", "ninja"):
            script(self.programs / name, CMAKE)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        path = f"{self.programs}:/usr/bin:/bin"
        more = {"PATH": path, "ASKED": str(self.asked), "CUDA_ARCH": "", "CUDA_HOME": ""}
        done = subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | more | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def use_build(self) -> None:
        """Take what the real build/ has of Caffe's source and of Python packages."""
        for name in ("upstream", "venv", "python"):
            (self.folder / "build" / name).symlink_to(ROOT / "build" / name)

    def move(self) -> None:
        self.folder = self.folder.rename(self.folder.with_name("elsewhere"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


# -- which card -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "architecture"),
    [
        ("9.0\n8.6\n", "90"),
        ("No devices were found\n", "75"),
        (
            "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. 5.2\n",
            "75",
        ),
        ("[N/A]\n", "75"),
    ],
)
def test_the_architecture_is_a_number_that_nvidia_smi_says(
    project: Project, said: str, architecture: str
) -> None:
    project.use_build()
    toolkit = project.folder.parent / "toolkit"
    script(toolkit / "bin/nvcc", "#!/bin/sh\necho 'Cuda compilation tools, release 13.0, V13'\n")
    for name in ("cublas_v2.h", "curand.h"):
        script(toolkit / "include" / name, "")
    script(project.programs / "nvidia-smi", f"#!/bin/sh\ncat <<'END'\n{said}END\n")
    command = ("scripts/build/build_caffe.sh", "cuda", "test.testbin")
    project.run(*command, CUDA_HOME=str(toolkit))
    asked = project.asked.read_text().splitlines()
    assert f"-DCMAKE_CUDA_ARCHITECTURES={architecture}" in asked


# -- a folder that was moved or copied --------------------------------------------------------


def caffe(project: Project) -> Path:
    project.use_build()
    project.run("scripts/build/build_caffe.sh", "cpu", "test.testbin")
    return project.folder / "build/cpu"


def bench(project: Project) -> Path:
    project.run("scripts/build/build_bench.sh", "cpu")
    return project.folder / "build/bench"


def double(project: Project) -> Path:
    source = project.folder / "caffe_layers"
    project.run("tests/cuda_host/build.sh", str(source), "build/cuda_host", "all")
    return project.folder / "build/cuda_host"


@pytest.mark.parametrize(
    ("build", "tree", "source"),
    [
        (caffe, "cpu", "build/caffe"),
        (bench, "bench", "scripts/bench/native"),
        (double, "cuda_host", "tests/cuda_host"),
    ],
)
@pytest.mark.parametrize("moved", [False, True])
def test_cmake_begins_anew_in_a_folder_that_was_moved(
    project: Project, build: Callable[[Project], Path], tree: str, source: str, moved: bool
) -> None:
    """It refuses to go on with the cache of another folder, be that there or not."""
    cache = project.folder / "build" / tree / "CMakeCache.txt"
    compiler = cache.with_name("CMakeFiles") / "compiler.cmake"
    compiler.parent.mkdir(parents=True)
    compiler.write_text("names the compiler by its place")
    cache.write_text(CACHE.format((ROOT if moved else project.folder) / source))
    (project.folder / "build/caffe").mkdir(exist_ok=True)
    build(project)
    assert cache.exists() == compiler.exists() == (not moved)


def test_cmake_goes_on_in_a_moved_tree_that_began_anew(tmp_path: Path) -> None:
    """CMake itself, on a program of one line."""
    source, tree = tmp_path / "first/source", tmp_path / "first/tree"
    source.mkdir(parents=True)
    (source / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.13)\nproject(one C)\nadd_executable(one one.c)\n"
    )
    (source / "one.c").write_text("int main(void) { return 0; }\n")

    def build(folder: Path) -> None:
        drop = ROOT / "scripts/build/drop_moved_cache.sh"
        source, tree = folder / "source", folder / "tree"
        subprocess.run([drop, tree, source], check=True)
        quiet = {"check": True, "stdout": subprocess.DEVNULL}
        subprocess.run(["cmake", "-S", source, "-B", tree, "-G", "Ninja"], **quiet)
        subprocess.run(["ninja", "-C", tree], **quiet)

    build(tmp_path / "first")
    before = (tree / "one").stat().st_mtime_ns
    build(tmp_path / "first")
    assert (tree / "one").stat().st_mtime_ns == before
    shutil.copytree(tmp_path / "first", tmp_path / "second", symlinks=True)
    build(tmp_path / "second")
    assert str(tmp_path / "first") not in (tmp_path / "second/tree/build.ninja").read_text()
    (tmp_path / "first").rename(tmp_path / "third")
    build(tmp_path / "third")
    assert subprocess.run([tmp_path / "third/tree/one"]).returncode == 0


@pytest.fixture
def with_packages(project: Project) -> Project:
    """A project whose Python packages are installed, as far as their stamp tells."""
    venv = project.folder / "build/venv"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", venv], check=True)
    requirements = (project.folder / "scripts/build/requirements.txt").read_bytes()
    stamp = subprocess.run(["sha256sum"], input=requirements, capture_output=True, check=True)
    (venv / "requirements.sha256").write_bytes(stamp.stdout)
    package = project.folder / "build/cpu/install/python/caffe"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (project.folder / "build/python").symlink_to("cpu/install/python")
    return project


def imported_caffe(folder: Path) -> str:
    command = [folder / "build/venv/bin/python", "-c", "import caffe; print(caffe.__file__)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_python_imports_the_caffe_of_its_own_folder(with_packages: Project) -> None:
    project, first = with_packages, with_packages.folder
    (site,) = first.glob("build/venv/lib/python3*/site-packages")
    (site / "caffe.pth").write_text(f"{first}/build/python\n")  # as it was written once
    project.run("scripts/build/python_packages.sh")
    assert imported_caffe(first) == f"{first}/build/python/caffe/__init__.py"
    copy = first.with_name("copy")
    shutil.copytree(first, copy, symlinks=True)
    assert imported_caffe(copy) == f"{copy}/build/python/caffe/__init__.py"
    project.move()
    assert imported_caffe(project.folder) == f"{project.folder}/build/python/caffe/__init__.py"


def test_a_copy_loads_the_library_of_its_own_folder(tmp_path: Path) -> None:
    flavour = (ROOT / "build/flavour").read_text().strip()
    if flavour == "cuda_host":
        pytest.skip("there, Caffe is no library of its own")
    copy = tmp_path / "install"
    shutil.copytree(ROOT / "build" / flavour / "install", copy, symlinks=True)
    for name in ("bin/caffe", "python/caffe/_caffe.so"):
        loaded = subprocess.run(["ldd", copy / name], capture_output=True, text=True).stdout
        (line,) = (line for line in loaded.splitlines() if "libcaffe.so" in line)
        assert Path(line.split()[2]).resolve().is_relative_to(copy), line


def test_the_cuda_toolkit_can_be_moved(project: Project) -> None:
    """Where all of it came from Python packages, as on a machine that has no CUDA."""
    asking = project.folder / "scripts/build/cuda_toolkit.sh"
    asking.write_text(asking.read_text().replace("/usr/local/cuda", "/none"))
    script(project.folder / "build/venv/bin/python", PIP)

    def toolkit() -> Path:
        return Path(project.run("scripts/build/cuda_toolkit.sh").stdout.strip())

    assert toolkit() == project.folder / "build/cuda-toolkit"
    project.move()
    found = toolkit()
    assert found == project.folder / "build/cuda-toolkit"
    for name in ("bin/nvcc", "include/cublas_v2.h", "lib64/libcublas.so", "lib/libcublas.so.13"):
        assert (found / name).is_file(), name
    assert project.asked.read_text() == "install\n"
    # One with links to where it was made is had anew.
    (found / "include/cublas_v2.h").unlink()
    (found / "include/cublas_v2.h").symlink_to("/elsewhere/cublas_v2.h")
    assert (toolkit() / "include/cublas_v2.h").is_file()
