"""What users do, without HTTP and without a terminal: start, estimate, read what a search found."""
