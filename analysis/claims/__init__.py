"""The claims of the paper, each with the test that decides it. See core.py and ledger.py."""
