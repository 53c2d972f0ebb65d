"""What pytest leaves out: modules of GPUs alone where their compiler is not installed."""

from importlib.util import find_spec

collect_ignore_glob = [] if find_spec("triton") else ["neuroanp/kernels/triton_*.py"]
