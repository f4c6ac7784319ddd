#!/bin/sh
# try_wheel.sh PYTHON: build the wheel, install it where the source tree is not, and run the tests of `make check` on it.
#
# What the package forgets to bring (a module, a page's script, the vocabulary) is missed here and nowhere else.
set -eu
cd "$(dirname "$0")/.."
python=$1
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir "$place/wheels" .
"$python" -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
    "$(echo "$place"/wheels/oomguard-*.whl)[test]"
cp -r pyproject.toml hatch_build.py README.md docs tests benchmarks tools examples "$place/"
rm -rf "$place/tests/vm/cache"
cd "$place"
venv/bin/python -c 'import oomguard, sys; sys.exit("site-packages" not in oomguard.__file__)'
venv/bin/oomguard --version
echo "some text" >text.txt
venv/bin/oomguard prepare text.txt --out tokens --quiet
venv/bin/oomguard diagnose --log tests/captures/kernel_log/three-kills-6.1.log >/dev/null
venv/bin/python -m pytest -q -n "${JOBS:-auto}" --maxprocesses 8 -p no:cacheprovider \
    -m "not slow and not live and not vm" --ignore tests/test_readme.py --ignore tests/test_demo.py \
    --ignore tests/test_reference.py --ignore tests/preparation/encoding/test_core_hardened.py \
    --ignore tests/preparation/encoding/test_splitters.py  # of the checkout: its documents, its sources in C
