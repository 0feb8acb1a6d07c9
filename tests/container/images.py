"""Builds images without a Docker daemon: a stand-in for Home Assistant's base, and the real Dockerfile on it.

Owns the tools' options and the storage, which is also the cache between runs. Run as a program it builds for
another architecture (see ``script/build-arm64``). Never part of the product.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from smgw_proxy_addon import __version__

REPOSITORY: Final = Path(__file__).resolve().parents[2]
CONTEXTS: Final = {"proxy": REPOSITORY, "network": REPOSITORY / "smgw_network"}
"""The build context of each app of the store."""
SHIMS: Final = Path(__file__).parent / "base"
DEBIAN: Final = "trixie"
RECIPE: Final = 1
"""To be raised when the steps below change: with the packages and shims it names the stand-in base."""
BASE_PACKAGES: Final = "bash,ca-certificates,curl,execline,jq,s6,tzdata"
# As in Debian's images for containers; the sizes are compared with the real base otherwise.
UNPACKED_NOT: Final = ("usr/share/doc", "usr/share/locale", "usr/share/man")
# A network with its own certificate authority: what this machine trusts, the build trusts.
CA_BUNDLE: Final = Path("/etc/ssl/certs/ca-certificates.crt")
LIMITS: Final = ("--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000", "--security-opt=seccomp=unconfined")
RUN_ROOT: Final = Path("/run/smgw-proxy-tests")


def storage() -> Path:
    """Return the folder of the images; SMGW_CONTAINER_CACHE moves it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(os.environ.get("SMGW_CONTAINER_CACHE") or cache / "smgw-proxy" / "containers")


@dataclass(frozen=True, slots=True)
class Engine:
    """Podman and buildah on a storage of their own; ``driver`` is the storage driver."""

    driver: str

    def podman(self, *arguments: str, check: bool = True, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Run podman and return what it said; raises CalledProcessError when it fails."""
        return _run(
            ["podman", *self._storage(), "--cgroup-manager=cgroupfs", "--runtime=runc", *arguments],
            check,
            timeout,
        )

    def run(self, *arguments: str, timeout: float = 60) -> str:
        """Run a container (``podman run``) under limits that any builder may grant; return what it printed."""
        return self.podman("run", *LIMITS, *arguments, timeout=timeout).stdout

    def log(self, container: str) -> str:
        """Return what a container printed, both streams in the order of time."""
        done = subprocess.run(
            [*self._podman(), "logs", container],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        )
        return done.stdout

    def buildah(self, *arguments: str, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Run buildah and return what it said; raises CalledProcessError when it fails."""
        return _run(["buildah", *self._storage(), *arguments], True, timeout)

    def has(self, image: str) -> bool:
        """Tell whether the storage holds this image."""
        return self.podman("image", "exists", image, check=False).returncode == 0

    def _podman(self) -> list[str]:
        return ["podman", *self._storage(), "--cgroup-manager=cgroupfs", "--runtime=runc"]

    def _storage(self) -> list[str]:
        return [f"--root={storage()}", f"--runroot={RUN_ROOT}", f"--storage-driver={self.driver}"]


def engine() -> Engine:
    """Return the engine with the fastest storage driver that works here."""
    overlay = Engine("overlay")
    try:
        works = overlay.podman("info", check=False).returncode == 0
    except subprocess.TimeoutExpired:
        works = False
    return overlay if works else Engine("vfs")


def build_base(on: Engine, arch: str = "amd64") -> str:
    """Build the stand-in base unless the storage holds it; return its name."""
    recipe = hashlib.sha256(f"{RECIPE} {DEBIAN} {BASE_PACKAGES} {UNPACKED_NOT}".encode())
    for file in sorted(SHIMS.iterdir()):
        recipe.update(file.read_bytes())
    name = f"localhost/smgw-proxy-base-{arch}:{recipe.hexdigest()[:16]}"
    if on.has(name):
        return name
    with tempfile.TemporaryDirectory(dir=_work(), prefix="base-") as folder:
        root = Path(folder) / "root"
        _debootstrap(root, arch)
        _lay_shims(root)
        archive = Path(folder) / "base.tar"
        _run(["tar", "-C", str(root), "--numeric-owner", "-cf", str(archive), "."], True, 120)
        changes = ('ENTRYPOINT ["/init"]', "ENV LANG=C.UTF-8", "ENV S6_BEHAVIOUR_IF_STAGE2_FAILS=2")
        on.podman(
            "import",
            f"--arch={arch}",
            *(f"--change={change}" for change in changes),
            str(archive),
            name,
            timeout=300,
        )
    return name


def build_app(on: Engine, base: str, arch: str = "amd64", app: str = "proxy") -> str:
    """Build the Dockerfile of an app as the Supervisor does; return the image's name."""
    name = f"localhost/smgw-{app}-app-{arch}"
    on.buildah(
        *_build_command(arch),
        f"--build-arg=BUILD_FROM={base}",
        f"--build-arg=BUILD_VERSION={__version__}",
        f"--build-arg=BUILD_ARCH={arch.replace('arm64', 'aarch64')}",
        f"--tag={name}",
        str(CONTEXTS[app]),
    )
    # Layers of builds long past: the storage would only ever grow.
    on.podman("image", "prune", "--force", "--filter=until=240h", check=False)
    return name


def build(on: Engine, base: str, context: Path, name: str) -> str:
    """Build the ``Containerfile`` of ``context`` on ``base`` under ``name``; return the name."""
    on.buildah(*_build_command("amd64"), f"--build-arg=BUILD_FROM={base}", f"--tag={name}", str(context))
    return name


def compressed_layers(on: Engine, image: str) -> list[int]:
    """Return the sizes of the image's layers in bytes, compressed with gzip as a registry holds them."""
    with tempfile.TemporaryDirectory(dir=_work(), prefix="layers-") as folder:
        on.buildah("push", "--quiet", image, f"oci:{folder}:it")
        blobs = Path(folder) / "blobs" / "sha256"
        index = json.loads((Path(folder) / "index.json").read_bytes())
        digest = index["manifests"][0]["digest"].partition(":")[2]
        return [layer["size"] for layer in json.loads((blobs / digest).read_bytes())["layers"]]


def added_size(on: Engine, image: str, base: str) -> int:
    """Return how many compressed bytes the image adds to its base."""
    layers = on.podman("image", "inspect", "--format={{len .RootFS.Layers}}", base).stdout
    return sum(compressed_layers(on, image)[int(layers) :])


def _build_command(arch: str) -> list[str]:
    trust = [f"--volume={CA_BUNDLE}:{CA_BUNDLE}:ro"] if CA_BUNDLE.exists() else []
    # Only Docker's format knows HEALTHCHECK and SHELL.
    return ["bud", "--isolation=chroot", "--format=docker", "--layers", f"--arch={arch}", *trust]


def _debootstrap(root: Path, arch: str) -> None:
    command = ["debootstrap", "--variant=minbase", f"--arch={arch}", f"--include={BASE_PACKAGES}"]
    _run([*command, DEBIAN, str(root)], True, 1800)
    excludes = root / "etc/dpkg/dpkg.cfg.d/docker"
    excludes.write_text("".join(f"path-exclude /{folder}/*\n" for folder in UNPACKED_NOT))
    for folder in (*UNPACKED_NOT, "var/cache/apt", "var/lib/apt/lists", "var/log"):
        for each in (root / folder).iterdir():
            shutil.rmtree(each) if each.is_dir() and not each.is_symlink() else each.unlink()


def _lay_shims(root: Path) -> None:
    (root / "command").mkdir()
    for shim, place in (
        ("init", "init"),
        ("with-contenv", "command/with-contenv"),
        ("bashio", "usr/bin/bashio"),
    ):
        shutil.copy(SHIMS / shim, root / place)
        (root / place).chmod(0o755)


def _work() -> Path:
    """Return a folder for large temporary files, beside the storage: /tmp may be in memory."""
    folder = storage().parent
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _run(command: list[str], check: bool, timeout: float) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, capture_output=True, check=False, text=True, timeout=timeout, stdin=subprocess.DEVNULL
    )
    if check and done.returncode:
        sys.stderr.write(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}\n")
        done.check_returncode()
    return done


@contextmanager
def _timed(what: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    sys.stdout.write(f"{what}: {time.monotonic() - started:.0f} s\n")


def main() -> None:
    """Build base and app for one architecture; tell how long each took and what the app adds."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--arch", choices=("amd64", "arm64"), default="amd64")
    parser.add_argument("--app", choices=sorted(CONTEXTS), default="proxy")
    given = parser.parse_args()
    arch = given.arch
    on = engine()
    with _timed("stand-in base"):
        base = build_base(on, arch)
    with _timed("app"):
        image = build_app(on, base, arch=arch, app=given.app)
    sys.stdout.write(f"{image} adds {added_size(on, image, base) / 1e6:.1f} MB (gzip) to its base\n")


if __name__ == "__main__":
    main()
