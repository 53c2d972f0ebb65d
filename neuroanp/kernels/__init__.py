"""Loops over numbers, compiled for the processor, each beside the plain form that it is held to.

`philox` and `transforms` say in numpy what a draw is, `compiled` makes the same bits fast, `torch_draws` on a GPU.
"""
