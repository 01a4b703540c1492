"""``gnsim doctor``: what is there, and what to do about what is not."""

import typer

from gnsim.commands.options import Debug


def doctor(debug: Debug = False) -> None:
    """Look at Python, torch, the engines, Julia, ffmpeg, memory, cores and disk."""
    from rich.console import Console
    from rich.table import Table

    from gnsim.doctor import examine

    checks = examine()
    table = Table("", "what", "found", "what to do", box=None)
    for check in checks:
        mark = "ok" if check.ok else ("MISSING" if check.required else "none")
        table.add_row(mark, check.name, check.found, check.remedy)
    Console(markup=False).print(table)
    if not all(check.ok for check in checks if check.required):
        raise typer.Exit(2)
