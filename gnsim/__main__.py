"""``python -m gnsim`` is the command ``gnsim``."""

from gnsim.cli import main

main()
