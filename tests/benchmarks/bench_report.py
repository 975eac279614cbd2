"""Time to render a report of 80 and of 5,000 runs: `python tests/benchmarks/bench_report.py`, best of three.

Only the report is timed, from frames and results to text: no store, no statistics. Processor time of all threads, which
a busy machine changes little, and wall time. Drawing the charts takes most of it; their number does not grow with runs.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import report_inputs

from heatdrift.report.document import document_html, page_scripts
from heatdrift.report.formats.markdown import document_markdown
from heatdrift.report.page import report_document

REPEATS = 3


def best(action) -> str:
    times = []
    for _ in range(REPEATS):
        start = time.process_time(), time.perf_counter()
        action()
        times.append((time.process_time() - start[0], time.perf_counter() - start[1]))
    return f"{min(cpu for cpu, _ in times):.2f} s ({min(wall for _, wall in times):.2f} s)"


def main() -> None:
    page_scripts()  # the Vega bundle is made once per process
    sys.stdout.write("| runs | charts | sections to values and drawings | to HTML | to Markdown | page |\n")
    sys.stdout.write("|---|---|---|---|---|---|\n")
    for seeds in (5, 313):
        inp = report_inputs.simulated(seeds=seeds, results=seeds == 5)
        document = report_document(inp)
        panels = sum(len(figure.panels) for figure in document.figures)
        made, html, text = (
            best(lambda inp=inp: report_document(inp)),
            best(lambda document=document: document_html(document)),
            best(lambda document=document: document_markdown(document)),
        )
        size = len(document_html(document).encode()) / 1e6
        sys.stdout.write(f"| {inp.runs.height:,} | {panels} | {made} | {html} | {text} | {size:.2f} MB |\n")


if __name__ == "__main__":
    main()
