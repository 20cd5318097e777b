"""`python -m imageclassifier_gateway.verify`: run one verification, as its Job does."""

import sys

from .verification import main

if __name__ == "__main__":
    sys.exit(main())
