#!/bin/sh
# try_wheel.sh PYTHON [TEST...]: build the wheel, install it where the source tree is not, and run the tests of `make check` on it.
#
# What the package forgets to bring (a module, a page's script, the vocabulary) is missed here and nowhere else.
set -eu
cd "$(dirname "$0")/.."
python=$1
shift
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$place/wheels" .
"$python" -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
    "$(echo "$place"/wheels/oomguard-*.whl)[test]"
cp -r pyproject.toml hatch_build.py Makefile ./*.md docs man tests benchmarks tools examples "$place/"
# The sources in C are no part of the wheel, and tests compile them. A folder without __init__.py hides no package.
mkdir -p "$place/oomguard/preparation/encoding"
cp -r oomguard/preparation/encoding/core "$place/oomguard/preparation/encoding/"
rm -rf "$place/tests/vm/cache"
cd "$place"
venv/bin/python -c 'import oomguard, sys; sys.exit("site-packages" not in oomguard.__file__)'
venv/bin/oomguard --version
echo "some text" >text.txt
venv/bin/oomguard prepare text.txt --out tokens --quiet
venv/bin/oomguard diagnose --log tests/captures/kernel_log/three-kills-6.1.log >/dev/null
# Left out: what compares a page with the source tree, which is not here.
venv/bin/python -m pytest -q -n "${JOBS:-auto}" --maxprocesses 8 -p no:cacheprovider \
    -m "not slow and not live and not vm and not cluster" \
    --ignore tests/test_readme.py \
    --deselect tests/test_reference.py::test_the_architecture_names_modules_that_exist "$@"
