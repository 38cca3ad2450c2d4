"""The other side of a comparison: a program of a folder benches/, built and asked over a pipe."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def build(*names, package="e2mc", features=()):
    """Builds programs in the release profile. Their paths, in order."""
    command = ["cargo", "build", "--release", "--locked", "-p", package, "--message-format=json"]
    command += [word for name in names for word in ("--bench", name)]
    command += [word for feature in features for word in ("--features", feature)]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    artifacts = map(json.loads, lines.splitlines())
    found = {a["target"]["name"]: a["executable"] for a in artifacts if a.get("executable")}
    return [found[name] for name in names]


class Program:
    """A running program, which answers each line with one line."""

    def __init__(self, path, *arguments, threads=None):
        environment = os.environ | ({"RAYON_NUM_THREADS": str(threads)} if threads else {})
        pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process = subprocess.Popen([path, *arguments], env=environment, **pipes)

    def ask(self, *words):
        """The words of the answer."""
        print(*words, file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline().split()
        if not answer:
            raise SystemExit(f"the other side stopped at: {' '.join(map(str, words))}")
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()
