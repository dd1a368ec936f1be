"""`python -m evoray COMMAND ...` is `evoray COMMAND ...`, also where the script is not on the
path.
"""

from __future__ import annotations

import importlib

if __name__ == "__main__":
    # By name: the platform knows nothing of the jobs, which are built on it; only this door to them
    # stands here.
    importlib.import_module("jobs.cli").main()
