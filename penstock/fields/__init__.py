"""What an event's fields are: the ECS registry, types, values to the letter, presets, checking a selection."""
