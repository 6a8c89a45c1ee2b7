"""What people may type: a class of options for each command, groups of options that several share. No work."""
