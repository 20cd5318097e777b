"""Cuts a release (`make release`), or sets the version of the sources; docs/releasing.md."""

import sys

from release.cut import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
