"""What reads results: tables, figures, the report and random-matrix theory.

Nothing here trains and nothing here imports Caffe: run folders (JSON, CSV, NPZ) go in, the files
under ``report/`` come out.
"""

import os

# The matrices here are small: OpenBLAS's threads wait for each other longer than they compute, by a
# factor of seven where the cores are busy. This counts where NumPy is not imported before.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
