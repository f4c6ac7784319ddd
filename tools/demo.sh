#!/bin/sh
# usage: tools/demo.sh PYTHON MAX_RSS SIZE [INPUT]: prepare INPUT, or a corpus that is made on the spot, inside a budget.
set -eu
python=$1 max_rss=$2 size=$3 input=${4:-demo/corpus.txt}
mkdir -p demo
if [ "$#" -lt 4 ] && [ ! -f "$input" ]; then
    echo "making $size of text: $input"
    "$python" -m benchmarks.corpus --size "$size" --out "$input" >/dev/null
fi
# Each input has its folder: the same one goes on or is shown again.
out="demo/tokens-$(basename "$input")"
echo "+ oomguard run --max-rss $max_rss prepare $input --out $out"
"$python" -m oomguard run --max-rss "$max_rss" prepare "$input" --out "$out"
