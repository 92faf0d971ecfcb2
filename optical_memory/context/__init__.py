"""What is sent to a model: pages and text in order, with the plan behind them."""
