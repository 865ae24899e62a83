"""The command `statgrove`.

    statgrove serve                                    the pages, with a worker
    statgrove worker                                   a worker beside a server elsewhere
    statgrove templates                                what there is
    statgrove questions TEMPLATE [--dataset D]         what it asks
    statgrove run TEMPLATE --dataset D --inputs S --out DIR
    statgrove run --command "RunStatJR(...)" --out DIR
    statgrove longer RUN [--more N] [--out DIR]        go on from the chains of a run that has ended
    statgrove address                                  an address that opens the running server, once
    statgrove token                                    the secret that programs send to it
    statgrove warm                                     compile all kernels now

Exit codes of `run` and `longer`: 0 succeeded, 2 bad input (the problems on standard error, one a line), 1 failed,
130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

OK, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    from pydantic import ValidationError

    from app.settings import Settings
    from templates_engine.problems import Refused

    chosen = _parser().parse_args(argv)
    try:
        Settings()
    except ValidationError as wrong:
        for fault in wrong.errors():
            name = "_".join(map(str, fault["loc"])).upper()
            name = name if name.startswith("STATGROVE_") else f"STATGROVE_{name}"
            said = fault["msg"].removeprefix("Value error, ")
            print(f"The setting {name} cannot be used: {said[:1].lower()}{said[1:]}.", file=sys.stderr)
        return BAD_INPUT
    try:
        return int(chosen.do(chosen))
    except Refused as refused:
        for problem in refused.problems:
            print(" ".join(problem.line().split()), file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `statgrove templates | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="statgrove", description="Statistical templates: ask, run, follow, fetch.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    one = commands.add_parser("serve", help="serve the pages on this machine, with a worker")
    one.add_argument("--host", help="interface (default 127.0.0.1)")
    one.add_argument("--port", type=int, help="port (default 8600, or the next free one)")
    one.add_argument("--workers", type=int, help="runs carried out at the same time (default 2)")
    one.add_argument("--data", help="folder of the database, datasets and results")
    one.add_argument("--no-browser", action="store_true", help="do not open the browser")
    one.add_argument("--no-worker", action="store_true", help="workers are started elsewhere")
    one.set_defaults(do=_serve)

    one = commands.add_parser("worker", help="carry out runs from the queue")
    one.add_argument("--concurrency", type=int, help="runs carried out at the same time (default 2)")
    one.add_argument("--queues", default="cpu,gpu", help="queues served (default cpu,gpu)")
    one.set_defaults(do=_worker)

    one = commands.add_parser("address", help="print an address that opens the running server, once")
    one.set_defaults(do=_address)

    one = commands.add_parser("token", help="print the secret that programs send to the server in a header")
    one.set_defaults(do=_token)

    one = commands.add_parser("templates", help="list the templates")
    one.set_defaults(do=_templates)

    one = commands.add_parser("questions", help="list what a template asks")
    one.add_argument("template")
    one.add_argument("--dataset", help="a file or a dataset's name: then what can be chosen is listed too")
    one.add_argument("--inputs", default="", help="answers so far: an input string, or @file")
    _reading(one)
    one.set_defaults(do=_questions)

    one = commands.add_parser("run", help="run a template and write its outputs")
    one.add_argument("template", nargs="?", help="the template's name")
    one.add_argument("--dataset", help="a file or a dataset's name")
    one.add_argument("--inputs", help="the answers: an input string, or @file")
    one.add_argument("--command", help="a whole RunStatJR(...) command, or @file, instead of the above")
    one.add_argument("--out", help="folder that the outputs are written into", required=True)
    one.add_argument("--quiet", action="store_true", help="no progress bar")
    _reading(one)
    one.set_defaults(do=_run)

    one = commands.add_parser("longer", help="make a run longer: a new run that goes on from its chains")
    one.add_argument("run", type=int, metavar="RUN", help="the run's number")
    one.add_argument("--more", type=int, help="iterations of each chain, or imputed datasets, to add (default: as many "
                     "as there are; of a run that was stopped 0, which finishes what was asked for)")  # fmt: skip
    one.add_argument("--out", help="folder that the outputs are written into, too")
    one.add_argument("--quiet", action="store_true", help="no progress bar")
    one.set_defaults(do=_longer)

    one = commands.add_parser("warm", help="compile all kernels into the cache")
    one.set_defaults(do=_warm)
    return parser


def _reading(one: argparse.ArgumentParser) -> None:
    one.add_argument(
        "--read",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="how the file is read, where it is not as found: encoding, separator, decimal, first, names, missing, "
        "totals, sheet, kind:COLUMN; may be repeated",
    )


def _dataset(named: str, chosen: argparse.Namespace) -> Any:
    """The dataset of a file or name; what was decided on reading a file goes to standard error."""
    from app import inline

    told = dict(part.partition("=")[::2] for part in chosen.read)
    row = inline.find_dataset(named, {option.strip(): value for option, value in told.items()})
    if row.note and row.source == "upload":
        print(f"{row.name}: {' '.join(row.note.split())}", file=sys.stderr)
    return row


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from importlib.metadata import version

        print(f"statgrove {version('statgrove')}")
        parser.exit()


def _serve(chosen: argparse.Namespace) -> int:
    _set(host=chosen.host, port=chosen.port, workers=chosen.workers, data=chosen.data)
    from app import logs
    from app.supervisor import serve

    logs.begin()

    return serve(open_browser=not chosen.no_browser, with_worker=not chosen.no_worker)


def _worker(chosen: argparse.Namespace) -> int:
    from app import logs
    from app.settings import settings
    from app.supervisor import work

    logs.begin()
    return work(chosen.concurrency or settings().workers, chosen.queues)


def _address(_: argparse.Namespace) -> int:
    from app import place
    from app.supervisor import running

    place.ready()
    for address in (found := running()):
        print(address)
    if not found:
        print("No server is running on this data folder.", file=sys.stderr)
    return OK if found else FAILED


def _token(_: argparse.Namespace) -> int:
    from app import keys, place

    place.ready()
    print(keys.token())
    return OK


def _templates(_: argparse.Namespace) -> int:
    from templates_engine import registry

    heading = None
    for template in registry.all().values():
        if template.heading != heading:
            print(f"{'' if heading is None else chr(10)}{template.heading}")
            heading = template.heading
        print(f"  {template.name:<22} {template.title}")
    for one in registry.broken():
        print(one.sentence, file=sys.stderr)
    return OK


def _questions(chosen: argparse.Namespace) -> int:
    from app.listing import open_questions, pattern_list
    from templates_engine import registry

    template = registry.get(chosen.template)
    if not chosen.dataset:
        print(pattern_list(template))
        return OK
    from app import inline

    inline.prepare()
    answers, problems = open_questions(template, _dataset(chosen.dataset, chosen), _read_inputs(chosen.inputs)[0])
    print(answers)
    for problem in problems:
        print(" ".join(problem.line().split()), file=sys.stderr)
    return BAD_INPUT if problems else OK


def _run(chosen: argparse.Namespace) -> int:
    from app import inline
    from templates_engine import registry

    template, dataset, answers = _asked_for(chosen)
    inline.check_out(Path(chosen.out))
    registry.get(template)  # before the data are read, which may take long
    inline.prepare()
    row = _dataset(dataset, chosen)
    return _show(chosen, lambda tell: inline.carry_out(template, row, answers, origin="cli", tell=tell))


def _longer(chosen: argparse.Namespace) -> int:
    from app import inline

    if chosen.out:
        inline.check_out(Path(chosen.out))
    inline.prepare()
    return _show(chosen, lambda tell: inline.longer(chosen.run, chosen.more, origin="cli", tell=tell))


def _show(chosen: argparse.Namespace, work: Callable[[Callable[[dict[str, Any]], None]], Any]) -> int:
    """Carry out a run with its progress shown, and write what it gives; the exit code."""
    signal.signal(signal.SIGTERM, _interrupt)
    bar = _Bar(quiet=chosen.quiet)
    run = work(bar.show)
    bar.close()
    code = _finish(run, Path(chosen.out) if chosen.out else None)
    if code == INTERRUPTED:  # a calculation that did not stop must not keep the command from ending
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def _finish(run: Any, out: Path | None) -> int:
    """Say how the run ended and write what there is; the exit code."""
    from app import folders, inline

    for problem in run.problems:
        if problem.get("level") == "notice":
            print(f"note: {' '.join(problem['message'].split())}", file=sys.stderr)
    if run.state == "failed":
        lines = run.message.splitlines() or ["The run failed."]
        for line in lines:
            print(line, file=sys.stderr)
        if run.trace:
            print(f"\n{run.trace}", file=sys.stderr)
        return BAD_INPUT if any(p.get("level", "error") == "error" for p in run.problems) else FAILED
    where = f"{len(inline.write_out(run, out))} files in {out}" if out else str(folders.folder(run))
    print(f"run {run.id}: {where}" + ("" if run.state == "done" else f"  ({run.message})"))
    return OK if run.state == "done" else INTERRUPTED


def _warm(_: argparse.Namespace) -> int:
    import importlib

    from app import inline

    inline.prepare()
    workers = importlib.import_module("workers.preload")
    workers.warming.warm_all(workers.cores(), lambda ready, of: print(f"Getting ready: {ready} of {of}", flush=True))
    return OK


def _asked_for(chosen: argparse.Namespace) -> tuple[str, str, dict[str, str]]:
    """Template, dataset and answers, from --inputs or from --command. Refused where one is not given."""
    from templates_engine.problems import Problem, Refused

    if chosen.command and chosen.inputs:
        raise Refused(Problem("both", "give --inputs or --command, not both.", key="--command"))
    answers, named, data = _read_inputs(chosen.command or chosen.inputs or "")
    if chosen.template and named and chosen.template != named:
        raise Refused(Problem("both", f"the command is for {named}, not for {chosen.template}.", key="--command"))
    template, dataset = chosen.template or named, chosen.dataset or data
    missing = []
    if not template:
        missing.append(Problem("missing", "name a template, or give --command.", key="TEMPLATE"))
    if not dataset:
        missing.append(Problem("missing", "give a file or a dataset's name.", key="--dataset"))
    if missing:
        raise Refused(missing)
    return template, dataset, answers


def _read_inputs(text: str) -> tuple[dict[str, str], str, str]:
    """Answers, template and dataset of an input string or command; "@file" is read from the file."""
    from templates_engine import inputs
    from templates_engine.problems import Problem, Refused

    if text.startswith("@"):
        try:
            text = Path(text[1:]).expanduser().read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise Refused(Problem("no-file", f"{text[1:]} cannot be read ({error}).", key="--inputs")) from None
    if not text.strip():
        return {}, "", ""
    parsed = inputs.read(text)
    wrong = [p for p in parsed.problems if p.level == "error"]
    if wrong:
        raise Refused(wrong)
    return dict(parsed.answers), parsed.template or "", parsed.dataset or ""


class _Bar:
    """The progress on standard error: one line that is written over on a terminal, none elsewhere."""

    def __init__(self, *, quiet: bool):
        self._on = not quiet and sys.stderr.isatty()
        self._shown = ""

    def show(self, progress: dict[str, Any]) -> None:
        if not self._on:
            return
        percent = float(progress.get("percent") or 0)
        left = progress.get("left")
        width = 24
        full = round(width * percent / 100)
        line = f"[{'#' * full}{'.' * (width - full)}] {percent:5.1f} %  {progress.get('step') or ''}"
        if left is not None and percent < 100:
            line += f"  {_clock(float(left))} left"
        if line != self._shown:
            print(f"\r\x1b[K{line[:110]}", end="", file=sys.stderr, flush=True)
            self._shown = line

    def close(self) -> None:
        if self._shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    whole = int(seconds + 0.5)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02} s"


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _set(**given: object) -> None:
    """Settings given on the command line, for this process and those it starts."""
    for name, value in given.items():
        if value is not None:
            os.environ[f"STATGROVE_{name.upper()}"] = str(value)


if __name__ == "__main__":
    sys.exit(main())
