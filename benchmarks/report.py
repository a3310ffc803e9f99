"""Results as Markdown. `python -m benchmarks.report FILE.json` writes its tables and plots anew."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from .contest import Row
from .peers import CONTESTANTS
from .plots import draw
from .results import Outcome, Results


def document(results: Results) -> str:
    """The whole report."""
    parts = [f"# Benchmark of {results.date}", about(results), "## Ratios to the engine", summary(results)]
    for outcome in results.outcomes:
        parts += [f"## {outcome.title}", rows(outcome, results.limits.gflops)]
    for title, layers in results.layers.items():
        head = ["layer", "type", "operations a byte", "ms", "GFLOP/s", "of the peak"]
        body = [
            [layer.name, layer.type, f"{layer.intensity:.1f}", f"{layer.seconds * 1e3:.2f}",
             f"{layer.gflops:.3g}", f"{layer.gflops / results.limits.gflops:.0%}"]
            for layer in layers
        ]  # fmt: skip
        parts += [f"## Layers of the engine: {title}", table(head, body)]
    return "\n\n".join([*parts, f"![time, memory and layers]({results.stem}.png)"]) + "\n"


def about(results: Results) -> str:
    """What was run where, with which versions."""
    machine, limits = results.machine, results.limits
    versions = {row.contestant: row.version for o in results.outcomes for row in o.rows if row.version}
    libraries = ", ".join(f"{CONTESTANTS[name].label} {version}" for name, version in versions.items())
    return (
        f"`{results.command}`, {results.date}, commit {results.commit}; {machine.cpu}, {machine.cores} "
        f"cores, {results.threads} threads, {machine.memory / 2**30:.0f} GiB, {machine.system}, Python "
        f"{machine.python}; instruction sets {' '.join(machine.flags) or 'not known'}. Measured limits: "
        f"{limits.gflops:.0f} GFLOP/s in a float32 matrix product (the peak below), {limits.gbytes:.0f} "
        f"GB/s in a copy. {libraries}."
    )


def summary(results: Results) -> str:
    """The ratio of every contestant in every case, and where the engine is not the fastest."""
    outcomes = results.outcomes
    names = [name for name in CONTESTANTS if any(outcome.row(name) for outcome in outcomes)]
    body = [
        [outcome.title, _time(outcome.row("engine")), *[_ratio(outcome, name) for name in names[1:]]]
        for outcome in outcomes
    ]
    head = ["net, height x width", "engine", *[CONTESTANTS[name].label for name in names[1:]]]
    lost = [line for outcome in outcomes for line in _losses(outcome)]
    text = "Its time over the engine's: above 1 the engine is faster.\n\n" + table(head, body)
    if lost:
        text += "\n\nWhere the engine is slower:\n\n" + "\n".join(f"- {line}" for line in lost)
    return text


def _losses(outcome: Outcome) -> Iterable[str]:
    faster = [(ratio, row) for row in outcome.rows if (ratio := outcome.ratio(row.contestant) or 1) < 1]
    if faster:
        who = [f"{CONTESTANTS[row.contestant].label} {1 / ratio:.2f} x" for ratio, row in sorted(
            faster, key=lambda pair: pair[0])]  # fmt: skip
        yield f"{outcome.title}: faster are {', '.join(who)}"


def rows(outcome: Outcome, peak_gflops: float) -> str:
    """One row for each contestant, the fastest first; those without a time last, with the reason."""
    head = [
        "who", "version", "median", "least to most", "ratio to the engine", "of the peak", "peak memory",
        "largest error / largest value",
    ]  # fmt: skip
    ordered = sorted(outcome.rows, key=lambda row: row.median or float("inf"))
    return table(head, [_cells(outcome, row, peak_gflops) for row in ordered])


def _cells(outcome: Outcome, row: Row, peak_gflops: float) -> list[str]:
    who = [CONTESTANTS[row.contestant].label, row.version]
    error = "" if row.error is None else f"{row.error:.1e}"
    if row.median is None:
        return [*who, f"not run: {row.reason}", "", "", "", "", error]
    gflops = outcome.gflops(row) or 0.0
    return [
        *who,
        _seconds(row.median),
        f"{_seconds(min(row.seconds))} to {_seconds(max(row.seconds))}",
        _ratio(outcome, row.contestant),
        f"{gflops / peak_gflops:.0%}",
        f"{(row.peak or 0) / 2**20:.0f} MiB",
        error,
    ]


def _ratio(outcome: Outcome, name: str) -> str:
    ratio = outcome.ratio(name)
    return "" if ratio is None else f"{ratio:.2f}"


def _time(row: Row | None) -> str:
    return _seconds(row.median) if row and row.median else "not run"


def _seconds(value: float) -> str:
    return f"{value:.2f} s" if value >= 1 else f"{value * 1e3:.{0 if value >= 0.1 else 1}f} ms"


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *body]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)


def write(results: Results, folder: Path) -> list[Path]:
    """Write JSON, Markdown and picture; returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{results.stem}.{suffix}" for suffix in ("json", "md", "png")]
    results.save(paths[0])
    paths[1].write_text(document(results), encoding="utf-8")
    draw(results, paths[2])
    return paths


def main() -> None:
    """Write the Markdown and the picture of stored results anew, beside them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("file", type=Path, help="a .json of benchmarks/results")
    file = parser.parse_args().file
    for path in write(Results.open(file), file.parent):
        print(path)


if __name__ == "__main__":
    main()
