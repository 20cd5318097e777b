"""The command line of the laptop cluster: `python3 kind/tool.py COMMAND`. The Makefile calls it.

It runs on the machine's own Python, before there is a virtual environment, on the standard library alone.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the machine's Python is not ours to choose
    sys.exit("Python 3.11 or newer is needed: install python3.11 and run `make PYTHON=python3.11 ...`.")

from laptop.commands import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
