"""An SMTP proxy with a limit per account, under clients that misbehave: `python -m examples.proxy`."""
