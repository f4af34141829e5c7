"""What a forked process runs: the program with the given arguments, stdout and stderr in files."""

import gc
import os
import sys

import torch

from echosyn.apps.cli import main

gc.freeze()  # collecting what the server has imported would copy its memory
arguments, stdout, stderr = globals()["arguments"], globals()["stdout"], globals()["stderr"]
for path, descriptor in ((stdout, 1), (stderr, 2)):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
sys.argv[0] = "echosyn"
torch.set_num_threads(1)
main(arguments)
