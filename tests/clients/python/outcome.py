"""Outcome lines of the Python drivers: `case = outcome`, free of ports, times and random ids."""

import os
import re
import sys
import time
import traceback
import zlib

BOOTSTRAP = os.environ["BOOTSTRAP"]
SSL_BOOTSTRAP = os.environ["SSL_BOOTSTRAP"]
SSL_CA = os.environ["SSL_CA"]
PATIENCE_S = 60


def plain(text):
    text = re.sub(r"(127\.0\.0\.1|localhost):[0-9]+", "HOST:PORT", str(text))
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UUID", text)
    return text.replace("\n", "\\n")


def line(case, outcome):
    print(f"{case} = {plain(outcome)}", flush=True)


def error(problem):
    """The name of an error, and its code where the client gives one."""
    return type(problem).__name__


def of(case, body, describe=error):
    """Runs the body; its result or its error is the outcome."""
    started = time.monotonic()
    try:
        line(case, body())
    except Exception as problem:  # every error is an outcome
        traceback.print_exc()
        line(case, describe(problem))
    print(f"{case} took {time.monotonic() - started:.2f} s", file=sys.stderr)


def until(what, step):
    """Repeats the step until it gives something true."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        result = step()
        if result:
            return result
        if time.monotonic() > deadline:
            raise TimeoutError(f"never came: {what}")


def digest(values):
    """One number for a list of byte strings, in order."""
    crc = 0
    for value in values:
        crc = zlib.crc32(b"null" if value is None else value, crc)
    return f"{len(values)} values {crc:08x}"
