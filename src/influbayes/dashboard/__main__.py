"""`python -m influbayes.dashboard`."""

import sys

from influbayes.dashboard.launcher import main

if __name__ == "__main__":
    sys.exit(main())
