import re

import pytest

from benchmarks import __main__, report, sampler, taps
from benchmarks.timing import paired
from tests.support.gradcam_models import cnn


def _run(monkeypatch, capsys, **options) -> str:
    processor = {"graph": [1.0] * 3} | ({"torch": [2.0] * 3} if sampler.HAS_TORCH else {})
    alone = {"processor": processor, "memory": {"graph": [0.0, 1.0, 9.0]}}
    monkeypatch.setattr(sampler, "measure_alone", lambda shape, pairs: alone)
    tiny = (sampler.Shape((2, 5, 6, 3), (4, 7), {"forward": 1e-9}),)
    sampler.main(tiny, pairs=1, **options)
    return capsys.readouterr().out


@pytest.mark.slow
def test_sampler_benchmark_runs_without_torch(monkeypatch, capsys):
    monkeypatch.setattr(sampler, "HAS_TORCH", False)
    text = _run(monkeypatch, capsys)
    assert "torch is not installed: no ratios" in text
    assert text.count("2x5x6x3 to 4x7") == len(sampler.QUANTITIES) + 1
    assert ("9.0!" in text) == sampler.memory.MEASURABLE
    assert "(" not in text.split("2x5x6x3 to 4x7")[1].splitlines()[0]
    assert max(map(len, text.splitlines())) <= 110


def test_ratios_beyond_the_bar_are_marked():
    pytest.importorskip("torch")
    tiny = (sampler.Shape((2, 5, 6, 3), (4, 7), {"forward": 1e-9}),)
    text = sampler._times(tiny, "forward", 1, markdown=True)
    assert text.startswith("**Forward**")
    row = next(line for line in text.splitlines() if line.startswith("| 2x5x6x3"))
    assert row.count("!)") + row.count("!~)") >= 2


def test_a_candidate_that_computes_something_else_is_refused():
    with pytest.raises(RuntimeError, match="wrong does not compute what four gathers do"):
        sampler._check("wrong", [[1.0, 2.0]], [[1.0, 3.0]])


def test_paired_times_every_call_in_every_round():
    called = []
    times = paired({"a": lambda: called.append("a"), "b": lambda: called.append("b")}, 3)
    assert {name: values.shape for name, values in times.items()} == {"a": (3,), "b": (3,)}
    assert (times["a"] > 0).all()
    assert set(called) == {"a", "b"}


def test_table_aligns_columns_and_writes_markdown():
    given = ("Title", ["name", "n"], [["a", "10"], ["long", "2"]])
    assert report.table(*given, markdown=False).splitlines() == [
        "Title", "name   n", "--------", "a     10", "long   2",
    ]  # fmt: skip
    assert report.table(*given, markdown=True).splitlines()[2:] == [
        "| name |  n |", "| ---- | -: |", "| a    | 10 |", "| long |  2 |",
    ]  # fmt: skip


def test_taps_are_compared_with_the_forward_pass(monkeypatch, capsys):
    monkeypatch.setattr(taps, "MODELS", {"tiny": lambda weights, input_shape: cnn(size=16)})
    taps.main(markdown=True, size=16, pairs=1)
    rows = [re.findall(r"[^| ]+", line) for line in capsys.readouterr().out.splitlines()[-2:]]
    assert [row[:2] for row in rows] == [["tiny", "1"], ["tiny", "8"]]
    assert all(float(number) > 0 for row in rows for number in row[2:])
    assert {len(row) for row in rows} == {len(taps.HEADER)}


def test_an_unknown_benchmark_is_refused_with_the_known_names(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "samler"])
    with pytest.raises(SystemExit):
        __main__.main()
    assert re.search("no benchmark is called samler; there are .*sampler", capsys.readouterr().err)


def test_benchmarks_are_run_by_name(monkeypatch, capsys):
    def one() -> None:
        print("one")

    def two(*, markdown: bool) -> None:
        print("two", markdown)

    monkeypatch.setattr(__main__, "mains", lambda: {"one": one, "two": two})
    monkeypatch.setattr("sys.argv", ["benchmarks", "--markdown"])
    __main__.main()
    monkeypatch.setattr("sys.argv", ["benchmarks", "one"])
    __main__.main()
    assert capsys.readouterr().out.splitlines() == ["one", "two True", "one"]
