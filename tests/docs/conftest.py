"""The servers of the end-to-end tests, for tests that call what the documents describe."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
