"""The command `python -m diff_audio.live`: speech from a microphone without noise, live."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diff_audio.weights import path_of
from diff_core.command import App, Failures, options, run, usage, use
from diff_core.lines import print_line

if TYPE_CHECKING:
    from diff_audio.jobs.live import Session

__all__ = ["app", "main"]

COMMAND = "diff_audio.live"
NONE = (
    "no live denoiser comes with this version; train one by `python -m diff_audio.train live`, "
    "and name it by --weights"
)
SHOWN = 0.1  # seconds between two views of the meter

app = App()

FILES = options.FILES

Microphone = Annotated[
    str | None,
    typer.Option(metavar="DEVICE", help="Number or part of the name; default: the system's."),
]
Loudspeaker = Annotated[
    str | None,
    typer.Option(
        metavar="DEVICE",
        help="Number or part of the name; default: the system's. A virtual cable brings the sound "
        "into a call.",
    ),
]
ListDevices = Annotated[bool, typer.Option("--devices", help="List the devices and stop.")]
Source = Annotated[
    Path | None,
    typer.Option(
        "--from", help="A recording in place of the microphone; needs --to.", rich_help_panel=FILES
    ),
]
Target = Annotated[
    Path | None,
    typer.Option(
        "--to", help="A file in place of the loudspeaker, at 16 kHz.", rich_help_panel=FILES
    ),
]
Keep = Annotated[
    float,
    typer.Option(metavar="SHARE", help="Share of the input that stays in the output, 0 to 1."),
]
Hops = Annotated[
    int,
    typer.Option(
        help="Frames computed at once, 1 or 2. 2, the default, is 40 ms late; 1 is 32 ms late and "
        "takes twice the processor time."
    ),
]
Seconds = Annotated[float | None, typer.Option(min=0.0, help="Stop after this time.")]


@app.command(
    examples={
        "--weights run/live.safetensors": "Listen and speak; b bypasses, q ends.",
        "--weights run/live.safetensors --loudspeaker cable": "Send the sound into a call.",
        "--weights run/live.safetensors --from in.wav --to out.wav": "Try it on a file.",
    }
)
def live(
    microphone: Microphone = None,
    loudspeaker: Loudspeaker = None,
    devices: ListDevices = False,
    source: Source = None,
    target: Target = None,
    keep: Keep = 0.0,
    hops: Hops = 2,
    seconds: Seconds = None,
    overwrite: options.Overwrite = False,
    weights: options.Weights = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
    version: Annotated[bool, options.version("diff-audio")] = False,
) -> int:
    """Remove noise from speech live, from a microphone to a loudspeaker, 32 to 40 ms late.

    On a terminal a meter shows both levels; the key b turns the bypass on and off, q ends. One
    channel at 16 kHz. Needs the extra live of diff-audio. Nothing is uploaded or downloaded.

    Exit code: 0 ended, 1 failed, 2 wrong usage.
    """
    del version
    failures = Failures(COMMAND, debug=debug)
    if (source is None) != (target is None):
        raise typer.BadParameter("--from and --to need each other")
    if source is not None and (microphone or loudspeaker):
        raise typer.BadParameter("--from and --to exclude --microphone and --loudspeaker")
    try:
        if devices:
            from diff_audio.jobs.live import device_names

            print_line(device_names())
            return 0
        file = weights or path_of("live")
        if weights is None and not file.exists():
            failures.add("the model", NONE)
            return 1
        from diff_audio.denoiser.live.stream import LiveDenoiser
        from diff_audio.jobs.live import Session

        use("cpu", 1)
        model = LiveDenoiser.from_pretrained(file)
        with usage():
            session = Session(model, hops=hops, keep=keep)
        if source is not None and target is not None:
            _files(session, source, target, overwrite=overwrite, quiet=quiet)
        else:
            _devices(session, microphone, loudspeaker, seconds, quiet=quiet)
    except (ValueError, OSError) as error:
        failures.add(str(source or "live sound"), error)
        return 1
    return 0


def _files(session: Session, source: Path, target: Path, *, overwrite: bool, quiet: bool) -> None:
    from diff_audio.jobs.live import run_files

    began = time.process_time()
    seconds = run_files(session, source, target, overwrite=overwrite)
    share = (time.process_time() - began) / seconds
    if not quiet:
        late = 1000 * session.stream.latency / 16_000
        print_line(f"{source} -> {target}  ({late:.0f} ms late, {share:.2f} CPU s a second)")


def _devices(
    session: Session,
    microphone: str | None,
    loudspeaker: str | None,
    seconds: float | None,
    *,
    quiet: bool,
) -> None:
    """Run between the devices until the time is up, q is pressed, or it is interrupted."""
    from diff_audio.jobs.live import keys, open_devices

    shown = sys.stderr.isatty() and not quiet
    with open_devices(session, microphone, loudspeaker), keys() as key:
        while seconds is None or session.seconds < seconds:
            pressed = key(SHOWN)
            if pressed == "q":
                break
            if pressed == "b":
                session.bypass = not session.bypass
            if shown:
                sys.stderr.write(f"\r{session.meter()}  [b bypass, q end]")
                sys.stderr.flush()
    if shown:
        sys.stderr.write("\n")


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return run(app, COMMAND, arguments)


if __name__ == "__main__":
    sys.exit(main())
