#!/bin/sh
# Hostile text for the encoder core, compiled with sanitizers: fuzz_core.sh PYTHON SECONDS. Each of the six splitters has a
# sixth of the time. With clang the inputs are found by coverage, else they are random.
set -eu
export PYTHONPATH="$(dirname "$0")/.."
python=$1 seconds=$(($2 / 6))
root=$(dirname "$0")/..
core=$root/oomguard/preparation/encoding/core
harness=$root/tests/preparation/encoding/core_fuzz.c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-std=c11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all -I$core"
compiler=cc
if command -v clang >/dev/null; then
    compiler=clang flags="$flags -fsanitize=fuzzer-no-link"
fi
CC=$compiler "$python" - "$core" "$work" $flags <<'PYTHON'
import pathlib, platform, sys
import hatch_build
source, work, *flags = sys.argv[1:]
compiler = hatch_build.find_compiler()
hatch_build.compile_objects(pathlib.Path(source), pathlib.Path(work), compiler=compiler, machine=platform.machine(), flags=flags)
PYTHON
if [ "$compiler" = clang ]; then
    clang $flags -fsanitize=fuzzer -DOG_LIBFUZZER "$harness" "$work"/*.o -o "$work/fuzz"
else
    cc $flags "$harness" "$work"/*.o -o "$work/fuzz"
fi
for splitter in "0 0" "1 2" "1 0" "1 1" "2 0" "2 5"; do
    set -- $splitter
    ranks=$root/oomguard/preparation/encoding/vocab/r50k_base.tiktoken
    if [ "$compiler" = clang ]; then
        OOMGUARD_FUZZ_RANKS=$ranks OOMGUARD_FUZZ_FAMILY=$1 OOMGUARD_FUZZ_SWITCHES=$2 \
            "$work/fuzz" -max_total_time="$seconds" -max_len=1500 -timeout=60 -artifact_prefix="$root/"
    else
        "$work/fuzz" "$ranks" "$1" "$2" "$seconds" "$(date +%s)"
    fi
done
