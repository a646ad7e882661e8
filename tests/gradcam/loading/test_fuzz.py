"""Mutated and crafted files, opened in a process under a watchdog: every answer is in words.

A few seconds here; `python -m tests.support.fuzzing COUNT [SEED]` for as many as wanted.
"""

from tests.support import fuzzing


def check(count, seed, seconds):
    outcomes, bad = fuzzing.search(count, seed, seconds=seconds)
    assert bad == [], f"seed {seed}: " + "; ".join(f"{n} {kind} {text}" for n, kind, text in bad)
    return outcomes


def test_a_hundred_files_that_somebody_changed():
    outcomes = check(100, seed=1, seconds=60)
    assert {kind for kind, _ in outcomes} == set(fuzzing.KINDS)
    assert any(result == "opened" for _, result in outcomes)
    assert len({result for _, result in outcomes}) > 5


def test_a_watchdog_that_sees_nothing_is_noticed(monkeypatch, tmp_path):
    # What is broken on purpose has to be found: an error of Python's own, in the other process.
    (tmp_path / "model.h5").write_bytes(b"x")
    outcomes, bad = fuzzing.Counter(), []
    watched = fuzzing.Watched(tmp_path, 0)  # no whole files: every case fails to be made
    try:
        outcomes[watched.run(0)] += 1
    finally:
        watched.stop()
    assert next(iter(outcomes))[1].startswith("CRASH"), bad
