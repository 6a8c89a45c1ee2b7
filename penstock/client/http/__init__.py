"""How the client talks to the service: addresses, retries, answers."""
