#!/bin/sh
# try_versions.sh PYTHON VERSION...: run the tests of `make check` in other environments.
#
# VERSION is "lowest" (the lowest version of each dependency that pyproject.toml allows, on PYTHON) or a Python such as
# 3.12, with the newest of everything. PYTHON is that of .venv. One that this machine does not have, or for which
# nothing can be downloaded, is skipped with a word: that is not the project's fault. tests/test_reference.py stays out:
# its pages are as the Typer of .venv draws help. TESTS names files to run instead of all.
set -eu
cd "$(dirname "$0")/.."
python=$1
shift
tries=.venv-tries
skips=${OOMGUARD_SKIPS:-/dev/null}

skip() {
    echo "skipped: $1" | tee -a "$skips"
}

find_python() { # on PATH, or one of pyenv's, which its shims alone do not start
    for found in "python$1" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python; do
        if "$found" -c 'import sys; print(sys.executable)' 2>/dev/null; then
            return 0
        fi
    done
    return 1
}

if ! "$python" -m uv --version >/dev/null 2>&1 && ! "$python" -m pip install --quiet --disable-pip-version-check uv; then
    skip "other versions: uv could not be installed"
    exit 0
fi
# What pip was told of indexes and certificates counts for uv too: one of them alone would miss what the other finds.
export UV_PYTHON_DOWNLOADS=never UV_FIND_LINKS="${UV_FIND_LINKS:-${PIP_FIND_LINKS:-}}" UV_LINK_MODE=copy
failed=""
for version in "$@"; do
    home=$tries/$version
    if [ "$version" = lowest ]; then
        of=$("$python" -c 'import sys; print(sys.executable)')
        resolution=lowest-direct
    else
        resolution=highest
        if ! of=$(find_python "$version"); then
            skip "Python $version: there is none on this machine"
            continue
        fi
    fi
    rm -rf "$home"
    "$python" -m uv venv --quiet --no-project --python "$of" "$home"
    # First what a user gets, then the tools of the tests beside it, which must not raise a version of the first.
    if ! "$python" -m uv pip install --quiet --python "$home" --resolution "$resolution" '.[html,stack]'; then
        if [ "$resolution" = lowest-direct ]; then
            echo "error: the lowest allowed versions cannot be installed together" >&2
            failed="$failed $version"
        else
            skip "Python $version: not all dependencies could be installed"
        fi
        continue
    fi
    "$python" -m uv pip freeze --python "$home" | grep -v '^oomguard' >"$home/versions"
    "$python" -m uv pip install --quiet --python "$home" --constraint "$home/versions" \
        'hypothesis>=6.131' 'pytest>=8' 'pytest-xdist>=3.6' regex
    # Installed for its dependencies; the tests take the package from this folder.
    "$python" -m uv pip uninstall --quiet --python "$home" oomguard
    "$python" -m uv pip install --quiet --python "$home" --no-deps --editable .
    echo "$version: $("$home/bin/python" --version), $(grep -E '^(numpy|pyarrow|tiktoken|typer|rich|psutil|pystack)=' "$home/versions" | tr '\n' ' ')"
    "$home/bin/python" -m pytest -q -n "${JOBS:-auto}" --maxprocesses 8 -p no:cacheprovider \
        -m "not slow and not live and not vm and not cluster" --ignore tests/test_reference.py ${TESTS:-} || failed="$failed $version"
done
if [ -n "$failed" ]; then
    echo "error: failed with$failed" >&2
    exit 1
fi
