"""What one process opens and sets: services, server, certificates, logs, allocator."""
