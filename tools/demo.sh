#!/bin/sh
# usage: tools/demo.sh PYTHON MAX_RSS SIZE [INPUT]: a script that is stopped for memory, and the same job done in bounds.
set -eu
python=$1 max_rss=$2 size=$3 input=${4:-demo/corpus.txt}
mkdir -p demo/vocab
if [ "$#" -lt 4 ] && [ ! -f "$input" ]; then
    echo "making $size of text, once: $input (10 seconds)"
    "$python" -m benchmarks.corpus --size "$size" --out "$input" >/dev/null
fi
# GPT-2's ranks, which oomguard brings, where tiktoken looks for them: the demo needs no network.
ranks=https://openaipublic.blob.core.windows.net/encodings/r50k_base.tiktoken
cp oomguard/preparation/encoding/vocab/r50k_base.tiktoken "demo/vocab/$(printf %s "$ranks" | sha1sum | cut -d' ' -f1)"
export TIKTOKEN_CACHE_DIR="$PWD/demo/vocab"
# A folder for each input: the same one is resumed, or shown again; another with the same name gets its own.
out="demo/tokens-$(basename "$input")-$(realpath "$input" | cksum | cut -d' ' -f1)"

oomguard="$(dirname "$python")/oomguard"

act() {  # act TITLE ARGUMENT...: print the command, then run it
    printf '\n%s\n$ %s' "$1" "$oomguard"
    shift
    printf ' %s' "$@"
    printf '\n'
    "$oomguard" "$@"
}

status=0
act "1. A script that collects all tokens in a list, under $max_rss: it is stopped, and its line is named" \
    run --max-rss "$max_rss" -- "$python" examples/naive.py "$input" demo/naive.bin || status=$?
if [ "$status" = 0 ]; then
    echo "(this input is small enough to fit: try make demo MAX_RSS=128M, or INPUT=a-larger-file)"
elif [ "$status" != 137 ]; then
    exit "$status"
fi
act "2. Where its memory goes, found without running it" check examples/naive.py --input "$input" || [ "$?" = 1 ]
act "3. The same input, tokenized within the same budget" run --max-rss "$max_rss" prepare "$input" --out "$out"
