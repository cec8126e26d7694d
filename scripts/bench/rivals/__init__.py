"""Rivals that Python times: torch.bmm, CSR, ACDC and Toeplitz-like layers.

worker.py runs them in a process of its own, by any Python that has NumPy: nothing here may need
more than that before a rival asks for it.
"""
