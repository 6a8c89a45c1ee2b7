"""What an event's fields are: the ECS registry, types, exact values, presets, checking a selection."""
