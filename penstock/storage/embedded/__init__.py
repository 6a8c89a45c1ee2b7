"""The embedded store: encrypted files under the home folder, no server to install."""
