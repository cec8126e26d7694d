"""What reads results: tables, figures, the report and random-matrix theory.

Nothing here trains and nothing here imports Caffe: run folders (JSON, CSV, NPZ) go in, the files
under ``report/`` come out.
"""
