"""The models by name: configs, checkpoints, weights from the network."""
