"""The second app's image: what is in it, and that it reaches a gateway from the host's network."""

import json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest
import yaml

from tests.container import images
from tests.network import house
from tests.network.house import GATEWAY, House, eventually

pytestmark = [pytest.mark.container, pytest.mark.timeout(900)]

LARGEST_ADDITION = 25_000_000
PAGE_PORT = 62001
SERVICE = "/run/service/smgw-network"


@pytest.fixture(scope="session")
def network_image(engine: images.Engine, base: str) -> str:
    return images.build_app(engine, base, app="network")


@dataclass
class App:
    """A container on the host's network."""

    engine: images.Engine
    image: str
    house: House
    name: str

    @property
    def share(self) -> Path:
        """The folder that all apps share."""
        return self.house.folder / "share"

    def start(self, **options: object) -> None:
        """Make a new container, as the Supervisor does at every start, with the rights of the profile alone."""
        self.remove()
        data = self.house.folder / "data"
        for folder in (data, self.share):
            folder.mkdir(exist_ok=True)
        file = data / "options.json"
        file.write_text(json.dumps({"search": True, **options}))
        file.chmod(0o600)
        profile = (images.CONTEXTS["network"] / "apparmor.txt").read_text()
        rights = re.findall(r"(?m)^  capability (\w+),$", profile)
        assert set(rights) == {"chown", "dac_override", "kill", "net_admin", "net_raw", "setgid", "setuid"}
        self.engine.run(
            "--detach",
            "--cap-drop=all",
            *(f"--cap-add={right}" for right in rights),
            f"--name={self.name}",
            f"--network=ns:/run/netns/{self.house.namespace('hahost')}",
            "--log-driver=k8s-file",
            "--add-host=supervisor:127.0.0.2",
            "--env=TZ=Europe/Berlin",
            "--env=SUPERVISOR_TOKEN=not-a-secret",
            f"--volume={data}:/data",
            f"--volume={self.share}:/share",
            self.image,
        )

    def log(self) -> str:
        """Return the app's log."""
        return self.engine.log(self.name)

    def healthy(self) -> bool:
        """Run the image's HEALTHCHECK once."""
        return self.engine.podman("healthcheck", "run", self.name, check=False).returncode == 0

    def stop(self) -> tuple[int, float]:
        """Stop as the Supervisor does; return exit code and seconds."""
        began = time.monotonic()
        self.engine.podman("stop", "--time=10", self.name)
        return self.exit_code(), time.monotonic() - began

    def exit_code(self) -> int:
        """Return the exit code of the stopped container."""
        return int(self.engine.podman("inspect", "--format={{.State.ExitCode}}", self.name).stdout)

    def execute(self, *command: str) -> str:
        """Run a program in the container as root."""
        return self.engine.podman("exec", self.name, *command).stdout

    def remove(self) -> None:
        """Remove the container, if it is there."""
        self.engine.podman("rm", "--force", "--time=0", "--ignore", self.name)


@pytest.fixture
def app(engine: images.Engine, network_image: str, tmp_path: Path) -> Iterator[App]:
    with house.house(tmp_path) as made:
        made.host("192.168.178.20/24")
        made.add("ingress")
        made.cable("ingress", "eth0", "hahost", "veth5d6e7f8")
        made.at("hahost", "ip link set veth5d6e7f8 master hassio")
        made.at("ingress", "ip address add 172.30.32.2/23 dev eth0")
        made.start("hahost", ["tests.network.supervisor", str(PAGE_PORT)])
        app = App(engine, network_image, made, f"smgw-network-test-{os.getpid()}")
        yield app
        app.remove()


def test_it_is_small_and_holds_only_what_runs(engine: images.Engine, network_image: str, base: str) -> None:
    assert images.added_size(engine, network_image, base) <= LARGEST_ADDITION
    found = engine.run("--rm", "--network=none", "--entrypoint=find", network_image, "/", "-xdev")
    paths = [PurePosixPath(line) for line in found.splitlines()]
    names = {path.name for path in paths}
    assert not names & {"pip", "ensurepip", "requirements.txt", "smgw_proxy_addon", "config.yaml", "jinja2"}
    compiled = {path.name for path in paths if path.suffix == ".pyc"}
    assert {"keeper.cpython-313.pyc", "page.cpython-313.pyc"} <= compiled


def test_labels(engine: images.Engine, network_image: str) -> None:
    [inspected] = json.loads(engine.podman("image", "inspect", network_image).stdout)
    config = yaml.safe_load((images.CONTEXTS["network"] / "config.yaml").read_text())
    labels = inspected["Labels"]
    assert labels["io.hass.type"] == "app"
    assert labels["io.hass.version"] == labels["org.opencontainers.image.version"] == config["version"]
    assert labels["io.hass.name"] == labels["org.opencontainers.image.title"] == config["name"]
    assert labels["io.hass.description"] == config["description"]


def test_it_reaches_a_gateway_shows_its_page_and_leaves_nothing(app: App) -> None:
    app.house.gateway()
    before = app.house.picture()
    app.start()
    eventually(app.house.reaches, 40, app.log)
    file = app.share / "smgw-proxy/gateways.json"
    eventually(file.exists, 10, app.log)
    eventually(lambda: json.loads(file.read_text() or "{}").get("gateways"), 10, app.log)
    assert json.loads(file.read_text())["gateways"][0]["target"] == GATEWAY
    assert file.stat().st_uid == file.parent.stat().st_uid == 8443
    page = f"curl -fsS http://172.30.32.1:{PAGE_PORT}/"
    eventually(lambda: app.house.at("ingress", page, check=False), 20, app.log)
    assert "Theben" in app.house.at("ingress", page)
    assert app.house.at("app", page, check=False) == ""
    status = app.execute("cat", f"/proc/{app.execute('s6-svstat', '-o', 'pid', SERVICE).strip()}/status")
    assert re.search(r"^Uid:(\s+8443){4}$", status, re.MULTILINE)
    assert re.search(r"^CapEff:\s+0000000000003000$", status, re.MULTILINE)
    memory = re.search(r"(?m)^VmRSS:\s+(\d+) kB$", status)
    assert memory
    assert int(memory[1]) < 65_000
    assert app.healthy()
    code, seconds = app.stop()
    assert code == 0, app.log()
    assert seconds < 5
    assert app.house.picture() == before
    assert json.loads(file.read_text())["gateways"] == []


def test_a_bad_option_stops_it_with_one_plain_line(app: App) -> None:
    app.start(gateway="300.1.1.1")
    assert int(app.engine.podman("wait", app.name).stdout) == 2
    started, reason, stops = app.log().splitlines()
    assert started.endswith("Starting SMGW Network")
    assert reason == "smgw-network: gateway: '300.1.1.1' is no IPv4 address, such as 10.11.120.2"
    assert "The app stops" in stops


def test_a_killed_program_starts_again_and_takes_over(app: App) -> None:
    app.house.gateway()
    app.start(gateway=GATEWAY)
    eventually(app.house.reaches, 40, app.log)
    app.execute("s6-svc", "-k", SERVICE)
    eventually(lambda: app.log().count("reached: peer") >= 3, 30, app.log)
    assert app.log().count(": added") == 1
    assert "starts again in 1 s" in app.log()
    assert app.house.reaches()
    assert app.stop()[0] == 0
    assert app.house.addresses() == ["192.168.178.20"]


def test_the_libraries_of_theben_conexa_and_ha_ppc_smgw_read_through_both_apps(
    engine: images.Engine, clients: str, tmp_path: Path
) -> None:
    with house.house(tmp_path) as made:
        made.host("192.168.178.20/24")
        made.gateway("10.11.120.2", "conexa", vendor="theben")
        made.gateway("192.168.1.200", "ppc", vendor="ppc")
        network = made.network("--no-search")
        eventually(lambda: len(made.suggested()) == 2, 40, network.log)
        targets = {each["maker"]: each["target"] for each in made.suggested()}
        for maker, ports in {"Theben": (8080, 443), "PPC": (8081, 0)}.items():
            words = ["smgw_proxy_addon", "run", "--target", targets[maker], "--bind", house.APP]
            words += ["--port", str(ports[0]), *(("--https-port", str(ports[1])) if ports[1] else ())]
            words += ["--cert-dir", str(tmp_path / maker), "--log-dir", str(tmp_path / f"{maker}-logs")]
            program = made.start("app", words)
            program.waits_for(" Ready\n")
        scripts = {"read_theben.py": house.APP, "read_ppc.py": f"http://{house.APP}:8081/cgi-bin/hanservice.cgi"}
        for script, where in scripts.items():
            host = f"--network=ns:/run/netns/{made.namespace('hahost')}"
            printed = engine.run("--rm", host, clients, script, where, house.USER, house.PASSWORD)
            assert json.loads(printed), script
