"""An exchange that limits its clients, and clients that reach its limit: `python -m examples.exchange`."""
