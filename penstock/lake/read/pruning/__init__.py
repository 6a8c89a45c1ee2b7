"""What need not be read for a predicate: files and row groups (`needed`), columns (`narrowing`), rows (`sparse`)."""
