"""`penstock export`, `estimate`, `download`: an export from its start to its file."""
