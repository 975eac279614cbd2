"""Fuzz of everything that heatdrift reads: changed files give our error with the file's name, or a right reading.

``python tests/soak/fuzz.py FOLDER [--inputs 100000] [--seed 1] [--processes 2] [--kind NAME]`` prints one JSON object:
inputs, refusals and readings by kind, and every finding with the input that gave it (kept in FOLDER/found). A finding
is any other exception, an error that does not name the file, a store changed by a refusal, 10 seconds of work, a minute
of standstill, 2 GiB of memory, or a process that died. Kind, number and seed give the same bytes every time.

Processes are started anew by the parent, which learns from a death or a standstill at which input it was.
"""

import argparse
import importlib
import json
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

SECONDS = 10  # of processor time that one input may take: machines differ in how busy they are
MEMORY = 2 * 2**30  # bytes more than the process had before its first input
STALLED = 60  # seconds without a word, its start among them: native code that no signal ends
FINE = ("read", "refused")
INPUTS = "fuzz_inputs"  # the module that has kinds()
TEXTS = "null NaN -Infinity 1e999 1e-400 1_0 -1 0 true 99999999999999999999 2026-99-99 \\ud800 ../../etc/passwd $(id)"
TOKENS = (
    *(text.encode() for text in TEXTS.split()),
    *(b"\x00", b"\xff", b"\xff\xfe", b"\xed\xa0\x80", b"\x1b[31m", b"\r\n", b"\xc2\x85", b"\xff" * 8, b"\x00" * 64),
    *(b"'", b'"', b"{", b"]}", b"#", b",,,,", b"\t", b"[" * 300, b"9" * 400, b"[a]\nb=1\n", b"=cmd|' /C calc'!A0"),
    *(b"\x80\x04\x95", b"PK\x03\x04", b"PAR1", b"GIF89a", b"%!PS", b"\x1f\x8b", b"\x7f\xff\xff\xff"),
)


def changed(whole: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """Return bytes that differ from `whole`: bits flipped, cut, spliced, tokens put in, parts doubled, or several."""
    data = bytearray(whole)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 6))):
        at = rng.randrange(len(data) + 1)
        match rng.randrange(9):
            case 0 | 1 | 2 if data:
                data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
            case 3:
                del data[at:]
            case 4:
                token = rng.choice(TOKENS)
                data[at : at + rng.choice((0, len(token)))] = token
            case 5:
                del data[at : at + rng.randrange(1, 40)]
            case 6:
                size = rng.randrange(1, 200)
                data[at:at] = data[at : at + size] * rng.randrange(1, 30)
            case 7:
                other = rng.choice(others)
                start = rng.randrange(len(other))
                data[at:] = other[start : start + rng.randrange(1, 2000)]
            case _ if data:
                data[at : at + 1] = bytes([rng.choice((0, 1, 127, 128, 255, rng.randrange(256)))])
    return bytes(data)


def _kinds(module: str, scratch: Path) -> list[Any]:
    found: list[Any] = importlib.import_module(module).kinds(scratch)
    return found


class StandstillError(BaseException):
    """One input took too long; no `Exception`, so that nothing of ours takes it for a decoder's word."""


def _stop(*_: object) -> None:
    raise StandstillError


def work(folder: Path, jobs: list[tuple[str, int]], seed: int, report: IO[str], module: str = INPUTS) -> None:
    """Read the inputs `jobs` (kind, number) and write two lines for each: that it begins, and what came of it."""
    scratch = folder / f"process-{Path(report.name).stem}"
    place, store = scratch / "in", scratch / "runs"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    known = {kind.name: kind for kind in _kinds(module, scratch)}
    others = [kind.whole for kind in known.values()]
    signal.signal(signal.SIGPROF, _stop)
    for name, number in jobs:
        whole = known[name].whole
        for made in (place, store):
            shutil.rmtree(made, ignore_errors=True)
            made.mkdir()
        path = place / name.split()[0]
        rng = random.Random(f"{seed} {name} {number}")
        path.write_bytes(changed(whole, others, rng) if number else whole)
        report.write(f"{name}\t{number}\tbegins\n")
        report.flush()
        said = _outcome(lambda kind=known[name], path=path: kind.read(path, store), path, store)
        if number == 0 and said == "refused":
            said = "the whole file is refused"
        if said not in FINE:
            _keep(folder, name, number, path)
        report.write(f"{name}\t{number}\t{ascii(said)[1:-1]}\n")
        report.flush()
    shutil.rmtree(scratch, ignore_errors=True)


def _outcome(read: Callable[[], object], path: Path, store: Path) -> str:
    """Say what came of one input, within the limits of time and memory."""
    from heatdrift.errors import HeatdriftError

    statm = Path("/proc/self/statm")
    if statm.exists():
        size = int(statm.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, resource.RLIM_INFINITY))
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        read()
    except HeatdriftError as error:
        if not any(str(name) in error.message for name in (path.name, path.parent, store)):
            return f"the error does not name the file: {error.message[:300]}"
        left = [p.name for p in (store / "s").rglob("*") if p.is_file()]
        return f"refused, and the store was changed: {left}" if left else "refused"
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  whatever it is, it is the finding
        at = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {str(error)[:200]} ({Path(at.filename).name}:{at.lineno})"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return "read"


def _keep(folder: Path, name: str, number: int, path: Path) -> None:
    """Keep the input that gave a finding."""
    found = folder / "found" / f"{number}-{name.replace(' ', '-')}"
    found.parent.mkdir(exist_ok=True)
    shutil.copyfile(path, found)


class Lane:
    """A process at work on its share of the inputs, started again behind an input that ended it."""

    def __init__(self, folder: Path, number: int, jobs: list[tuple[str, int]], seed: int, module: str) -> None:
        self.folder, self.number, self.seed, self.module = folder, number, seed, module
        self.seen: dict[tuple[str, int], str] = {}
        self.starts = 0
        self._start(jobs)

    def _start(self, jobs: list[tuple[str, int]]) -> None:
        self.starts += 1
        self.left = jobs
        self.log = self.folder / f"{self.number}-{self.starts}.log"
        self.log.write_text("", encoding="ascii")
        listed = self.log.with_suffix(".json")
        listed.write_text(json.dumps(jobs), encoding="ascii")
        command = [sys.executable, __file__, str(self.folder), "--seed", str(self.seed), "--module", self.module]
        with self.log.with_suffix(".err").open("wb") as errors:
            self.process = subprocess.Popen([*command, "--work", str(listed)], stdout=subprocess.DEVNULL, stderr=errors)

    def goes_on(self) -> bool:
        """Whether there is more to do; a process that died or stands still is replaced."""
        ended = self.process.poll()
        if ended is None and time.time() - self.log.stat().st_mtime < STALLED:
            return True
        if ended is None:
            self.process.kill()
            self.process.wait()
        began = None
        for line in self.log.read_text(encoding="ascii").splitlines():
            name, number, said = line.split("\t")
            began = (name, int(number)) if said == "begins" else None
            if said != "begins":
                self.seen[name, int(number)] = said
        if began is None and ended == 0:
            return False
        if began is None:  # it did not get as far as an input
            raise RuntimeError(self.log.with_suffix(".err").read_text(encoding="utf-8", errors="replace")[-3000:])
        self.seen[began] = "stands still in native code" if ended is None else f"the process ended with {ended}"
        _keep(self.folder, *began, self.folder / f"process-{self.log.stem}" / "in" / began[0].split()[0])
        rest = self.left[self.left.index(began) + 1 :]
        if rest:
            self._start(rest)
        return bool(rest)


def fuzz(
    folder: Path, *, inputs: int, seed: int, processes: int, only: str | None = None, module: str = INPUTS
) -> dict[str, Any]:
    """Run the fuzz and return its counts and findings (see the module)."""
    folder.mkdir(parents=True, exist_ok=True)
    known = [kind for kind in _kinds(module, folder) if only in (None, kind.name)]
    total = sum(kind.share for kind in known)
    jobs = [(kind.name, number) for kind in known for number in range(max(2, round(inputs * kind.share / total)))]
    random.Random(seed).shuffle(jobs)  # so that every process has its share of the slow ones
    began = time.monotonic()
    lanes = [Lane(folder, number, jobs[number::processes], seed, module) for number in range(processes)]
    at_work = lanes
    while at_work := [lane for lane in at_work if lane.goes_on()]:
        time.sleep(0.2)
    seen = {job: said for lane in lanes for job, said in lane.seen.items()}
    counts = {kind.name: Counter[str]() for kind in known}
    for (name, _), said in seen.items():
        counts[name][said if said in FINE else "found"] += 1
    return {
        "seed": seed,
        "inputs": len(seen),
        "outcomes": dict(sum(counts.values(), Counter())),
        "kinds": {name: dict(count) for name, count in counts.items()},
        "findings": [
            {"kind": name, "input": number, "what": said} for (name, number), said in seen.items() if said not in FINE
        ],
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--kind")
    parser.add_argument("--module", default=INPUTS, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.work:
        jobs = [(name, number) for name, number in json.loads(asked.work.read_text(encoding="ascii"))]
        with asked.work.with_suffix(".log").open("a", encoding="ascii") as report:
            work(asked.folder, jobs, asked.seed, report, asked.module)
        return
    found = fuzz(
        asked.folder,
        inputs=asked.inputs,
        seed=asked.seed,
        processes=asked.processes,
        only=asked.kind,
        module=asked.module,
    )
    sys.stdout.write(json.dumps(found, indent=1) + "\n")
    sys.exit(1 if found["findings"] else 0)


if __name__ == "__main__":
    main()
