"""All compiled code. Imports no other room; the Python references in the other rooms are the specification."""
