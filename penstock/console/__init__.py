"""The web console: static pages, served at the root of the API. Not here yet."""
