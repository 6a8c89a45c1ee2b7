"""The ECS field sets, as tables that read well. `fields.registry` expands them into names."""
