"""Having Caffe's source, and putting the layer into it: what is refused, what is left alone.

Everything is done in a copy of the project's files whose build/ is its own, by the commands that a
user gives, and without a network: apt-get is a double, the repository's address is a file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.paths import ROOT
from tests.conftest import remount
from tests.file_server import Server
from tests.refusals import assert_refused, contents, snapshot

UPSTREAM = ROOT / "build" / "upstream"
PATCHES = sorted((ROOT / "caffe_layers" / "patches").glob("*.patch"))
LAYER = "src/caffe/layers/block_inner_product_layer.cpp"


class Project:
    """A copy of the files of the project that have to do with Caffe's source."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.upstream = folder / "build" / "upstream"
        self.caffe = folder / "build" / "caffe"
        self.layers = folder / "caffe_layers"
        folder.mkdir()
        shutil.copytree(ROOT / "caffe_layers", self.layers)
        (folder / "scripts" / "build").mkdir(parents=True)
        shutil.copy(ROOT / "scripts/build/caffe_source.py", folder / "scripts/build")
        shutil.copy(ROOT / "Makefile", folder)

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def build(self, *options: object, **environment: str) -> subprocess.CompletedProcess[str]:
        script = "scripts/build/caffe_source.py"
        return self.run("/usr/bin/python3", script, "build", *map(str, options), **environment)

    def overlay(self, tree: object) -> subprocess.CompletedProcess[str]:
        return self.run("make", "overlay", f"CAFFE_SRC={tree}")

    def assert_nothing_built(self) -> None:
        assert not self.upstream.exists()
        assert not self.caffe.exists()
        build = self.folder / "build"
        assert not build.exists() or not list(build.iterdir())

    def use_upstream(self) -> None:
        """Take Caffe as published from the real build/, which was checked when it was had."""
        self.upstream.parent.mkdir(exist_ok=True)
        self.upstream.symlink_to(UPSTREAM)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "project")


def pack(archive: Path, tree: Path, top: str = ".", mode: str = "w") -> Path:
    with tarfile.open(archive, mode) as out:
        out.add(tree, arcname=top)
    return archive


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of the right files, without a top folder."""
    return pack(tmp_path_factory.mktemp("tarball") / "caffe.tar", UPSTREAM)


# -- having the source ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("top", "mode"), [(".", "w"), ("caffe-99bd997", "w"), ("caffe-99bd997", "w:gz")]
)
def test_the_right_archive_is_taken(project: Project, tmp_path: Path, top: str, mode: str) -> None:
    done = project.build("--tarball", pack(tmp_path / "caffe.tar", UPSTREAM, top, mode))
    assert done.returncode == 0, done.stderr
    assert "from the file named by CAFFE_TARBALL, digest checked" in done.stdout
    assert contents(project.upstream) == contents(UPSTREAM)
    built = contents(project.caffe)
    assert built.keys() > contents(UPSTREAM).keys()
    ours = hashlib.sha256((project.layers / LAYER).read_bytes()).hexdigest()
    assert built[LAYER] == ours
    # No temporary folder stays.
    assert {path.name for path in project.upstream.parent.iterdir()} == {"upstream", "caffe"}


def change_one_byte(tree: Path) -> None:
    path = tree / "src/caffe/net.cpp"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def leave_one_out(tree: Path) -> None:
    (tree / "src/caffe/net.cpp").unlink()


def add_one(tree: Path) -> None:
    (tree / "src/caffe/extra.cpp").write_text("")


def rename_one(tree: Path) -> None:
    (tree / "src/caffe/net.cpp").rename(tree / "src/caffe/nett.cpp")


@pytest.mark.parametrize("change", [change_one_byte, leave_one_out, add_one, rename_one])
def test_other_files_are_refused(
    project: Project, tmp_path: Path, change: Callable[[Path], None]
) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(UPSTREAM, tree, symlinks=True)
    change(tree)
    done = project.build("--tarball", pack(tmp_path / "other.tar", tree))
    assert_refused(done, "other.tar does not hold Caffe 99bd997", "CAFFE_TARBALL=file")
    project.assert_nothing_built()


def test_an_archive_of_something_else_is_refused(project: Project, tmp_path: Path) -> None:
    archive = pack(tmp_path / "else.tar.gz", project.layers, "caffe", "w:gz")
    assert_refused(project.build("--tarball", archive), "does not hold Caffe")
    project.assert_nothing_built()


@pytest.mark.parametrize("kept", [0, 1000, -1000])
def test_a_cut_archive_is_refused(
    project: Project, tarball: Path, tmp_path: Path, kept: int
) -> None:
    cut = tmp_path / "cut.tar"
    whole = tarball.read_bytes()
    # The end of a tar file is padding: what is cut off has to reach into the last file.
    content = whole.rstrip(b"\0")
    cut.write_bytes(content[:kept])
    assert_refused(project.build("--tarball", cut), "cut.tar")
    project.assert_nothing_built()


@pytest.mark.parametrize(
    ("name", "said"), [("none.tar.gz", "none.tar.gz is not a file"), (".", ". is not a file")]
)
def test_what_is_no_file_is_refused(project: Project, name: str, said: str) -> None:
    assert_refused(project.build("--tarball", name), said)
    project.assert_nothing_built()


def test_what_is_no_archive_is_refused(project: Project) -> None:
    assert_refused(project.build("--tarball", "Makefile"), "Makefile cannot be unpacked")
    project.assert_nothing_built()


def test_a_wrong_archive_is_refused_though_the_source_is_there(
    project: Project, tarball: Path, tmp_path: Path
) -> None:
    project.use_upstream()
    assert project.build("--tarball", tarball).returncode == 0
    before = snapshot(project.caffe)
    archive = pack(tmp_path / "else.tar", project.layers)
    assert_refused(project.build("--tarball", archive), "else.tar does not hold Caffe")
    assert_refused(project.build("--tarball", "none.tar"), "none.tar is not a file")
    assert snapshot(project.caffe) == before


def test_unpacked_source_that_was_changed_is_refused(project: Project) -> None:
    shutil.copytree(UPSTREAM, project.upstream, symlinks=True)
    change_one_byte(project.upstream)
    assert_refused(project.build(), "upstream was changed since it was unpacked: remove it")
    assert not project.caffe.exists()


# A double of apt-get: knows one mirror (with NO_LISTS only from its configuration, as where the
# package lists were removed), and brings the file that TARBALL names, if any.
APT_GET = """#!/bin/bash
echo "$*" >> "$LOG"
case " $* " in
  *" indextargets "*) [ -n "${NO_LISTS-}" ] || echo 'http://mirror.invalid/debian|main|Debian' ;;
  *" --print-uris "*) echo "'http://other.invalid/node/dists/x/InRelease' other 0"
    echo "'http://mirror.invalid/debian/dists/bookworm/InRelease' mirror 0"
    echo "'http://mirror.invalid/debian-security/dists/s/InRelease' security 0" ;;
  *" source "*) [ -n "$TARBALL" ] || { echo 'E: no such package' >&2; exit 100; }
    cp "$TARBALL" caffe_1.0.0+git20180821.99bd997.orig.tar.gz ;;
esac
"""


def ways(project: Project, apt: Path | None, repository: Path) -> dict[str, str]:
    """The environment in which apt-get brings `apt`, and the address of the commit is a file."""
    programs = project.folder / "programs"
    programs.mkdir()
    (programs / "apt-get").write_text(APT_GET)
    (programs / "apt-get").chmod(0o755)
    description = json.loads((project.layers / "upstream.json").read_text())
    description["archive"] = repository.as_uri()
    (project.layers / "upstream.json").write_text(json.dumps(description))
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TARBALL": str(apt or ""),
        "LOG": str(project.folder / "apt.log"),
    }


def test_debians_source_package_comes_first(project: Project, tarball: Path) -> None:
    environment = ways(project, tarball, project.folder / "none.tar.gz")
    done = project.build(**environment)
    assert done.returncode == 0, done.stderr
    assert "from Debian's source package, digest checked" in done.stdout
    # Lists and cache are folders of its own: the system's stay as they are.
    calls = (project.folder / "apt.log").read_text().splitlines()[1:]
    assert len(calls) == 2
    for call in calls:
        for option in ("Dir::Etc::SourceList=", "Dir::State::Lists=", "Dir::Cache="):
            assert f"{option}{project.folder}/build/source-" in call
        assert "Dir::Etc::SourceParts=/dev/null" in call


def test_the_mirror_is_known_without_package_lists(project: Project, tarball: Path) -> None:
    environment = ways(project, tarball, project.folder / "none.tar.gz")
    done = project.build(NO_LISTS="1", **environment)
    assert done.returncode == 0, done.stderr
    assert "from Debian's source package, digest checked" in done.stdout


def test_the_repositorys_archive_comes_second(project: Project, tarball: Path) -> None:
    done = project.build(**ways(project, None, tarball))
    assert done.returncode == 0, done.stderr
    assert "from the repository's archive, digest checked" in done.stdout


@pytest.mark.parametrize(
    ("fault", "said"),
    [("cut_chunk", "IncompleteRead"), ("bad_status", "220 mail.invalid"), ("cut", "cannot be")],
)
def test_an_archive_that_breaks_off_is_a_sentence(
    project: Project,
    tarball: Path,
    serve: Callable[[dict[str, bytes]], Server],
    fault: str,
    said: str,
) -> None:
    server = serve({"caffe.tar": tarball.read_bytes()})
    server.faults = {"caffe.tar": [fault]}
    environment = ways(project, None, tarball)
    description = json.loads((project.layers / "upstream.json").read_text())
    description["archive"] = f"{server.address}caffe.tar"
    (project.layers / "upstream.json").write_text(json.dumps(description))
    assert_refused(project.build(**environment), "the repository's archive: ", said)
    project.assert_nothing_built()


def test_a_damaged_source_package_is_passed_over(
    project: Project, tarball: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged.tar"
    damaged.write_bytes(tarball.read_bytes()[:5000])
    done = project.build(**ways(project, damaged, tarball))
    assert done.returncode == 0, done.stderr
    assert "from the repository's archive, digest checked" in done.stdout


def test_with_no_way_left_each_says_why(project: Project) -> None:
    done = project.build(**ways(project, None, project.folder / "none.tar.gz"))
    assert_refused(
        done,
        "Debian's source package: apt-get: E: no such package; the repository's archive: ",
        "No such file",
        "CAFFE_TARBALL=file",
    )
    project.assert_nothing_built()


# -- the tree that is compiled ----------------------------------------------------------------


def test_preparing_again_changes_no_time_stamp(project: Project) -> None:
    project.use_upstream()
    assert project.build().returncode == 0
    (project.caffe / "python/caffe/proto").mkdir()
    (project.caffe / "python/caffe/proto/caffe_pb2.py").write_text("what the build put there")
    before = snapshot(project.caffe)
    assert project.build().returncode == 0
    assert snapshot(project.caffe) == before


def test_only_what_changed_gets_a_new_time_stamp(project: Project) -> None:
    project.use_upstream()
    extra = project.layers / "src/caffe/layers/extra_layer.cpp"
    extra.write_text("// went away\n")
    assert project.build().returncode == 0
    before = snapshot(project.caffe)
    with open(project.layers / LAYER, "a") as stream:
        stream.write("// more\n")
    extra.unlink()
    last = project.layers / "patches" / PATCHES[-1].name
    unpatched = re.findall(r"^\+\+\+ b/(\S+)", last.read_text(), re.MULTILINE)
    last.unlink()
    assert project.build().returncode == 0
    after = snapshot(project.caffe)
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == {LAYER, "src/caffe/layers/extra_layer.cpp", *unpatched}
    assert "src/caffe/layers/extra_layer.cpp" not in after


def test_an_edited_tree_is_put_right(project: Project) -> None:
    """build/caffe is made from upstream and caffe_layers/ alone, whatever happened to it."""
    project.use_upstream()
    assert project.build().returncode == 0
    before = contents(project.caffe)
    (project.caffe / "src/caffe/net.cpp").write_text("half a file")
    (project.caffe / "src/caffe/blob.cpp").unlink()
    (project.caffe / "src/caffe/stray.cpp").write_text("")
    assert project.build().returncode == 0
    assert contents(project.caffe) == before


def test_a_patch_that_does_not_fit_leaves_the_tree(project: Project) -> None:
    project.use_upstream()
    assert project.build().returncode == 0
    before = snapshot(project.caffe)
    patch = project.layers / "patches" / PATCHES[0].name
    patch.write_text(re.sub(r"\n-(?!-)", r"\n-no such line", patch.read_text(), count=1))
    assert_refused(project.build(), f"patch {patch.name} does not fit")
    assert snapshot(project.caffe) == before


def test_a_full_disk_is_a_sentence(project: Project, tarball: Path, small_disk: Path) -> None:
    """While the archive is unpacked, and while the tree is made: nothing half made stays."""
    build = project.folder / "build"
    build.symlink_to(small_disk)
    assert_refused(project.build("--tarball", tarball), "No space left on device")
    assert not list(small_disk.iterdir())
    project.use_upstream()
    assert_refused(project.build(), "No space left on device")
    assert [path.name for path in small_disk.iterdir()] == ["upstream"]


# -- the patches ------------------------------------------------------------------------------


def test_the_series_is_numbered_and_each_begins_with_a_sentence() -> None:
    assert PATCHES
    for number, patch in enumerate(PATCHES, start=1):
        assert re.fullmatch(rf"{number:04}-[a-z0-9-]+\.patch", patch.name)
        said = patch.read_text().split("\ndiff --git ")[0]
        assert re.match(r"[A-Z][^\n]", said), patch.name
        assert said.rstrip().endswith((".", ")")), patch.name


def test_every_patch_applies_without_fuzz_or_offset(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    shutil.copytree(UPSTREAM, tree, symlinks=True)
    for patch in PATCHES:
        command = ["patch", "-p1", "-F0", "--force", "-i", str(patch)]
        done = subprocess.run(command, cwd=tree, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        for line in done.stdout.splitlines():
            assert line.startswith("patching file "), f"{patch.name}: {line}"
    assert not list(tree.rglob("*.orig"))


def test_no_patch_touches_what_the_overlay_brings() -> None:
    layers = ROOT / "caffe_layers"
    for patch in PATCHES:
        for name in re.findall(r"^\+\+\+ b/(\S+)", patch.read_text(), re.MULTILINE):
            assert (UPSTREAM / name).is_file(), f"{patch.name} makes a new file {name}"
            assert not (layers / name).exists()


# -- a Caffe of the user's own ----------------------------------------------------------------


@pytest.fixture
def users(tmp_path: Path) -> Path:
    """A Caffe of the user's own, in a folder with a space, with a file of their own in it."""
    tree = tmp_path / "my caffe"
    shutil.copytree(UPSTREAM, tree, symlinks=True)
    (tree / "src/caffe/layers/my_layer.cpp").write_text("// mine\n")
    return tree


def changed_names(stdout: str) -> dict[str, set[str]]:
    """What a command says that it changed: added, changed, removed -> names."""
    said: dict[str, set[str]] = {"added": set(), "changed": set(), "removed": set()}
    for line in stdout.splitlines():
        if match := re.fullmatch(r"(added|changed|removed) +(\S.*)", line):
            said[match[1]].add(match[2])
    return said


def assert_said_what_it_did(
    done: subprocess.CompletedProcess[str], before: dict[str, str], after: dict[str, str]
) -> None:
    """The command succeeded, and named exactly the files that differ."""
    assert done.returncode == 0, done.stderr
    before = {name: content for name, content in before.items() if content != "folder"}
    after = {name: content for name, content in after.items() if content != "folder"}
    said = changed_names(done.stdout)
    assert said["added"] == after.keys() - before.keys()
    assert said["removed"] == before.keys() - after.keys()
    assert said["changed"] == {
        name for name in before if after.get(name, before[name]) != before[name]
    }
    assert f"{sum(map(len, said.values()))} files changed" in done.stdout


def assert_up_to_date(project: Project, tree: Path) -> None:
    """The tree is what build/caffe is, but for the user's own file; again changes nothing."""
    if not project.upstream.exists():
        project.use_upstream()
    assert project.build().returncode == 0
    expected = contents(project.caffe)
    found = contents(tree)
    own = {name for name in found if name.split("/")[0] == ".caffe_layers"}
    own.add("src/caffe/layers/my_layer.cpp")
    assert {name: found[name] for name in found.keys() - own} == expected
    before = snapshot(tree)
    again = project.overlay(tree)
    assert again.returncode == 0, again.stderr
    assert again.stdout.strip().endswith("is up to date")
    assert snapshot(tree) == before


def test_overlay_says_what_it_changes_and_is_done_once(project: Project, users: Path) -> None:
    before = contents(users)
    done = project.overlay(users)
    assert_said_what_it_did(done, before, contents(users))
    said = changed_names(done.stdout)
    assert LAYER in said["added"]
    assert "src/caffe/proto/caffe.proto" in said["changed"]
    assert_up_to_date(project, users)
    recorded = ["sha256sum", "--check", "--quiet", ".caffe_layers/files.sha256"]
    assert subprocess.run(recorded, cwd=users).returncode == 0


def test_an_older_overlay_is_brought_up_to_date(project: Project, users: Path) -> None:
    """One with fewer patches, with a patch that said something else, and with other files."""
    old = Project(project.folder.with_name("old"))
    (old.layers / "patches" / PATCHES[-1].name).unlink()
    proto = old.layers / "patches" / "0003-block-inner-product.patch"
    proto.write_text(proto.read_text().replace("= 149;", "= 151;"))
    with open(old.layers / LAYER, "a") as stream:
        stream.write("// as it was\n")
    (old.layers / "src/caffe/layers/gone_layer.cpp").write_text("// no longer there\n")
    assert old.overlay(users).returncode == 0
    before = contents(users)
    assert "src/caffe/layers/gone_layer.cpp" in before
    done = project.overlay(users)
    after = contents(users)
    assert_said_what_it_did(done, before, after)
    said = changed_names(done.stdout)
    assert {LAYER, "src/caffe/proto/caffe.proto"} <= said["changed"]
    assert said["removed"] == {"src/caffe/layers/gone_layer.cpp"}
    assert_up_to_date(project, users)


def test_the_users_own_changes_elsewhere_stay(project: Project, users: Path) -> None:
    """In files that patches change, at other places, before the overlay and after it."""
    proto = users / "src/caffe/proto/caffe.proto"
    proto.write_text(proto.read_text() + "// mine\n")
    assert project.overlay(users).returncode == 0
    assert proto.read_text().endswith("// mine\n")
    proto.write_text(proto.read_text() + "// and this\n")
    (project.layers / "patches" / PATCHES[-1].name).unlink()
    assert project.overlay(users).returncode == 0
    assert proto.read_text().endswith("// mine\n// and this\n")


def edit_patched_line(tree: Path) -> str:
    path = tree / "src/caffe/proto/caffe.proto"
    path.write_text(path.read_text().replace("next available layer-specific ID: 149", "ID: 150"))
    return "0003-block-inner-product.patch does not fit"


def remove_patched_file(tree: Path) -> str:
    (tree / "python/caffe/draw.py").unlink()
    return "0003-block-inner-product.patch does not fit"


def patch_by_hand(tree: Path) -> str:
    command = ["patch", "-p1", "--quiet", "-i", str(PATCHES[0])]
    subprocess.run(command, cwd=tree, check=True)
    return f"{PATCHES[0].name} does not fit"


def have_a_layer_of_that_name(tree: Path) -> str:
    (tree / LAYER).write_text("// the user's own\n")
    return f"{LAYER} is not ours: move it away"


def not_a_caffe(tree: Path) -> str:
    (tree / "src/caffe/layer_factory.cpp").unlink()
    return "is not a Caffe source tree: it has no src/caffe/layer_factory.cpp"


@pytest.mark.parametrize(
    "change",
    [
        edit_patched_line,
        remove_patched_file,
        patch_by_hand,
        have_a_layer_of_that_name,
        not_a_caffe,
    ],
)
def test_where_it_does_not_fit_the_tree_stays_as_it_was(
    project: Project, users: Path, change: Callable[[Path], str]
) -> None:
    said = change(users)
    before = snapshot(users)
    assert_refused(project.overlay(users), said, str(users))
    assert snapshot(users) == before


def test_our_files_edited_in_the_tree_are_not_overwritten(project: Project, users: Path) -> None:
    assert project.overlay(users).returncode == 0
    with open(users / LAYER, "a") as stream:
        stream.write("// an experiment\n")
    before = snapshot(users)
    said = f"{LAYER} was edited since we put it there: move it away"
    assert_refused(project.overlay(users), said)
    assert snapshot(users) == before


def test_lines_edited_in_what_we_patched_are_not_overwritten(project: Project, users: Path) -> None:
    assert project.overlay(users).returncode == 0
    path = users / "src/caffe/proto/caffe.proto"
    path.write_text(path.read_text().replace("block_inner_product_param = 149;", "bip = 149;"))
    before = snapshot(users)
    said = "was changed where it had been given 0003-block-inner-product.patch"
    assert_refused(project.overlay(users), said)
    assert snapshot(users) == before


@pytest.mark.parametrize("name", ["", "no such folder", "Makefile"])
def test_no_such_tree(project: Project, name: str) -> None:
    before = snapshot(project.folder)
    done = project.overlay(name)
    assert_refused(done, "CAFFE_SRC=path" if not name else "is not a Caffe source tree")
    assert snapshot(project.folder) == before


def test_a_tree_that_cannot_be_written(project: Project, users: Path, small_disk: Path) -> None:
    remount(small_disk, "size=40m")
    tree = small_disk / "caffe"
    shutil.copytree(users, tree, symlinks=True)
    before = snapshot(tree)
    remount(small_disk, "ro")
    assert_refused(project.overlay(tree), str(tree), "Read-only file system")
    assert snapshot(tree) == before


def test_a_full_disk_leaves_the_tree(project: Project, users: Path, small_disk: Path) -> None:
    remount(small_disk, "size=40m")
    tree = small_disk / "caffe"
    shutil.copytree(users, tree, symlinks=True)
    before = snapshot(tree)
    # Room for some of the files, not for all.
    free = shutil.disk_usage(small_disk).free
    (small_disk / "filler").write_bytes(b"\0" * (free - (64 << 10)))
    assert_refused(project.overlay(tree), "No space left on device")
    assert snapshot(tree) == before
    (small_disk / "filler").unlink()
    assert project.overlay(tree).returncode == 0
