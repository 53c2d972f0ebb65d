"""What pytest leaves out: a module of GPUs alone where its compiler is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("triton") else ["neuroanp/kernels/triton_draws.py"]
