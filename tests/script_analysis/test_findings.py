"""Scripts as people write them: each finding is found at its line, and scripts that stream are left alone."""

import sys
from pathlib import Path

import numpy as np
import pytest

from oomguard.preparation.reading.text_shape import ENGLISH, HELD
from oomguard.script_analysis.analysis import analyze_source
from oomguard.script_analysis.assessment import ADVICE

SCRIPTS = Path(__file__).parent / "scripts"
HOLDING = sorted((SCRIPTS / "holding").glob("*.py"))
CLEAN = sorted((SCRIPTS / "clean").glob("*.py"))
MARK = "# FINDING"


def found(text: str) -> set[tuple[int, str]]:
    return {(finding.line, finding.rule) for finding in analyze_source(text.encode(), ENGLISH).findings}


def marked(text: str) -> set[tuple[int, str]]:
    lines = enumerate(text.splitlines(), 1)
    return {(number, rule) for number, line in lines if MARK in line for rule in line.split(MARK)[1].split()}


@pytest.mark.parametrize("script", HOLDING, ids=lambda path: path.stem)
def test_every_finding_is_found_at_its_line_and_nothing_else(script: Path) -> None:
    text = script.read_text()
    assert marked(text)
    assert found(text) == marked(text)


@pytest.mark.parametrize("script", CLEAN, ids=lambda path: path.stem)
def test_a_script_that_streams_is_left_alone(script: Path) -> None:
    assert found(script.read_text()) == set()


def test_both_corpora_are_as_large_as_promised() -> None:
    assert len(HOLDING) >= 30
    assert len(CLEAN) >= 30


def test_every_finding_has_its_advice() -> None:
    assert {rule for script in HOLDING for _, rule in marked(script.read_text())} <= ADVICE.keys()


def test_the_peak_is_what_lives_at_one_moment_and_not_the_sum() -> None:
    """The text is let go before the ids are made into an array."""
    text = "text = open('a.txt').read()\nids = enc.encode(text)\ndel text\na = np.array(ids, dtype=np.uint16)\n"
    kept = text.replace("del text\n", "")
    both = (
        analyze_source(f"import numpy as np\n{text}".encode(), ENGLISH),
        analyze_source(f"import numpy as np\n{kept}".encode(), ENGLISH),
    )
    tokens, array = HELD["tokens"](ENGLISH), HELD["array2"](ENGLISH)
    reading = HELD["text"](ENGLISH) + 1 + tokens + 4 * ENGLISH.tokens  # with tiktoken's UTF-8 copy and its ranks
    assert both[0].peak == pytest.approx(reading)
    assert both[1].peak == pytest.approx(max(reading, HELD["text"](ENGLISH) + 1 + tokens + array))
    assert both[0].peak < sum(finding.peak for finding in both[0].findings)


def test_an_input_read_in_two_functions_counts_once() -> None:
    text = "def load():\n    return open('a.txt').read()\n\ndef main():\n    a = load()\n    return len(a)\n\nmain()\n"
    assert analyze_source(text.encode(), ENGLISH).peak == pytest.approx(8.95, abs=0.01)


@pytest.mark.parametrize(
    "hostile",
    [
        "def f(x):\n    return f(x) + g(x)\n\ndef g(x):\n    return f(x) + g(x)\n\nf(1)\n",
        "x = " + "+".join("1" for _ in range(3000)) + "\n",
        "x = 10 ** 10 ** 10 ** 10\ny = 1 << (1 << 60)\nz = 1 / 0\n",
        "class A:\n    def __iter__(self):\n        return self\n\nfor x in A():\n    pass\n",
        "a = b = c = []\na.append(a)\na[:] = a\nwhile True:\n    a += a\n",
        "\n".join(f"def f{n}():\n    f{n + 1}(); f{n + 1}(); f{n + 1}()" for n in range(30)) + "\nf0()\n",
        "async def f():\n    async for x in y:\n        async with x as z:\n            await z.read()\n",
        "match x:\n    case [a, *b]:\n        pass\ntry:\n    pass\nexcept* ValueError:\n    pass\n",
        "lambda *a, **k: (yield)\n[*x, *y] = z\n(a := [b for b in a])\n",
    ],
)  # fmt: skip
def test_no_script_makes_it_fail_or_wait(hostile: str) -> None:
    try:
        analyze_source(hostile.encode(), ENGLISH)
    except RecursionError:  # promised for what is nested deeply
        assert hostile.count("+") > 1000


@pytest.mark.parametrize("number", ["hash(word) % 50257", "len(word)"])
def test_a_number_for_each_word_is_an_id(number: str) -> None:
    text = f"ids = []\nwith open('train.txt') as file:\n    for line in file:\n        ids.extend({number} for word in line.split())\n"
    assert found(text) == {(4, "token-list")}
    assert found(text.replace("ids.extend(", "total += sum(").replace("ids = []", "total = 0")) == set()


ARRAYS = {
    "frombuffer": "np.frombuffer(line, dtype=np.uint8)",
    "wider": "np.frombuffer(line, dtype=np.uint8).astype(np.int64)",
    "in a tuple": "(1, np.frombuffer(line, dtype=np.uint8))",
}


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("program", ["for line in file: out.append({})", "out = [{} for line in file]"])
def test_an_array_for_each_line_costs_its_object_as_well(name: str, program: str) -> None:
    """By the sizes that the objects themselves tell: of short lines they are most of it."""
    text = f"import numpy as np\nout = []\nfile = open('a.bin', 'rb')\n{program.format(ARRAYS[name])}\n"
    line = b"x" * round(1 / ENGLISH.lines)
    item = eval(ARRAYS[name], {"np": np, "line": line})
    array = item[1] if name == "in a tuple" else item
    kept = sys.getsizeof(array) + 8 + (0 if array.flags.owndata else sys.getsizeof(line))
    assert 1.0 <= analyze_source(text.encode(), ENGLISH).peak / (kept * ENGLISH.lines) < 1.4
