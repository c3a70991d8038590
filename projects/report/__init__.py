"""What a model does, as pages that open from disk: scores, curves, errors and the pictures behind them."""
