"""Train a network on a substrate: configuration, learners, loop, checkpoints."""
