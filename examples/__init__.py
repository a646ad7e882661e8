"""Programs to read and to start from. Each runs by itself, without a network."""
