"""Builds our container images: `python3 kind/build_images.py --help`. Needs only the standard library."""

import sys

from images.build import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
